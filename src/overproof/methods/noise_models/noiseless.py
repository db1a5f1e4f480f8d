"""The noise model that assumes a perfect teacher."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.noise.accuracy import IsotonicAccuracy
from overproof.noise.candidates import fixed_candidates
from overproof.noise.estimate import NoiseEstimate
from overproof.noise.likelihood import TransitionLikelihood
from overproof.registry import register


@register("noise", "noiseless", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class Noiseless:
    """A perfect teacher: accuracy one, all classes candidates, identity transition. It uses no labels."""

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """The estimate for the teacher's number of classes; the examples may be empty."""
        num_classes = teacher_probs.shape[1]
        one = torch.ones(1, dtype=torch.float64)
        return NoiseEstimate(
            accuracy=IsotonicAccuracy(knots=one, values=one, lower=1.0),
            candidates=fixed_candidates(num_classes, num_classes),
            transition=torch.eye(num_classes),
            likelihood=TransitionLikelihood(transition=torch.eye(num_classes)),
            temperature=1.0,
            mean_accuracy=(1.0, 1.0, 1.0),
            num_examples=len(label),
        )
