"""Verdicts by regression: known sums, and intervals that hold the difference as often as they say."""

import numpy as np
import pytest

from overproof.evaluation.disagreements import FEWEST, verdict_by_regression, verdict_of_disagreements


def world(rng):
    """Disagreements of two students, of few classes or many, with descriptions that say nothing to nearly all."""
    num = int(rng.choice([60, 200, 1000, 4000]))
    named = rng.choice([1, -1, 0], num, p=rng.dirichlet([2, 2, 1]))
    surer = rng.normal(size=num) * 0.3
    base, neither = rng.choice([0.5, 0.6, 0.8, 0.95, 0.99]), rng.choice([0.0, 0.0, 0.1, 0.5, 0.9])
    first = np.clip(base + rng.choice([0, 0.3, 0.8]) * named * min(base, 1 - base) * 0.8 + 0.1 * surer, 0, 1)
    gain = np.where(rng.random(num) < neither, 0, np.where(rng.random(num) < first, 1, -1))
    probability = named * rng.choice([1.0, rng.random()])
    return gain, np.stack([probability, named, surer], axis=1)


@pytest.mark.parametrize("found", [30, 40, 80, 160, 500])
def test_intervals_hold_the_difference_as_often_as_they_say_over_two_thousand_worlds(found):
    rng, held, narrower = np.random.default_rng(found), [], []
    while len(held) < 2000:
        gain, described = world(rng)
        if len(gain) <= found:
            continue
        known = rng.permutation(len(gain))[:found]
        verdict = verdict_by_regression(gain[known], described, known, num=len(gain))
        exact = verdict_of_disagreements(
            num=len(gain),
            num_different=len(gain),
            num_labelled=found,
            first_right=int((gain[known] == 1).sum()),
            second_right=int((gain[known] == -1).sum()),
        )
        held.append(verdict.low - 1e-9 <= gain.mean() <= verdict.high + 1e-9)
        narrower.append((verdict.high - verdict.low) / (exact.high - exact.low))
    assert np.mean(held) >= 0.95
    assert np.mean(narrower) < (0.95 if found < 40 else 0.85)


def test_a_description_that_knows_everything_leaves_six_imagined_gains():
    gain = np.random.default_rng(0).choice([-1, 1], 1000)
    known = np.arange(200)
    found = verdict_by_regression(gain[known], gain[:, None].astype(float), known, num=2000)
    # The penalty of one row's square moves it by a part in two hundred of what the sample lacks.
    assert found.difference == pytest.approx(gain.mean() / 2, abs=1e-3)
    # Student's 1.972 with 198 degrees of freedom, six gains of 1 or -1, four fifths not seen.
    mean = 2 * found.difference
    half = 1.972 * np.sqrt((3 * (1 - mean) ** 2 + 3 * (1 + mean) ** 2) / 200**2 * 0.8) / 2
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.01)


def test_few_labels_and_all_labels_are_exact():
    rng = np.random.default_rng(1)
    gain, described = rng.choice([-1, 0, 1], 60), rng.normal(size=(60, 3))
    for num in (FEWEST - 1, 60):
        known = np.arange(num)
        found = verdict_by_regression(gain[known], described, known, num=200)
        right = {"first_right": int((gain[known] == 1).sum()), "second_right": int((gain[known] == -1).sum())}
        assert found == verdict_of_disagreements(num=200, num_different=60, num_labelled=num, **right)


def test_students_in_the_other_order_have_the_other_sign():
    rng = np.random.default_rng(2)
    gain, described, known = rng.choice([-1, 0, 1], 300), rng.normal(size=(300, 3)), rng.permutation(300)[:90]
    one = verdict_by_regression(gain[known], described, known, num=900)
    other = verdict_by_regression(-gain[known], -described, known, num=900)
    assert (other.low, other.difference, other.high) == pytest.approx((-one.high, -one.difference, -one.low))
    assert (one.first_right, one.second_right) == (other.second_right, other.first_right)


def test_what_the_labels_have_shown_bounds_the_rest():
    """Of 100 disagreements 98 are known, with a sum of 49: the two others make it 47 to 51."""
    gain = np.array([1] * 70 + [-1] * 21 + [0] * 7)
    found = verdict_by_regression(gain, np.random.default_rng(0).normal(size=(100, 1)), np.arange(98), num=100)
    assert (found.low, found.high) == pytest.approx((0.47, 0.51), abs=0.011)
    assert 0.47 <= found.low < found.difference < found.high <= 0.51


def test_where_the_second_is_hardly_ever_right_the_interval_knows_it_may_be():
    """The other gains are so rare that often none is seen."""
    rng, held = np.random.default_rng(3), []
    for share in np.linspace(0.01, 0.08, 8):
        gain = np.where(np.arange(2000) < 2000 * share, -1, 1)
        for _ in range(500):
            known = rng.permutation(2000)[:50]
            found = verdict_by_regression(gain[known], np.zeros((2000, 1)), known, num=2000)
            held.append(found.low <= gain.mean() <= found.high)
    assert np.mean(held) >= 0.95
    assert np.mean(np.reshape(held, (8, -1)), axis=1).min() > 0.93
