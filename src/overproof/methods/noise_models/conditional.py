"""The noise model whose likelihood of an answer depends on the teacher's margin and entropy."""

from dataclasses import dataclass, replace
from typing import Annotated

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.methods.noise_models.isotonic import Isotonic
from overproof.noise.estimate import NoiseEstimate
from overproof.noise.likelihood import conditional_likelihood
from overproof.papers import FORWARD_2017
from overproof.registry import register


@register("noise", "conditional", paper=FORWARD_2017)
@dataclass(frozen=True, kw_only=True, slots=True)
class Conditional:
    """As `isotonic`, and P(answer | class, x) by a multinomial logistic model on the teacher's margin and entropy.

    The loss `answer_likelihood` reads it. Cross-validation on the labelled examples decides whether margin and entropy
    are used at all; without them it is the transition matrix. A teacher with hard labels has neither.

    Args:
        prior: As in `isotonic`, above 0.

    Source: derived; forward correction with a row of the matrix for each example.
    """

    prior: Annotated[float, Field(gt=0)] = 4.0

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """Estimate from out-of-sample answers; of repeated examples the first counts.

        Raises:
            InputError: As `isotonic`.
        """
        estimate = Isotonic(prior=self.prior).fit(teacher_probs, label, repeats)
        likelihood = conditional_likelihood(teacher_probs, label, prior=self.prior, repeats=repeats)
        return replace(estimate, likelihood=likelihood)
