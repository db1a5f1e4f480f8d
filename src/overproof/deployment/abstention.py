"""When to say nothing: a threshold on the student's confidence below which it abstains, at a risk the user names.

The *selective risk* at a threshold t is R(t) = P(the student is wrong | its confidence exceeds t), against the truth
and not against the teacher. From m labelled examples that the student never saw, `choose_threshold` finds a t with
P(R(t) > risk) <= 1 - confidence, for every m, every student and every law of the examples; nothing is asymptotic and
the confidence need not be calibrated. All it asks is that calibration and later examples are drawn alike.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.functional.intervals import binomial_bounds

NUM_COVERAGES = 16
"""How many coverages are looked at, 1/16 to all: each costs a share of the failure probability, and the bound grows
with the logarithm of their number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Abstention:
    """A threshold and what is guaranteed of it; fit for JSON through `dataclasses.asdict`.

    Args:
        risk: The selective risk that was asked for, in (0, 1).
        confidence: How surely it is kept, in (0, 1): over draws of the calibration examples.
        threshold: The student answers where its largest probability is above it (strictly).
        bound: Upper bound on the selective risk at the threshold, at most `risk`; it holds at `confidence`.
        num_calibration: Labelled examples it was chosen on.
        num_accepted: Those of them that are answered.
        num_wrong: Those of the answered ones that are wrong.
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
        """Share of the calibration examples that are answered."""
        return self.num_accepted / self.num_calibration

    def sentence(self) -> str:
        """What is promised, and on what grounds."""
        return (
            f"It answers above a probability of {self.threshold:.4f}: at most {self.risk:.1%} of such answers are "
            f"wrong, at confidence {self.confidence:.0%}, if what is to come is drawn like the {self.num_calibration} "
            f"labelled examples that chose this ({self.num_wrong} wrong of {self.num_accepted} answered, coverage "
            f"{self.coverage:.1%}, bound {self.bound:.2%})."
        )

    def accepts(self, student_confidence: Float[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
        """True where the student answers."""
        accepted: NDArray[np.bool_] = student_confidence > self.threshold
        return accepted


def risk_bound(num_wrong: Int[np.ndarray, "C"], num: Int[np.ndarray, "C"], *, failure: float) -> Float[np.ndarray, "C"]:
    """Clopper and Pearson's bound on an error rate: the largest r with P(Binomial(num, r) <= num_wrong) >= failure.

    Args:
        num_wrong: [C], in 0..num.
        num: [C], independent examples; none tells nothing, and the bound is 1.
        failure: Probability that the bound is below the true rate, at most, in (0, 1).

    Example:
        Never wrong in two, with a quarter: (1 - r)^2 = 1/4.

        >>> risk_bound(np.array([0]), np.array([2]), failure=0.25).round(12)
        array([0.5])

    Source: Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the
    binomial, Biometrika 26.
    """
    return binomial_bounds(num_wrong, num, tail=failure)[1]


def choose_threshold(
    student_confidence: Float[np.ndarray, "M"],
    wrong: Bool[np.ndarray, "M"],
    *,
    risk: float,
    confidence: float = 0.95,
) -> Abstention:
    """The threshold with the largest coverage whose selective risk is at most `risk`, at the confidence asked for.

    Sort the calibration examples by confidence, highest first. For i = 1..16 let the candidate t_i be the confidence at
    place ceil(i m / 16) + 1, and the last one 0, which accepts all. Of the n_i examples strictly above t_i let e_i be
    wrong. Candidate i is good enough where the bound U_i = `risk_bound(e_i, n_i, failure=(1 - confidence) / 16)` is at
    most `risk`; the largest n_i among the good ones is taken.

    Why it holds: the places are fixed before any label is seen. Given t_i and n_i the examples strictly above t_i are
    independent draws from the law of examples whose confidence exceeds t_i (that is what an order statistic leaves of
    those above it, ties or not), so that e_i ~ Binomial(n_i, R(t_i)) and P(R(t_i) > U_i) <= (1 - confidence) / 16,
    given t_i and n_i and hence at all. By the union bound all 16 bounds hold together with probability `confidence`,
    so that the choice among them, whatever it looks at, costs nothing more.

    Args:
        student_confidence: [M], the student's largest probability on examples it was not trained on.
        wrong: [M], whether the class it names there is not the true one.
        risk: Allowed share of wrong answers among those given, in (0, 1).
        confidence: In (0, 1).

    Example:
        Sixty right answers and none wrong: all are accepted at a risk of 10 %, since 1 - (0.05 / 16)^(1 / 60) = 0.0917.

        >>> found = choose_threshold(np.linspace(0.5, 0.9, 60), np.zeros(60, bool), risk=0.1)
        >>> found.threshold, round(found.bound, 4), found.num_accepted
        (0.0, 0.0917, 60)

    Raises:
        InputError: No candidate is good enough; it names the smallest risk that these examples do guarantee.

    Source: Geifman and El-Yaniv (2017), Selective classification for deep neural networks, NeurIPS, section 3 (the
    problem and the bound for one threshold); Angelopoulos et al. (2021), Learn then test, arXiv 2110.01052 (thresholds
    as hypotheses that are tested together).
    Differs from the paper: Geifman and El-Yaniv search by bisection, whose path depends on the labels, and pay for its
    length; here the candidates are fixed and all are paid for, so that the guarantee needs no monotone risk.
    """
    for name, value in (("risk", risk), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InputError(f"Option {name} is {value:g}; it must lie strictly between 0 and 1.")
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
        raise InputError(
            f"No threshold keeps the risk below {risk:g} at confidence {confidence:g} on {num} labelled examples "
            f"({wrongs[-1]} wrong in all); the smallest risk that they guarantee is {_up(bounds[least]):g}, at "
            f"coverage {accepted[least] / num:.2f} ({wrongs[accepted[least]]} wrong of {accepted[least]})."
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


def _up(bound: np.floating) -> float:
    """Rounded up to three digits after the point, so that the number named is itself guaranteed."""
    return float(np.ceil(bound * 1000) / 1000)
