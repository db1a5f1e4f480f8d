"""The noise model with a published accuracy of the teacher, for data without labels to estimate it on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.noise.accuracy import IsotonicAccuracy
from overproof.noise.candidates import fixed_candidates
from overproof.noise.estimate import NoiseEstimate
from overproof.noise.likelihood import TransitionLikelihood
from overproof.options import PositiveShare
from overproof.registry import register


@register("noise", "published", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A teacher with the same published accuracy on all examples and uniform errors over the other classes.

    It uses no labels: nothing is estimated, and the accuracy is not checked on the pool.

    Args:
        accuracy: In (0, 1].

    Raises:
        InputError: It is not.
    """

    accuracy: PositiveShare = 1.0

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """The estimate for the teacher's number of classes; the examples may be empty."""
        num_classes = teacher_probs.shape[1]
        same = torch.eye(num_classes)
        share = (1 - self.accuracy) / (num_classes - 1)
        accuracy = torch.tensor([self.accuracy], dtype=torch.float64)
        transition = self.accuracy * same + share * (1 - same)
        return NoiseEstimate(
            accuracy=IsotonicAccuracy(knots=torch.ones_like(accuracy), values=accuracy, lower=self.accuracy),
            candidates=fixed_candidates(num_classes, num_classes),
            transition=transition,
            likelihood=TransitionLikelihood(transition=transition),
            temperature=1.0,
            mean_accuracy=(self.accuracy, self.accuracy, self.accuracy),
            num_examples=0,
        )
