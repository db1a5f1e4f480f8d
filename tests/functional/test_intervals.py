"""Intervals of proportions against their definitions and published values."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import beta, binom, norm

from overproof.errors import InputError
from overproof.functional.intervals import accuracy_interval, binomial_bounds, paired_difference


@pytest.mark.parametrize("tail", [0.025, 0.003125, 0.25])
def test_binomial_bounds_are_quantiles_of_the_beta_distribution(tail):
    num = np.array([1, 2, 7, 30, 1000])[:, None]
    hits = np.minimum(np.array([0, 1, 2, 5, 29, 800, 1000]), num)
    low, high = binomial_bounds(hits, num, tail=tail)
    np.testing.assert_allclose(low, np.where(hits > 0, beta.ppf(tail, hits, num - hits + 1), 0.0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        high, np.where(hits < num, beta.ppf(1 - tail, hits + 1, num - hits), 1.0), rtol=0, atol=1e-12
    )
    inside = (hits > 0) & (hits < num)
    np.testing.assert_allclose(binom.cdf(hits, num, high)[inside], tail, rtol=1e-9)
    np.testing.assert_allclose(binom.sf(hits - 1, num, low)[inside], tail, rtol=1e-9)


def test_no_trials_give_the_whole_range():
    low, high = binomial_bounds(np.array(0), np.array(0), tail=0.025)
    assert (float(low), float(high)) == (0.0, 1.0)


@pytest.mark.parametrize(("num_right", "num"), [(0, 7), (7, 7), (3, 7), (810, 1000)])
def test_wilson_ends_are_the_accuracies_one_sampling_error_away(num_right, num):
    for end in accuracy_interval(num_right, num):
        if 0 < end < 1:
            error = norm.ppf(0.975) * math.sqrt(end * (1 - end) / num)
            assert abs(num_right / num - end) == pytest.approx(error)
        else:
            assert num_right in (0, num)


def test_wilson_is_symmetric_and_known():
    low, high = accuracy_interval(81, 263)
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263.
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert accuracy_interval(182, 263) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("num_right", "num"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_rejected(num_right, num):
    with pytest.raises(InputError, match=f"{num_right} right of {num}"):
        accuracy_interval(num_right, num)


def test_the_paired_interval_by_hand():
    """Ten examples, two won and one lost: middle 1/12, variance (4 - 1/12) / 144."""
    first = torch.tensor([True] * 5 + [False] * 5)
    second = torch.tensor([True] * 4 + [False] * 4 + [True] * 2)
    difference, low, high = paired_difference(first, second)
    half = 1.959964 * ((4 - 1 / 12) ** 0.5) / 12
    assert difference == pytest.approx(0.1)
    assert (low, high) == pytest.approx((1 / 12 - half, 1 / 12 + half))
