"""Examples with what was said of them: given labels, and a teacher's answers or a student's own."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.models import Batches, Dense, Inputs, Placed, Student, join
from overproof.noise import NoiseEstimate
from overproof.training.rows import Rows

MAX_OPENED = 2**25
"""Up to so many probabilities are opened once for a whole training (128 MiB), more of them batch by batch."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answered:
    """Some examples of a shared set of inputs, with what was said of them.

    Args:
        place: [N], where in the inputs each example stands.
        label: [N], the given label, or -1 where none is known.
        answers: The teacher's; out of sample where the label is used.
    """

    place: Int[Tensor, "N"]
    label: Int[Tensor, "N"]
    answers: Answers

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Int[Tensor, "M"]) -> "Answered":
        """Some of them."""
        return Answered(place=self.place[rows], label=self.label[rows], answers=self.answers.take(rows))

    def rows(self, inputs: Batches, noise: NoiseEstimate) -> Rows:
        """As the training loop reads them."""
        margin = self.answers.margin
        return Rows(
            inputs=inputs,
            place=self.place,
            label=self.label,
            teacher_probs=(
                Opened(answers=self.answers)
                if len(self) * self.answers.num_classes > MAX_OPENED
                else Dense(values=self.answers.probs())
            ),
            teacher_accuracy=noise.accuracy_of(margin, self.answers.pseudo_label),
            num_candidates=noise.candidates(margin),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Opened:
    """Very many answers, opened to all classes a batch at a time."""

    answers: Answers

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: Int[Tensor, "B"]) -> Float[Tensor, "B K"]:
        """The probabilities of these rows."""
        return self.answers.probs(rows)

    def to(self, device: torch.device) -> "Opened":
        """The same answers on another device."""
        parts = {f.name: getattr(self.answers, f.name) for f in fields(self.answers) if f.name != "num_classes"}
        return Opened(answers=replace(self.answers, **{name: part.to(device) for name, part in parts.items()}))


def answered_by(student: Student, inputs: Inputs, examples: Answered) -> Answered:
    """The same examples with a student's own answers in place of the teacher's."""
    probs = student.probs(Placed(inputs=inputs, place=examples.place))
    return replace(examples, answers=examples.answers.saying(probs))


def joined(labelled: Rows, pool: Rows) -> Rows:
    """Labelled rows first, then the pool's."""
    return Rows(
        inputs=labelled.inputs,
        place=torch.cat([labelled.place, pool.place]),
        label=torch.cat([labelled.label, pool.label]),
        teacher_probs=join([labelled.teacher_probs, pool.teacher_probs]),
        teacher_accuracy=torch.cat([labelled.teacher_accuracy, pool.teacher_accuracy]),
        num_candidates=torch.cat([labelled.num_candidates, pool.num_candidates]),
    )
