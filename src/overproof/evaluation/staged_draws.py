"""Rows of a pool drawn in stages with unequal probabilities: which to draw next, and what each then counts.

A first stage is a simple random sample that the teacher has answered. Each later one is drawn from the rows that are
left, with probabilities that may depend on all answers so far, such as those of a student trained on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from overproof.errors import InputError

UNIFORM_SHARE = 0.5
"""Share of the draws of `mixed_with_uniform` that goes to all rows alike; no row then counts more than twice."""

SMALLEST_GAIN = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Stage:
    """One draw.

    Args:
        num_left: Rows that it was drawn from.
        num: Rows that were drawn.
    """

    num_left: int
    num: int

    def __str__(self) -> str:
        return f"{self.num} of {self.num_left}"


def draw_weights(
    inclusion: Float[np.ndarray, "n"], stage: Int[np.ndarray, "n"], stages: Sequence[Stage]
) -> Float[np.ndarray, "n"]:
    """What each drawn row counts, so that the mean of weight times loss has no bias for the mean loss on the pool.

    weight = 1 + (1 - r) (equal / inclusion - 1), where `equal` is the share of the rows left that the row's stage drew,
    and r the share of the rows left after it that all later stages drew. A row that was as likely as all others in its
    stage counts 1. The rows of a simple random first stage count 1 as well, and are not to be given.

    Without bias given what was drawn before: the mean of every stage, each row divided by its probability and the
    earlier rows added, estimates the pool's; the weights combine these estimates in fixed shares, those at which equal
    probabilities give every row the same weight.

    Args:
        inclusion: [n], the probability with which each row was drawn in its stage, in (0, 1].
        stage: [n], its place in `stages`.
        stages: In their order in time, so that `num_left` falls; without the random first stage.

    Example:
        Of four rows two were drawn, one with probability .8 and one with .2; .5 each would have been equal.

        >>> draw_weights(np.array([0.8, 0.2]), np.array([0, 0]), [Stage(num_left=4, num=2)])
        array([0.625, 2.5  ])

        A second stage then took one of the two that were left, so that the first one's counts differ less.

        >>> both = [Stage(num_left=4, num=2), Stage(num_left=2, num=1)]
        >>> draw_weights(np.array([0.8, 0.2, 0.5]), np.array([0, 0, 1]), both)
        array([0.8125, 1.75  , 1.    ])

    Source: Farquhar, Gal and Rainforth (2021), On statistical bias in active learning (ICLR), arXiv 2101.11665: their
        levelled estimator draws one row a stage, this one any number; Horvitz and Thompson (1952), JASA 47.
    """
    num = np.array([each.num for each in stages], dtype=np.float64)
    num_left = np.array([each.num_left for each in stages], dtype=np.float64)
    drawn_later = np.append(num[::-1].cumsum()[::-1][1:], 0.0)
    later = drawn_later / np.append(num_left[1:], 1.0)
    weight: NDArray[np.float64] = 1 + (1 - later[stage]) * ((num / num_left)[stage] / inclusion - 1)
    return weight


def robust_probabilities(gains: Float[np.ndarray, "N"], num_wrong: int | float) -> Float[np.ndarray, "N"]:
    """The shares in which to ask about rows where an unknown few of the teacher's answers are wrong.

    Of the rows in order of falling gain, the first k* have a probability proportional to 1 / gain, the others none;
    k* is where (k - num_wrong) / H_k is largest, H_k the sum of 1 / gain over the first k. Then the gain to be expected
    is (k* - num_wrong) / H_k* if the wrong answers are where they hurt most, and no other shares have more.

    Args:
        gains: [N], what a right answer to each row is worth, positive; such as one minus the student's margin.
        num_wrong: How many of the N answers are wrong, at most.

    Returns:
        [N], with the sum 1.

    Example:
        One answer may be wrong: one row alone could gain nothing, two 1/3, and three gain 2/5.

        >>> robust_probabilities(np.array([1.0, 0.5, 0.5]), 1)
        array([0.2, 0.4, 0.4])

    Raises:
        InputError: A gain that is not positive and finite.

    Source: RAD, Baykal et al. (2022), Robust active distillation (ICLR 2023), arXiv 2210.01213.
    """
    if not (len(gains) and np.isfinite(gains).all() and (gains > 0).all()):
        raise InputError("Gains must be positive and finite, and there must be some.")
    order = np.argsort(-gains, kind="stable")
    harmonic = np.cumsum(1 / gains[order])
    best = int(np.argmax((np.arange(1, len(gains) + 1) - num_wrong) / harmonic)) + 1
    probability = np.zeros(len(gains))
    probability[order[:best]] = 1 / gains[order[:best]] / harmonic[best - 1]
    return probability


def gains_of(margin: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """One minus a student's margin, at least 1e-6: how unsure it is of each row.

    Args:
        margin: [N], the likeliest class's probability less the second's, in [0, 1].
    """
    found: NDArray[np.float64] = np.maximum(1 - margin.astype(np.float64), SMALLEST_GAIN)
    return found


def mixed_with_uniform(scores: Float[np.ndarray, "N"], share: float = UNIFORM_SHARE) -> Float[np.ndarray, "N"]:
    """Shares in proportion to scores, mixed with equal ones, so that every row may be drawn and none counts too much.

    Args:
        scores: [N], not negative, with a positive sum.
        share: That of the equal ones, in (0, 1]: no weight is above 1 / share.

    Example:
        >>> mixed_with_uniform(np.array([3.0, 1.0, 0.0, 0.0]), 0.5)
        array([0.5  , 0.25 , 0.125, 0.125])

    Source: Hesterberg (1995), Weighted average importance sampling and defensive mixture distributions, Technometrics
        37.
    """
    return (1 - share) * scores / scores.sum() + share / len(scores)
