"""The noise model whose accuracy depends on the teacher's whole answer."""

from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.methods.noise_models.isotonic import Isotonic
from overproof.noise.class_accuracy import ClassAccuracy
from overproof.noise.estimate import NoiseEstimate
from overproof.noise.trust_probe import trust_probe
from overproof.options import NotNegative, Share
from overproof.papers import TRUST_2026
from overproof.registry import register


@register("noise", "trust_probe", paper=TRUST_2026)
@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """As `isotonic`, but the accuracy increases with a logistic probe on margin, entropy and predicted class.

    The probe is used where it predicts better, out of fold and by more than a standard error, whether the teacher is
    right; else the accuracy is that of `isotonic`. A teacher with hard labels has one for each predicted class already.

    Args:
        lower_bound: As in `isotonic`.
        prior: As in `isotonic`.

    Differs from the paper: features of an encoder are not read; `overproof.noise.trust_probe` takes them, and in a run
    the teacher `adapter` uses them.
    """

    lower_bound: Share | Literal["auto"] = "auto"
    prior: NotNegative = 4.0

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """Estimate from out-of-sample answers; of repeated examples the first counts.

        Raises:
            InputError: As `isotonic`.
        """
        estimate = Isotonic(lower_bound=self.lower_bound, prior=self.prior).fit(teacher_probs, label, repeats)
        if isinstance(estimate.accuracy, ClassAccuracy):
            return estimate
        lower = None if isinstance(self.lower_bound, str) else self.lower_bound
        found = trust_probe(teacher_probs, label, prior=self.prior, lower=lower, repeats=repeats)
        return estimate if found is None else replace(estimate, accuracy=found)
