"""Examples as the training loop reads them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.contract import Batch
from overproof.models import Batches, Inputs, Ragged


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """Examples as the loop reads them, tensors all: what the student sees and what is known of the teacher there.

    Args:
        inputs: Encoded examples, shared by every method of a run.
        place: [N], where in `inputs` each row stands.
        label: [N], the given label or -1.
        teacher_probs: N rows of [K], out of sample on labelled examples.
        teacher_accuracy: [N], in [0, 1].
        num_candidates: [N], in 1..K.
    """

    inputs: Batches
    place: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    teacher_probs: Inputs
    teacher_accuracy: Float[Tensor, "N"]
    num_candidates: Int[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device) -> "Rows":
        """The same rows on another device."""
        return Rows(
            inputs=self.inputs.to(device),
            place=self.place.to(device),
            label=self.label.to(device),
            teacher_probs=self.teacher_probs.to(device),
            teacher_accuracy=self.teacher_accuracy.to(device),
            num_candidates=self.num_candidates.to(device),
        )

    def take(self, rows: Tensor) -> Tensor | Ragged:
        """What the student sees of these rows."""
        return self.inputs.take(self.place.index_select(0, rows))

    def batch(self, rows: Tensor, student_logits: Tensor, teacher_probs: Tensor, transition: Tensor) -> Batch:
        """These rows with the student's logits on them, and what the teacher says of them."""
        return Batch(
            student_logits=student_logits,
            target_probs=teacher_probs,
            teacher_probs=teacher_probs,
            label=self.label.index_select(0, rows),
            teacher_accuracy=self.teacher_accuracy.index_select(0, rows),
            num_candidates=self.num_candidates.index_select(0, rows),
            transition=transition,
        )
