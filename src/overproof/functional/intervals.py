"""Confidence intervals of proportions: exact binomial, Wilson's, and of the difference of two paired proportions."""

from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from overproof.errors import InputError


def binomial_bounds(hits: Any, num: Any, *, tail: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact lower and upper bounds of binomial proportions (Clopper and Pearson), elementwise.

    Each bound fails with probability `tail` at most; together they are an interval of level 1 - 2 tail. The lower bound
    is the smallest p with P(Binomial(num, p) >= hits) >= tail, the upper one the largest p with
    P(Binomial(num, p) <= hits) >= tail.

    Args:
        hits: Counts in 0..num, perhaps not whole (`overproof.functional.repeats`); arrays that broadcast against each
            other.
        num: Numbers of independent trials; 0 gives the bounds 0 and 1.
        tail: In (0, 1).

    Returns:
        The lower and the upper bounds.

    Example:
        No hit in two trials, upper bound at tail probability 1/4: (1 - p)^2 = 1/4.

        >>> low, high = binomial_bounds(np.array([0]), np.array([2]), tail=0.25)
        >>> low, high.round(12)
        (array([0.]), array([0.5]))

    Source: Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the
    binomial, Biometrika 26.
    """
    from scipy.special import betaincinv  # slow to import, and predictions without a risk need none

    # The beta distribution has no parameter zero: these two bounds are known without it.
    low = np.where(hits > 0, betaincinv(np.where(hits > 0, hits, 1), num - hits + 1, tail), 0.0)
    high = np.where(hits < num, betaincinv(hits + 1, np.where(hits < num, num - hits, 1), 1 - tail), 1.0)
    return low, high


def accuracy_interval(num_right: float | int, num: float | int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of an accuracy: all p with |num_right / num - p| <= z sqrt(p (1 - p) / num).

    Args:
        num_right: In 0..num, perhaps not whole.
        num: Number of independent test examples, above 0; below 1 where few groups of unequal size are cross-validated.
        level: In (0, 1).

    Returns:
        The lower and the upper end, within [0, 1].

    Example:
        None right of four: between 0 and z^2 / (4 + z^2) with z = 1.96.

        >>> low, high = accuracy_interval(0, 4)
        >>> low, round(high, 3)
        (0.0, 0.49)

    Raises:
        InputError: Counts outside these ranges.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    if not 0 <= num_right <= num or num <= 0:
        raise InputError(f"{num_right} right of {num} is not an accuracy: 0 <= right <= number and number > 0.")
    z2 = _normal_quantile((1 + level) / 2) ** 2
    middle = (num_right + z2 / 2) / (num + z2)
    half = (z2 * (num_right * (num - num_right) / num + z2 / 4)) ** 0.5 / (num + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_difference(
    first: Bool[Tensor, "N"],
    second: Bool[Tensor, "N"],
    *,
    level: float = 0.95,
    num_independent: float | None = None,
) -> tuple[float, float, float]:
    """Accuracy of the second of two classifiers less that of the first on the same examples, with its interval.

    The difference is (b - c) / N, where b examples are right for the second only and c for the first only. The interval
    is Agresti and Min's: Wald's after adding 1/2 to each of the four cells, so that two classifiers that never differ
    get an interval of positive width.

    Args:
        first: [N], whether the first is right (`overproof.evaluation.metrics.correct`).
        second: [N], whether the second is right.
        level: In (0, 1).
        num_independent: How many of the N are independent (`overproof.functional.repeats`); None for all.

    Returns:
        The difference and the ends of its interval, in [-1, 1].

    Example:
        >>> import torch
        >>> same = torch.tensor([True, False, True])
        >>> [round(each, 2) for each in paired_difference(same, same)]
        [0.0, -0.39, 0.39]

    Source: Agresti and Min (2005), Simple improved confidence intervals for comparing matched proportions, Statistics
    in Medicine 24.
    """
    num: float = len(first)
    won, lost = float((second & ~first).sum()), float((first & ~second).sum())
    difference = (won - lost) / num
    if num_independent is not None:
        won, lost, num = won / num * num_independent, lost / num * num_independent, num_independent
    middle = (won - lost) / (num + 2)
    half = _normal_quantile((1 + level) / 2) * ((won + lost + 1 - (won - lost) ** 2 / (num + 2)) ** 0.5) / (num + 2)
    return difference, max(-1.0, middle - half), min(1.0, middle + half)


def _normal_quantile(probability: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(probability))
