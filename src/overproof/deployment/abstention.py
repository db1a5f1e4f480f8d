"""Selective prediction: a threshold on the student's confidence below which it abstains, for a given risk.

The *selective risk* at a threshold t is R(t) = P(the student is wrong | its confidence exceeds t), measured against the
true labels, not against the teacher. From m labelled examples that the student was not trained on, `choose_threshold`
finds a t with P(R(t) > risk) <= 1 - confidence, for every m, every student and every distribution of the examples;
nothing is asymptotic and the confidence need not be calibrated. The only assumption is that calibration and later
examples are drawn from one distribution.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.functional.intervals import binomial_bounds
from overproof.functional.repeats import Repeats

NUM_COVERAGES = 16
"""Number of candidate coverages, 1/16 to 1. Each takes an equal part of the failure probability, and the bound grows
with the logarithm of their number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Abstention:
    """A threshold and its guarantee; fit for JSON through `dataclasses.asdict`.

    Args:
        risk: The requested bound on the selective risk, in (0, 1).
        confidence: Probability, over draws of the calibration examples, that the risk is not exceeded, in (0, 1).
        threshold: The student predicts a class where its largest probability is strictly above it.
        bound: Upper confidence bound on the selective risk at the threshold, at most `risk`.
        num_calibration: Number of labelled examples that the threshold was chosen on.
        num_accepted: How many of them are above the threshold.
        num_wrong: How many of those are predicted wrongly.
    """

    risk: float
    confidence: float
    threshold: float
    bound: float
    num_calibration: int
    num_accepted: int
    num_wrong: int

    @property
    def coverage(self) -> float:
        """Share of the calibration examples above the threshold."""
        return self.num_accepted / self.num_calibration

    def sentence(self) -> str:
        """The guarantee in words, with the counts it is based on."""
        return (
            f"The student predicts above a probability of {self.threshold:.4f}: the error rate of these predictions is "
            f"at most {self.risk:.1%}, at confidence {self.confidence:.0%}, for data distributed like the "
            f"{self.num_calibration} labelled examples used here ({self.num_wrong} wrong of {self.num_accepted} "
            f"predicted, coverage {self.coverage:.1%}, bound {self.bound:.2%})."
        )

    def accepts(self, student_confidence: Float[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
        """True where the student predicts a class."""
        accepted: NDArray[np.bool_] = student_confidence > self.threshold
        return accepted


def risk_bound(num_wrong: Int[np.ndarray, "C"], num: Int[np.ndarray, "C"], *, failure: float) -> Float[np.ndarray, "C"]:
    """Clopper and Pearson's bound on an error rate: the largest r with P(Binomial(num, r) <= num_wrong) >= failure.

    Args:
        num_wrong: [C], in 0..num.
        num: [C], independent examples; where there are none the bound is 1.
        failure: Largest probability that the bound is below the true rate, in (0, 1).

    Example:
        None wrong of two, failure probability 1/4: (1 - r)^2 = 1/4.

        >>> risk_bound(np.array([0]), np.array([2]), failure=0.25).round(12)
        array([0.5])

    Source: Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the
    binomial, Biometrika 26.
    """
    return binomial_bounds(num_wrong, num, tail=failure)[1]


def fewest_examples(risk: float, confidence: float) -> int:
    """With fewer labelled examples `choose_threshold` finds no threshold, even where the student is never wrong.

    Args:
        risk: In (0, 1).
        confidence: In (0, 1).

    Example:
        >>> fewest_examples(0.1, 0.95)
        55

    Raises:
        InputError: A number outside.
    """
    _check_levels(risk, confidence)
    return math.ceil(math.log((1 - confidence) / NUM_COVERAGES) / math.log1p(-risk))


def choose_threshold(
    student_confidence: Float[np.ndarray, "M"],
    wrong: Bool[np.ndarray, "M"],
    *,
    risk: float,
    confidence: float = 0.95,
    repeats: Repeats | None = None,
) -> Abstention:
    """The threshold of largest coverage whose selective risk is at most `risk`, at the given confidence.

    Sort the calibration examples by confidence, highest first. For i = 1..16 let the candidate t_i be the confidence at
    place ceil(i m / 16) + 1, and the last one 0, which accepts all. Of the n_i examples strictly above t_i let e_i be
    wrong. Candidate i qualifies where the bound U_i = `risk_bound(e_i, n_i, failure=(1 - confidence) / 16)` is at most
    `risk`; of these the one with the largest n_i is returned.

    Why the guarantee holds: the places are fixed before any label is used. Given t_i and n_i, the examples strictly
    above t_i are independent draws from the distribution of examples whose confidence exceeds t_i (a property of order
    statistics, with or without ties). Hence e_i ~ Binomial(n_i, R(t_i)) and P(R(t_i) > U_i) <= (1 - confidence) / 16,
    conditionally on t_i and n_i and therefore unconditionally. By the union bound all 16 bounds hold together with
    probability `confidence`, whichever of them is chosen.

    Args:
        student_confidence: [M], the student's largest probability on examples it was not trained on.
        wrong: [M], whether its predicted class is not the true one.
        risk: Allowed error rate among the predictions that are given, in (0, 1).
        confidence: In (0, 1).
        repeats: Which examples repeat or depend on each other: a content counts once, as wrong if any of its labels
            is not predicted, and of a group the first content counts, so that the draws are independent.

    Example:
        Sixty right and none wrong: all are accepted at a risk of 10 %, since 1 - (0.05 / 16)^(1 / 60) = 0.0917.

        >>> found = choose_threshold(np.linspace(0.5, 0.9, 60), np.zeros(60, bool), risk=0.1)
        >>> found.threshold, round(found.bound, 4), found.num_accepted
        (0.0, 0.0917, 60)

    Raises:
        InputError: No candidate qualifies; the message names the smallest risk that these examples guarantee.

    Source: Geifman and El-Yaniv (2017), Selective classification for deep neural networks, NeurIPS, section 3 (the
    problem and the bound for one threshold); Angelopoulos et al. (2021), Learn then test, arXiv 2110.01052 (thresholds
    as hypotheses that are tested together).
    Differs from the paper: Geifman and El-Yaniv search by bisection, whose path depends on the labels, and correct for
    its length; here the candidates are fixed and the correction is for all of them, so that the guarantee does not
    assume a monotone risk.
    """
    _check_levels(risk, confidence)
    if repeats is not None and repeats.any:
        wrong = (np.bincount(repeats.content, wrong) > 0)[repeats.content]
        first = np.sort(np.unique(repeats.group, return_index=True)[1])
        student_confidence, wrong = student_confidence[first], wrong[first]
    num = len(student_confidence)
    if num == 0:
        raise InputError("There are no labelled examples to choose a threshold on; at least one is needed.")
    order = np.argsort(-student_confidence, kind="stable")
    falling, wrongs = student_confidence[order], np.concatenate([[0], np.cumsum(wrong[order])])
    places = np.unique(-(-num * np.arange(1, NUM_COVERAGES + 1) // NUM_COVERAGES))
    thresholds = np.append(falling, 0.0)[places]
    accepted = np.searchsorted(-falling, -thresholds, side="left")
    bounds = risk_bound(wrongs[accepted], accepted, failure=(1 - confidence) / NUM_COVERAGES)
    good = np.flatnonzero(bounds <= risk)
    if not len(good):
        least = int(bounds.argmin())
        different = "of different content " if repeats is not None and repeats.any else ""
        raise InputError(
            f"No threshold keeps the risk below {risk:g} at confidence {confidence:g} on {num} labelled examples "
            f"{different}({wrongs[-1]} wrong in all); the smallest risk that they guarantee is {_up(bounds[least]):g}, "
            f"at coverage {accepted[least] / num:.2f} ({wrongs[accepted[least]]} wrong of {accepted[least]})."
        )
    best = int(good[-1])
    return Abstention(
        risk=risk,
        confidence=confidence,
        threshold=float(thresholds[best]),
        bound=float(bounds[best]),
        num_calibration=num,
        num_accepted=int(accepted[best]),
        num_wrong=int(wrongs[accepted[best]]),
    )


def _check_levels(risk: float, confidence: float) -> None:
    for name, value in (("risk", risk), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InputError(f"Option {name} is {value:g}; it must be strictly between 0 and 1.")


def _up(bound: np.floating) -> float:
    """Rounded up to three decimals, so that the printed number is itself guaranteed."""
    return float(np.ceil(bound * 1000) / 1000)
