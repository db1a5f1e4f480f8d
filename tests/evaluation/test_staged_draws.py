"""Draws in stages: the weighted mean has no bias over all draws, equal probabilities count 1, RAD is minimax."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from overproof.errors import InputError
from overproof.evaluation.staged_draws import (
    SMALLEST_GAIN,
    Stage,
    draw_weights,
    gains_of,
    mixed_with_uniform,
    robust_probabilities,
)

LOSS = np.array([0.3, -1.0, 2.5, 0.7, 4.0, 1.1, -0.2])


def design(left, num, taken):
    """All subsets of `num` rows with unequal probabilities that depend on what was taken, and the rows' inclusion."""
    subsets = list(itertools.combinations(left, num))
    share = np.array([(1 + sum(subset)) ** 2 + sum(taken) * (1 + subset[0]) for subset in subsets], float)
    share /= share.sum()
    inclusion = {row: sum(p for p, subset in zip(share, subsets, strict=True) if row in subset) for row in left}
    return zip(subsets, share, strict=True), inclusion


def expected(stages, weights=draw_weights):
    """The mean of weight times loss, expected over a random first draw of two rows and all later draws."""
    everyone = range(len(LOSS))
    firsts = list(itertools.combinations(everyone, 2))
    total = 0.0

    def go(taken, weighted, place, probability):
        nonlocal total
        if place == len(stages):
            rows, inclusion, stage = (np.array(each) for each in zip(*weighted, strict=True))
            num = 2 + len(rows)
            counted = LOSS[list(taken[:2])].sum() + (weights(inclusion, stage, stages) * LOSS[rows]).sum()
            total += probability * counted / num
            return
        left = [row for row in everyone if row not in taken]
        assert len(left) == stages[place].num_left
        subsets, inclusion = design(left, stages[place].num, taken)
        for subset, share in subsets:
            more = [(row, inclusion[row], place) for row in subset]
            go((*taken, *subset), [*weighted, *more], place + 1, probability * share)

    for first in firsts:
        go(first, [], 0, 1 / len(firsts))
    return total


@pytest.mark.parametrize(
    "stages",
    [
        [Stage(num_left=5, num=2)],
        [Stage(num_left=5, num=2), Stage(num_left=3, num=1)],
        [Stage(num_left=5, num=1), Stage(num_left=4, num=2), Stage(num_left=2, num=1)],
        [Stage(num_left=5, num=2), Stage(num_left=3, num=3)],
    ],
)
def test_the_weighted_mean_has_no_bias_over_all_draws(stages):
    assert expected(stages) == pytest.approx(LOSS.mean(), abs=1e-12)


def test_without_the_later_stages_share_it_would_have_one():
    def by_stage(inclusion, stage, stages):
        return np.array([each.num / each.num_left for each in stages])[stage] / inclusion

    stages = [Stage(num_left=5, num=2), Stage(num_left=3, num=1)]
    assert abs(expected(stages, by_stage) - LOSS.mean()) > 0.01
    assert abs(expected(stages, lambda inclusion, *_: np.ones(len(inclusion))) - LOSS.mean()) > 0.01


def test_equal_probabilities_count_exactly_one():
    stages = [Stage(num_left=95_000, num=2000), Stage(num_left=93_000, num=7), Stage(num_left=92_999, num=311)]
    stage = np.array([0, 1, 2, 2, 0])
    inclusion = np.array([each.num / each.num_left for each in stages])[stage]
    assert (draw_weights(inclusion, stage, stages) == 1).all()


def test_one_row_a_stage_is_the_levelled_estimator_of_the_paper():
    # Farquhar et al., equation of R_LURE: v_m = 1 + (N - M) / (N - m) (1 / ((N - m + 1) q_m) - 1).
    total, drawn, q = 9, 4, np.array([0.3, 0.05, 0.4, 0.2])
    m = np.arange(1, drawn + 1)
    paper = 1 + (total - drawn) / (total - m) * (1 / ((total - m + 1) * q) - 1)
    stages = [Stage(num_left=total - each, num=1) for each in range(drawn)]
    assert draw_weights(q, np.arange(drawn), stages) == pytest.approx(paper)


@pytest.mark.parametrize("num_wrong", [0, 1, 2, 3])
def test_no_shares_gain_more_where_the_wrong_answers_hurt_most(num_wrong):
    generator = np.random.default_rng(num_wrong)
    for _ in range(5):
        gains = generator.uniform(0.05, 1, 6)
        found = robust_probabilities(gains, num_wrong)
        assert found.sum() == pytest.approx(1)
        # The adversary takes the rows that are worth most; the linear program has every other set of them as a row.
        ours = np.sort(found * gains)[: 6 - num_wrong].sum()
        subsets = list(itertools.combinations(range(6), num_wrong))
        rows = [[*(-gains[i] * (i not in subset) for i in range(6)), 1.0] for subset in subsets]
        best = linprog(
            [0.0] * 6 + [-1.0], A_ub=rows, b_ub=[0.0] * len(rows), A_eq=[[1.0] * 6 + [0.0]], b_eq=[1.0],
            bounds=[(0, None)] * 6 + [(None, None)],
        )  # fmt: skip
        assert ours == pytest.approx(-best.fun, abs=1e-9)


def test_every_row_may_be_drawn_and_none_counts_more_than_twice():
    scores = mixed_with_uniform(np.array([5.0, 1.0, 0.0, 0.0]), 0.5)
    assert scores == pytest.approx([0.125 + 0.5 * 5 / 6, 0.125 + 0.5 / 6, 0.125, 0.125])
    assert (0.25 / scores).max() == pytest.approx(2)
    assert gains_of(np.array([1.0, 0.25], np.float32)).tolist() == [SMALLEST_GAIN, 0.75]
    with pytest.raises(InputError, match="positive and finite"):
        robust_probabilities(np.array([0.0, 1.0]), 1)
