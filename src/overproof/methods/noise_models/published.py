"""The teacher's accuracy as somebody published it, where there are no labels to measure it on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.noise.accuracy import IsotonicAccuracy
from overproof.noise.candidates import fixed_candidates
from overproof.noise.estimate import NoiseEstimate
from overproof.options import PositiveShare
from overproof.registry import register


@register("noise", "published", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A teacher that is right at one known rate whatever it is asked, and else names every other class as often.

    Looks at no label: nothing is estimated, and nobody checks that the rate holds on the pool at hand.

    Args:
        accuracy: In (0, 1].

    Raises:
        InputError: It is not.
    """

    accuracy: PositiveShare = 1.0

    def fit(self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"]) -> NoiseEstimate:
        """The assumption, for as many classes as the teacher knows; there may be no examples at all."""
        num_classes = teacher_probs.shape[1]
        same = torch.eye(num_classes)
        share = (1 - self.accuracy) / (num_classes - 1)
        accuracy = torch.tensor([self.accuracy], dtype=torch.float64)
        return NoiseEstimate(
            accuracy=IsotonicAccuracy(knots=torch.ones_like(accuracy), values=accuracy, lower=self.accuracy),
            candidates=fixed_candidates(num_classes, num_classes),
            transition=self.accuracy * same + share * (1 - same),
            temperature=1.0,
            mean_accuracy=(self.accuracy, self.accuracy, self.accuracy),
            num_examples=0,
        )
