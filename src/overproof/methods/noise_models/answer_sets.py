"""The noise model of a teacher that names every class that may hold."""

from dataclasses import dataclass, replace
from typing import Annotated

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.methods.noise_models.isotonic import Isotonic
from overproof.noise.answer_sets import set_likelihood
from overproof.noise.estimate import NoiseEstimate
from overproof.papers import CANDIST_2025
from overproof.registry import register


@register("noise", "answer_sets", paper=CANDIST_2025)
@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSets:
    """As `isotonic`, and P(set of classes | true class) by how often each class is in the sets of each class.

    The loss `answer_likelihood` reads it. The set of an answer are the classes that share its highest probability, so
    that a teacher of single labels has sets of one.

    Args:
        prior: Imaginary examples of every class, above 0.

    Source: arXiv 2506.03857 for sets as answers; the likelihood is derived.

    Differs from the paper: it trains on the set itself and lets the student's own predictions choose among its classes.
    """

    prior: Annotated[float, Field(gt=0)] = 5.0

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """Estimate from out-of-sample answers; of repeated examples the first counts.

        Raises:
            InputError: As `isotonic`.
        """
        likelihood = set_likelihood(teacher_probs, label, prior=self.prior, repeats=repeats)
        return replace(Isotonic().fit(teacher_probs, label, repeats), likelihood=likelihood)
