"""The target with the teacher's accuracy as the probability of its top class."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from overproof.claims import SumsToOne, TruthWithoutNoise
from overproof.contract import Batch
from overproof.functional import calibrated_target
from overproof.registry import register


@register("target", "calibrated", paper=None, claims=(SumsToOne(), TruthWithoutNoise()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """The teacher's accuracy on its top class, the rest uniform over its other candidates."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        return calibrated_target(batch.teacher_probs, batch.teacher_accuracy, batch.num_candidates)
