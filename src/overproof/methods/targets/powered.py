"""The target of pool examples in prediction-powered training."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from overproof.contract import Batch
from overproof.options import Share
from overproof.papers import PREDICTION_POWERED_2025
from overproof.registry import register


@register("target", "powered", paper=PREDICTION_POWERED_2025)
@dataclass(frozen=True, kw_only=True, slots=True)
class Powered:
    """For pool examples: power * prediction / share, share the share of the batch that is pool.

    Args:
        power: As in `rectified`, and the same number.

    Source: PP-SSL (2025), arXiv 2510.22586.
    """

    power: Share = 0.5

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        return self.power * batch.teacher_probs / batch.side_share
