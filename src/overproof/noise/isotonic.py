"""The teacher errs where its margin is small."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from overproof.noise.accuracy import isotonic_accuracy, lower_bound
from overproof.noise.calibration import fit_temperature
from overproof.noise.candidates import fixed_candidates, num_candidates
from overproof.noise.estimate import NoiseEstimate
from overproof.noise.margins import margin
from overproof.noise.transition import global_accuracy, transition_matrix
from overproof.papers import SLAM_2023
from overproof.registry import register


@register("noise", paper=SLAM_2023)
@dataclass(frozen=True, kw_only=True, slots=True)
class Isotonic:
    """Accuracy and candidates rise and fall with the teacher's margin; the transition matrix is counted.

    Args:
        lower_bound: No accuracy is taken to be below this, in [0, 1]; `auto` chooses it on the labelled examples by
            cross-validation.
        candidates: How many of the likeliest classes may be the true one, at least 2; `auto` is the fewest that
            `coverage` asks for at each margin.
        coverage: How often `auto` candidates hold the truth, in (0, 1].
        prior: Imaginary examples at either end of the accuracy curve (`isotonic_accuracy`) and in every row of the
            transition matrix (`transition_matrix`). On six shapes of the true curve and 50 to 4,000 examples, 4 has a
            smaller error than 0, .5 or 1 every time (100 examples, from .5 rising to .98: .076 against .100 for 0).

    Differs from the paper: see `lower_bound`; and the paper has no prior (set it to 0).
    """

    lower_bound: float | Literal["auto"] = "auto"
    candidates: int | Literal["auto"] = "auto"
    coverage: float = 0.9
    prior: float = 4.0

    def fit(self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"]) -> NoiseEstimate:
        """Estimate from out-of-sample answers.

        Raises:
            InputError: No examples, a label that is not a class, or an option out of its range.
        """
        mean_accuracy = global_accuracy(label, teacher_probs)
        margins, correct = margin(teacher_probs), teacher_probs.argmax(dim=1) == label
        lower = (
            lower_bound(margins, correct, prior=self.prior) if isinstance(self.lower_bound, str) else self.lower_bound
        )
        return NoiseEstimate(
            accuracy=isotonic_accuracy(margins, correct, lower, self.prior),
            candidates=num_candidates(teacher_probs, label, self.coverage, self.prior)
            if isinstance(self.candidates, str)
            else fixed_candidates(self.candidates, teacher_probs.shape[1]),
            transition=transition_matrix(label, teacher_probs, self.prior),
            temperature=fit_temperature(teacher_probs, label),
            mean_accuracy=mean_accuracy,
            num_examples=len(label),
        )
