"""The target of hard distillation: the pseudo-label."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from overproof.claims import SumsToOne, TruthWithoutNoise
from overproof.contract import Batch
from overproof.functional import one_hot
from overproof.registry import register


@register("target", "hard", paper=None, claims=(SumsToOne(), TruthWithoutNoise()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Hard:
    """One-hot of the pseudo-label."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        return one_hot(batch.teacher_probs)
