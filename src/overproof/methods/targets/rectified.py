"""The target of labelled examples in prediction-powered training: labels correct the teacher's mistakes."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from overproof.contract import Batch
from overproof.functional import label_distribution
from overproof.options import Share
from overproof.papers import PREDICTION_POWERED_2025
from overproof.registry import register


@register("target", "rectified", paper=PREDICTION_POWERED_2025)
@dataclass(frozen=True, kw_only=True, slots=True)
class Rectified:
    """For labelled examples: (label - power * prediction) / share, the term that corrects the pool's.

    `share` is the share of the batch that is labelled; with `Powered` of the same power on the pool, the expected
    gradient is that of training on true labels, whatever the teacher's mistakes. Entries become negative, so weight
    decay is required. The prediction must be out of sample.

    Args:
        power: How far the teacher is used, in [0, 1]; 0 is training on labels alone.
        bounded: Replace label - prediction by gamma * (label - prediction), gamma = 1 / (1 + (label - prediction)^2),
            entry by entry, which bounds the influence of single labels at the cost of a bias.

    Source: PP-SSL (2025), arXiv 2510.22586; the bounded form: Dao et al. (2021), arXiv 2104.09732.
    Differs from the paper: the power is a constant, not adapted at every step.
    """

    extrapolates: ClassVar[bool] = True

    power: Share = 0.5
    bounded: bool = False

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        label = label_distribution(batch.label, batch.teacher_probs)
        residual = label - batch.teacher_probs
        if self.bounded:
            residual = residual / (1 + residual.square())
        return ((1 - self.power) * label + self.power * residual) / batch.side_share
