"""The target of labelled examples: the given label."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from overproof.claims import SumsToOne, TruthWithoutNoise
from overproof.contract import Batch
from overproof.functional import label_distribution
from overproof.registry import register


@register("target", "given", paper=None, claims=(SumsToOne(), TruthWithoutNoise()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """One-hot of the given label; every example must have one."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        return label_distribution(batch.label, batch.teacher_probs)
