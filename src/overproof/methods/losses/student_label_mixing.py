"""The loss of SLaM: the student's prediction is mixed with the teacher's noise before the comparison."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.claims import ConsistentUnderCandidateNoise, ConventionalWithoutNoise, LinearInTheTarget
from overproof.contract import Batch, PerExample
from overproof.functional.losses import candidate_errors, mixed_cross_entropy
from overproof.papers import SLAM_2023
from overproof.registry import register


@register(
    "loss",
    "student_label_mixing",
    paper=SLAM_2023,
    claims=(ConventionalWithoutNoise(), ConsistentUnderCandidateNoise(), LinearInTheTarget()),
)
@dataclass(frozen=True, kw_only=True, slots=True)
class StudentLabelMixing:
    """Cross-entropy of the target with the student's noisy prediction.

    Args:
        normalized: Divide the noise by the number of candidates minus one: the exact distribution of the noisy label.
            With two classes both forms are the same. `auto` is decided before training: normalised where the estimated
            accuracy of a predicted class comes near one half (`overproof.noise.doubtful_classes`), since the other form
            then loses classes. Un-normalised students are overconfident by construction:
            recalibrate before their confidence is used.

    Claims: consistency holds for the normalised form; the un-normalised one is the paper's and does not make it beyond
    two classes (the claim's check names the form that it tests).
    """

    normalized: bool | Literal["auto"] = False

    def prepare(self, batch: Batch) -> Float[Tensor, "B K_plus_1"]:
        """The probability of an error as each class, and in the last column the teacher's accuracy."""
        # Not yet decided: the form that is safe everywhere.
        errors = candidate_errors(
            batch.teacher_probs, batch.teacher_accuracy, batch.num_candidates, normalized=bool(self.normalized)
        )
        return torch.cat([errors, batch.teacher_accuracy.unsqueeze(1)], dim=1)

    def __call__(self, batch: Batch) -> PerExample:
        prepared = batch.memory["prepared"] if "prepared" in batch.memory else self.prepare(batch)
        return mixed_cross_entropy(batch.student_logits, prepared[:, :-1], prepared[:, -1:], batch.target_probs)
