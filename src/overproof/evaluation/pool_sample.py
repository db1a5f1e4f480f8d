"""How often a model is right on a pool, from labels of a few of its rows that were drawn with known probabilities."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.functional.intervals import binomial_bounds

LEVEL = 0.95

_Right = Bool[np.ndarray, "n"] | Float[np.ndarray, "n"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolAccuracy:
    """An accuracy on the N rows of a pool.

    Args:
        num: N.
        num_labelled: Rows with a label.
        accuracy: The estimate.
        low: Lower end of its interval of 95 %.
        high: Its upper end.
    """

    num: int
    num_labelled: int
    accuracy: float
    low: float
    high: float


def spread_of(accuracy: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """The standard deviation of being right, by the probability of it: rows are drawn in proportion to it.

    Args:
        accuracy: [N], in [0, 1]; taken as at least .02 and at most .98, so that no row is hardly ever drawn.

    Example:
        >>> spread_of(np.array([0.5, 0.8])).round(3)
        array([0.5, 0.4])

    Source: Neyman (1934), On the two different aspects of the representative method, JRSS 97: the allocation that gives
    a stratified mean the smallest variance.
    """
    known = np.clip(accuracy, 0.02, 0.98)
    spread: NDArray[np.float64] = np.sqrt(known * (1 - known))
    return spread


def inclusion_probabilities(scores: Float[np.ndarray, "N"], num: int) -> Float[np.ndarray, "N"]:
    """The probability of every row to be among `num` drawn ones: in proportion to the scores, but at most 1.

    Args:
        scores: [N], positive.
        num: Rows to draw, 1 to N.

    Returns:
        [N], with the sum `num`.

    Example:
        The first row is drawn for sure, the others share the second place.

        >>> inclusion_probabilities(np.array([8.0, 1.0, 1.0]), 2)
        array([1. , 0.5, 0.5])

    Raises:
        InputError: A score that is not positive and finite, or a number outside its range.
    """
    if not (1 <= num <= len(scores) and np.isfinite(scores).all() and (scores > 0).all()):
        raise InputError(
            f"{num} of {len(scores)} rows cannot be drawn by these scores; they must be positive and finite."
        )
    certain = np.zeros(len(scores), bool)
    while True:
        left = num - int(certain.sum())
        probability = np.where(certain, 1.0, left * scores / max(scores[~certain].sum(), np.finfo(float).tiny))
        if (more := (probability >= 1) & ~certain).any():
            certain |= more
            continue
        return probability


def drawn_rows(inclusion: Float[np.ndarray, "N"], generator: np.random.Generator) -> Int[np.ndarray, "n"]:
    """Rows drawn with exactly these probabilities: systematic sampling of the rows in random order.

    Args:
        inclusion: [N], of `inclusion_probabilities`; its sum n is a whole number.
        generator: Decides the order and the start.

    Returns:
        [n], distinct rows in random order.

    Example:
        >>> drawn_rows(np.array([1.0, 0.5, 0.5]), np.random.default_rng(0)).shape
        (2,)

    Source: Madow (1949), On the theory of systematic sampling II, Annals of Mathematical Statistics 20.
    """
    order = generator.permutation(len(inclusion))
    ends = np.cumsum(inclusion[order])
    num = round(float(ends[-1]))
    ends *= num / ends[-1]
    places = np.searchsorted(ends, generator.random() + np.arange(num), side="right")
    return generator.permutation(order[np.minimum(places, len(order) - 1)])


def accuracy_of_sample(right: _Right, num: int) -> PoolAccuracy:
    """The accuracy on N rows, from a simple random sample of n; the interval of Clopper and Pearson is exact.

    Args:
        right: [n], whether the model names the class that people name, or how often it would, n at least 1.
        num: N.

    Example:
        >>> found = accuracy_of_sample(np.array([True] * 45 + [False] * 5), 1000)
        >>> found.accuracy, round(found.low, 2), round(found.high, 2)
        (0.9, 0.78, 0.97)
        >>> everything = accuracy_of_sample(np.array([True, False]), 2)
        >>> everything.low, everything.high
        (0.5, 0.5)
    """
    hits, found = float(right.sum()), len(right)
    accuracy = hits / found
    if found == num:
        low = high = accuracy
    else:
        lows, highs = binomial_bounds(np.array([hits]), np.array([found]), tail=(1 - LEVEL) / 2)
        low, high = float(lows[0]), float(highs[0])
    return PoolAccuracy(num=num, num_labelled=found, accuracy=accuracy, low=low, high=high)


def accuracy_by_inclusion(
    right: _Right,
    expected: Float[np.ndarray, "n"],
    inclusion: Float[np.ndarray, "n"],
    *,
    expected_mean: float,
    num: int,
) -> PoolAccuracy:
    """The accuracy on N rows, from n that were drawn with unequal probabilities: the difference estimator.

    accuracy = mean of expected + (1/N) sum over the sample of (right - expected) / inclusion. It has no bias, whatever
    `expected` is; where that is good, the second term and its variance are small. The interval takes the terms as
    independent and Student's t with n - 1 degrees of freedom.

    Args:
        right: [n], whether the model names the class that people name, or how often it would, n at least 2.
        expected: [n], the probability of it by a fit on other rows.
        inclusion: [n], the probabilities with which these rows were drawn, in (0, 1].
        expected_mean: Mean of the same fit on all N rows.
        num: N.

    Example:
        The fit knows everything: there is nothing to add.

        >>> sure = np.array([1.0, 0.0])
        >>> found = accuracy_by_inclusion(sure > 0.5, sure, np.array([0.5, 0.25]), expected_mean=0.7, num=10)
        >>> found.accuracy, found.low, found.high
        (0.7, 0.7, 0.7)

    Source: Särndal, Swensson and Wretman (1992), Model assisted survey sampling, section 6.3; the same estimate as that
    of prediction-powered inference, Angelopoulos et al. (2023), arXiv 2301.09633.
    """
    from scipy.special import stdtrit  # slow to import

    found = len(right)
    terms = (right - expected) / inclusion / num
    accuracy = expected_mean + float(terms.sum())
    half = float(stdtrit(found - 1, (1 + LEVEL) / 2) * np.sqrt(found * terms.var(ddof=1)))
    return PoolAccuracy(
        num=num,
        num_labelled=found,
        accuracy=accuracy,
        low=max(0.0, accuracy - half),
        high=min(1.0, accuracy + half),
    )
