"""The weight that is one where the teacher agrees with the given label, and zero elsewhere."""

from dataclasses import dataclass

from overproof.claims import NoGradient, OneWithoutNoise
from overproof.contract import Batch, PerExample
from overproof.papers import RETRAINING_2024
from overproof.registry import register


@register("weight", "consensus", paper=RETRAINING_2024, claims=(OneWithoutNoise(), NoGradient()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Consensus:
    """One where the pseudo-label is the given label, otherwise zero; zero where no label is given.

    Source: Das et al. (2024), arXiv 2406.11206, section 1 (consensus-based retraining).
    Differs from the paper: examples without consensus stay in the batches with weight zero, so that every row of a
    table takes the same number of steps; for plain gradient descent this is a lower learning rate.
    """

    def __call__(self, batch: Batch) -> PerExample:
        return (batch.teacher_probs.argmax(dim=1) == batch.label).to(batch.student_logits.dtype)
