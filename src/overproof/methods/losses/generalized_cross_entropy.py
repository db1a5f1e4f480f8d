"""Generalised cross-entropy, a loss between cross-entropy and mean absolute error that is robust to label noise."""

from dataclasses import dataclass

from overproof.claims import LinearInTheTarget
from overproof.contract import Batch, PerExample
from overproof.functional import generalized_cross_entropy
from overproof.options import PositiveShare
from overproof.papers import GCE_2018
from overproof.registry import register


@register("loss", "generalized_cross_entropy", paper=GCE_2018, claims=(LinearInTheTarget(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralizedCrossEntropy:
    """The mean over the target of (1 - p^power) / power, p being the student's probability of a class.

    Args:
        power: In (0, 1]: the limit 0 is the cross-entropy, 1 the mean absolute error.

    Raises:
        InputError: A power outside (0, 1].
    """

    power: PositiveShare = 0.7

    def __call__(self, batch: Batch) -> PerExample:
        return generalized_cross_entropy(batch.student_logits, batch.target_probs, self.power)
