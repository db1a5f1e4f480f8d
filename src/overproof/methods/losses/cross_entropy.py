"""The loss of plain distillation: cross-entropy with the target, without noise correction."""

from dataclasses import dataclass

from overproof.claims import ConventionalWithoutNoise, LinearInTheTarget
from overproof.contract import Batch, PerExample
from overproof.functional import soft_cross_entropy
from overproof.papers import HINTON_2015
from overproof.registry import register


@register("loss", "cross_entropy", paper=HINTON_2015, claims=(ConventionalWithoutNoise(), LinearInTheTarget()))
@dataclass(frozen=True, kw_only=True, slots=True)
class CrossEntropy:
    """Cross-entropy of the student with the target."""

    def __call__(self, batch: Batch) -> PerExample:
        return soft_cross_entropy(batch.student_logits, batch.target_probs)
