"""The default noise model: the teacher's accuracy is an increasing function of its margin."""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.noise.accuracy import IsotonicAccuracy, isotonic_accuracy, lower_bound
from overproof.noise.calibration import fit_temperature
from overproof.noise.candidates import fixed_candidates, num_candidates
from overproof.noise.class_accuracy import ClassAccuracy, class_accuracy, same_margins
from overproof.noise.estimate import NoiseEstimate
from overproof.noise.likelihood import TransitionLikelihood
from overproof.noise.margins import margin
from overproof.noise.transition import global_accuracy, transition_matrix
from overproof.options import NotNegative, PositiveShare, Share
from overproof.papers import SLAM_2023
from overproof.registry import register


@register("noise", "isotonic", paper=SLAM_2023)
@dataclass(frozen=True, kw_only=True, slots=True)
class Isotonic:
    """Accuracy increases and the number of candidates decreases with the teacher's margin; the transition is counted.

    A teacher with hard labels has the same margin on all examples: its accuracy is then estimated for each predicted
    class, and all classes are candidates if the others are equally likely.

    Args:
        lower_bound: Minimum of the accuracy, in [0, 1]; `auto` chooses it on the labelled examples by cross-validation.
        candidates: How many of the most likely classes may be the true one, at least 2; `auto` is the smallest number
            with the `coverage` at each margin.
        coverage: How often `auto` candidates contain the true class, in (0, 1].
        prior: Imaginary examples at either end of the accuracy curve (`isotonic_accuracy`) and in every row of the
            transition matrix (`transition_matrix`). On six shapes of the true curve and 50 to 4,000 examples, 4 has a
            smaller error than 0, .5 or 1 every time (100 examples, from .5 rising to .98: .076 against .100 for 0).

    Differs from the paper: see `lower_bound`; and the paper has no prior (set it to 0).
    """

    lower_bound: Share | Literal["auto"] = "auto"
    candidates: Annotated[int, Field(ge=2)] | Literal["auto"] = "auto"
    coverage: PositiveShare = 0.9
    prior: NotNegative = 4.0

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """Estimate from out-of-sample answers; of repeated examples the first counts.

        Raises:
            InputError: No examples, a label that is not a class, or an option out of its range.
        """
        mean_accuracy = global_accuracy(label, teacher_probs, repeats=repeats)
        group = None
        if repeats is not None and repeats.any:
            once = repeats.once
            teacher_probs, label, group = teacher_probs[once], label[once], repeats.take(once).group
        margins, correct = margin(teacher_probs), teacher_probs.argmax(dim=1) == label
        num_classes = teacher_probs.shape[1]
        lower = None if isinstance(self.lower_bound, str) else self.lower_bound
        accuracy: IsotonicAccuracy | ClassAccuracy
        if same_margins(margins):
            named = teacher_probs.argmax(dim=1)
            accuracy = class_accuracy(named, correct, num_classes, lower=lower, prior=self.prior, group=group)
        else:
            lower = lower_bound(margins, correct, prior=self.prior, group=group) if lower is None else lower
            accuracy = isotonic_accuracy(margins, correct, lower, self.prior)
        if not isinstance(self.candidates, str):
            candidates = fixed_candidates(self.candidates, num_classes)
        elif same_margins(margins) and _others_are_even(teacher_probs):
            candidates = fixed_candidates(num_classes, num_classes)
        else:
            candidates = num_candidates(teacher_probs, label, self.coverage, self.prior)
        transition = transition_matrix(label, teacher_probs, self.prior)
        return NoiseEstimate(
            accuracy=accuracy,
            candidates=candidates,
            transition=transition,
            likelihood=TransitionLikelihood(transition=transition),
            temperature=fit_temperature(teacher_probs, label),
            mean_accuracy=mean_accuracy,
            num_examples=len(label),
        )


def _others_are_even(teacher_probs: Tensor) -> bool:
    """Whether all classes but the first are equally likely, so that they have no order."""
    ranked = teacher_probs.sort(dim=1, descending=True).values
    return bool((ranked[:, 1] - ranked[:, -1] <= 1e-6).all())
