"""Numbers estimated from labelled examples with their 95 % intervals, among them the teacher's accuracy by margin."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from overproof.functional.intervals import accuracy_interval
from overproof.functional.repeats import Repeats, standard_error
from overproof.noise import class_accuracy, isotonic_accuracy
from overproof.seeds import derived_seed

NUM_RESAMPLES = 200
"""Bootstrap resamples of the labelled examples for a confidence band."""
PRIOR = 4.0
"""Pseudo-examples at either end of the curve, as in `Isotonic`."""
NUM_REDRAWN = 4000
"""Tables of counts drawn for a p-value, which can therefore not be below .00025."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number estimated from labelled examples, with its 95 % interval.

    Args:
        mean: Point estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1%} [{self.low:.1%}, {self.high:.1%}]"


def share_of(right: Tensor, repeats: Repeats | None = None) -> Estimate:
    """The share of true entries, with Wilson's interval.

    Args:
        right: [N], bool.
        repeats: Of these examples, all of different content: the interval counts independent ones.

    Example:
        >>> str(share_of(torch.tensor([True, False, False, False])))
        '25.0% [4.6%, 69.9%]'
    """
    mean, num = right.double().mean().item(), len(right) if repeats is None else repeats.num_independent
    low, high = accuracy_interval(int(right.sum()) if num == len(right) else mean * num, num)
    return Estimate(mean=mean, low=low, high=high)


def mean_of(values: NDArray[np.float64], repeats: Repeats | None = None) -> Estimate:
    """The mean of some values, with the interval of the normal approximation.

    Args:
        values: [N], at least two.
        repeats: Of their examples; None if they are independent.

    Example:
        >>> mean_of(np.array([1.0, 3.0])).mean
        2.0
    """
    error = values.std(ddof=1) / np.sqrt(len(values))
    if repeats is not None and repeats.any:
        error = standard_error(torch.from_numpy(values), repeats)
    mean, half = float(values.mean()), float(ndtri(0.975) * error)
    return Estimate(mean=mean, low=mean - half, high=mean + half)


def accuracy_by_margin(
    margins: Tensor, right: Tensor, shown: Tensor, pool_margins: Tensor, seed: int, repeats: Repeats | None = None
) -> tuple[list[Estimate], Estimate]:
    """Isotonic accuracy of the teacher at given margins and averaged over the pool, with bootstrap intervals.

    Args:
        margins: [V], the teacher's margins on labelled examples.
        right: [V], whether its likeliest class is the label.
        shown: [M], the margins at which the curve is evaluated.
        pool_margins: [N], the teacher's margins on the pool.
        seed: Seed of the resamples.
        repeats: Of the labelled examples, all of different content; a resample draws groups.

    Returns:
        M estimates, each with a pointwise interval, and the expected accuracy on the pool.
    """
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "bootstrap")))
    # The pool is represented by a thousand quantiles: only the mean over it is needed.
    pool = torch.from_numpy(np.quantile(pool_margins.numpy(), (np.arange(1000) + 0.5) / 1000))
    curves, means = [], []
    for number in range(NUM_RESAMPLES + 1):
        rows = torch.arange(len(margins))
        if number:
            rows = torch.from_numpy((repeats or Repeats.none(len(margins))).resampled(generator))
        fitted = isotonic_accuracy(margins[rows], right[rows], prior=PRIOR)
        curves.append(fitted(shown).double().numpy())
        means.append(fitted(pool).double().mean().item())
    low, high = np.quantile(curves[1:], (0.025, 0.975), axis=0)
    estimates = [
        Estimate(mean=float(at), low=float(min(a, at)), high=float(max(b, at)))
        for at, a, b in zip(curves[0], low, high, strict=True)
    ]
    pool_low, pool_high = np.quantile(means[1:], (0.025, 0.975))
    return estimates, Estimate(mean=means[0], low=float(pool_low), high=float(pool_high))


def accuracy_by_named_class(
    named: Tensor, right: Tensor, pool_shares: Tensor, seed: int, repeats: Repeats | None = None
) -> Estimate:
    """Accuracy of a teacher of hard labels, averaged over the classes that it names on the pool, by bootstrap.

    Args:
        named: [V], the classes that it names on labelled examples.
        right: [V], whether they are the labels.
        pool_shares: [K], the shares of the classes among its answers on the pool.
        seed: Seed of the resamples.
        repeats: Of the labelled examples, all of different content; a resample draws groups.

    Example:
        Right in half where it names class 0, always where it names class 1, which it names more often on the pool.

        >>> named = torch.arange(400) // 200
        >>> right = (named == 1) | (torch.arange(400) % 2 == 0)
        >>> round(accuracy_by_named_class(named, right, torch.tensor([0.1, 0.9]), seed=0).mean, 2)
        0.95
    """
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "bootstrap")))
    means = []
    for number in range(NUM_RESAMPLES + 1):
        rows = torch.arange(len(named))
        if number:
            rows = torch.from_numpy((repeats or Repeats.none(len(named))).resampled(generator))
        by_class = class_accuracy(named[rows], right[rows], len(pool_shares), lower=0.0, prior=PRIOR).values
        means.append(float(by_class @ pool_shares.double()))
    low, high = np.quantile(means[1:], (0.025, 0.975))
    return Estimate(mean=means[0], low=float(low), high=float(high))


def same_shares(first: NDArray[Any], second: NDArray[Any], seed: int) -> float:
    """The p-value of the test that two samples of classes are of one distribution, by their chi-square statistic.

    Args:
        first: [K], how many of the first sample are of each class.
        second: [K], the same of the second.
        seed: Of the tables that are drawn with the same sums, since classes may be too few for a limit to hold.

    Example:
        >>> same_shares(np.array([10, 10]), np.array([40, 40]), seed=0)
        1.0
        >>> same_shares(np.array([40, 0]), np.array([40, 40]), seed=0) < 0.001
        True
    """
    both = first + second
    num_first, num = first.sum(), both.sum()
    seen = both > 0

    def distance(counts: NDArray[Any]) -> NDArray[Any]:
        # With fixed sums the statistic is this times a constant.
        return np.asarray((((counts - both * num_first / num) ** 2)[..., seen] / both[seen]).sum(axis=-1))

    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "same_shares")))
    drawn = generator.multivariate_hypergeometric(both, num_first, size=NUM_REDRAWN, method="marginals")
    # Equal tables may differ by rounding.
    return float((1 + (distance(drawn) >= distance(first) - 1e-9).sum()) / (1 + NUM_REDRAWN))


def same_distribution(first: NDArray[Any], second: NDArray[Any]) -> float:
    """The p-value of Kolmogorov and Smirnov's test that two samples are of one distribution.

    Args:
        first: [N] numbers.
        second: [M] numbers.

    Example:
        >>> same = np.arange(50.0)
        >>> same_distribution(same, same), same_distribution(same, same + 40) < 1e-9
        (1.0, True)

    Source: the approximation for finite samples of Stephens (1970): with 20 and 500 numbers within .016 of the exact
    value, with 50 and 50 within .05. `scipy.stats.ks_2samp` is exact, and takes a second to import.
    """
    from scipy.special import kolmogorov

    values = np.concatenate([first, second])
    below = [np.searchsorted(np.sort(sample), values, side="right") for sample in (first, second)]
    distance = np.abs(below[0] * len(second) - below[1] * len(first)).max() / (len(first) * len(second))
    root = np.sqrt(len(first) * len(second) / (len(first) + len(second)))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))
