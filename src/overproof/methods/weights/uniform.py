"""The weight one for every example."""

from dataclasses import dataclass

from overproof.claims import OneWithoutNoise
from overproof.contract import Batch, PerExample
from overproof.registry import register


@register("weight", "uniform", paper=None, claims=(OneWithoutNoise(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class Uniform:
    """One for every example."""

    def __call__(self, batch: Batch) -> PerExample:
        return batch.student_logits.new_ones(len(batch.student_logits))
