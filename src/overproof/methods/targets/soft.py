"""The target of soft distillation: the teacher's prediction."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from overproof.claims import SumsToOne, TruthWithoutNoise
from overproof.contract import Batch
from overproof.papers import HINTON_2015
from overproof.registry import register


@register("target", "soft", paper=HINTON_2015, claims=(SumsToOne(), TruthWithoutNoise()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Soft:
    """The teacher's probabilities."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        return batch.teacher_probs
