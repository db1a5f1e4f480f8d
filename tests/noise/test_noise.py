"""Estimates of the teacher's errors: hand numbers, exact identities, and worlds whose truth is known."""

import json
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from overproof.errors import InputError
from overproof.methods.noise_models import Isotonic, Noiseless
from overproof.noise import (
    NoiseModel,
    QuantileGrid,
    calibrate,
    fit_temperature,
    fixed_candidates,
    global_accuracy,
    isotonic_accuracy,
    knn_accuracy,
    lower_bound,
    margin,
    nearest_neighbour_mean,
    num_candidates,
    num_cells,
    num_neighbours,
    transition_interval,
    transition_matrix,
)
from overproof.noise.accuracy import LOWER_BOUNDS
from overproof.synthetic import blobs, corrupt, margin_world

ALL_MARGINS = torch.arange(0x3C01, dtype=torch.int16).view(torch.float16)
SIZES = (100, 400, 1600, 6400)


def one_hot(label, num_classes):
    return torch.nn.functional.one_hot(label, num_classes).float()


def right(world):
    return world.teacher_probs.argmax(1) == world.label


def examples(min_size=1, max_size=40):
    """Margins, few of them distinct so that ties occur, and whether the teacher was right."""
    pair = st.tuples(st.integers(0, 16).map(lambda i: i / 16), st.booleans())
    return st.lists(pair, min_size=min_size, max_size=max_size)


# Margin


def test_the_margin_is_top_less_second_in_single_precision():
    probs = torch.tensor([[0.25, 0.625, 0.125], [0.5, 0.5, 0.0]], dtype=torch.float16)
    assert margin(probs).tolist() == [0.375, 0.0]
    assert margin(probs).dtype == torch.float32


def test_a_teacher_of_one_class_has_no_margin():
    with pytest.raises(InputError, match=r"1 class\(es\)"):
        margin(torch.ones(3, 1))


# Accuracy by isotonic regression


def test_isotonic_by_hand_on_five_points():
    accuracy = isotonic_accuracy([0.5, 0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0, 1])
    asked = [0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 1.0]
    np.testing.assert_allclose(accuracy(asked), [0, 0, 0.25, 0.5, 0.5, 0.5, 0.75, 1, 1], atol=1e-6)


def test_ties_count_as_many_times_as_they_occur():
    accuracy = isotonic_accuracy([0.25, 0.25, 0.25, 0.75], [1, 1, 0, 0])
    np.testing.assert_allclose(accuracy([0.0, 0.5, 1.0]), [0.5, 0.5, 0.5])  # unweighted pools would give 1/3


@pytest.mark.parametrize("digits", [1, 2, 8])
def test_isotonic_agrees_with_scikit_learn(digits):
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(digits)
    margins = rng.random(300).round(digits)
    correct = rng.random(300) < 0.4 + 0.5 * margins
    peer = IsotonicRegression(out_of_bounds="clip", y_min=0.6, y_max=1).fit(margins, correct)
    asked = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(isotonic_accuracy(margins, correct, 0.6)(asked), peer.predict(asked), atol=2e-7)


@pytest.mark.parametrize("num_examples", [1, 2, 7, 500])
@pytest.mark.parametrize("lower", [0.0, 0.55])
def test_the_table_is_the_curve_at_every_half_precision_margin(num_examples, lower):
    rng = np.random.default_rng(num_examples)
    margins = rng.random(num_examples)
    accuracy = isotonic_accuracy(margins, rng.random(num_examples) < margins, lower)
    assert len(accuracy.table()) == 0x3C01
    assert torch.equal(accuracy.table(), accuracy(ALL_MARGINS))
    assert torch.equal(accuracy.lookup(ALL_MARGINS), accuracy(ALL_MARGINS))
    # One at a time there is nothing to vectorise: the same bits all the same.
    rows = range(0, 0x3C01, 1001)
    assert torch.equal(torch.cat([accuracy(ALL_MARGINS[i : i + 1]) for i in rows]), accuracy.table()[list(rows)])


@pytest.mark.parametrize("odd", [-0.25, 1.5, float("nan")])
def test_a_lookup_outside_the_table_is_refused(odd):
    with pytest.raises(InputError, match=r"in row 1; it must be in \[0, 1\]"):
        isotonic_accuracy([0.5], [1]).lookup(torch.tensor([0.5, odd], dtype=torch.float16))


def test_arrays_lists_and_tensors_are_one():
    margins, correct = [0.1, 0.2, 0.3], [False, True, True]
    curves = [
        isotonic_accuracy(margins, correct),
        isotonic_accuracy(np.array(margins), np.array(correct)),
        isotonic_accuracy(torch.tensor(margins, dtype=torch.float64), torch.tensor(correct)),
    ]
    asked = [0.0, 0.125, 0.5]
    answers = [curve(asked) for curve in curves]
    assert all(type(answer) is np.ndarray and answer.dtype == np.float32 for answer in answers)
    assert all((answer == answers[0]).all() for answer in answers)
    tensor = curves[0](torch.tensor(asked, dtype=torch.float64))
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == answers[0].tolist()


@settings(max_examples=40)
@given(examples(), st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 1.0, 4.0]))
def test_accuracy_never_falls_and_stays_in_its_range(pairs, lower, prior):
    table = isotonic_accuracy(*zip(*pairs, strict=True), lower, prior).table()
    assert (table.diff() >= 0).all()
    assert table.min() >= torch.tensor(lower)
    assert table.max() <= 1


@settings(max_examples=40)
@given(examples(min_size=2), st.integers(0, 99))
def test_the_order_of_the_examples_does_not_matter(pairs, seed):
    shuffled = Random(seed).sample(pairs, len(pairs))
    tables = [isotonic_accuracy(*zip(*part, strict=True)).table() for part in (pairs, shuffled)]
    torch.testing.assert_close(*tables, rtol=0, atol=1e-6)


@settings(max_examples=40)
@given(examples())
def test_examples_said_twice_say_nothing_new(pairs):
    tables = [isotonic_accuracy(*zip(*part, strict=True)).table() for part in (pairs, pairs + pairs)]
    torch.testing.assert_close(*tables, rtol=0, atol=1e-6)


@settings(max_examples=40)
@given(examples())
def test_without_clip_the_mean_of_the_fit_is_the_mean_of_the_answers(pairs):
    """Isotonic regression averages within its blocks, so the overall accuracy is kept."""
    margins, correct = zip(*pairs, strict=True)
    assert isotonic_accuracy(margins, correct)(margins).mean() == pytest.approx(np.mean(correct), abs=1e-6)


def test_the_prior_by_hand():
    """Overall (1 + 1) / (1 + 2); the right example at .5 then shares a block with the imaginary one at 1."""
    accuracy = isotonic_accuracy([0.5], [1], prior=1.0)
    np.testing.assert_allclose(accuracy([0.0, 0.25, 0.5, 1.0]), [2 / 3, 3 / 4, 5 / 6, 5 / 6], rtol=1e-6)


def test_a_lone_error_at_the_smallest_margin_is_not_certainty():
    margins, correct = np.linspace(0.1, 0.9, 20), np.arange(20) > 0
    assert isotonic_accuracy(margins, correct)([0.1]) == 0
    assert isotonic_accuracy(margins, correct, prior=4.0)([0.1]) > 0.6


@pytest.mark.parametrize(
    ("margins", "correct", "options", "message"),
    [
        ([0.5], [1, 0], {}, "margin has 1 examples and correct 2"),
        ([], [], {}, "margin is empty"),
        ([0.5, float("nan")], [1, 0], {}, "margin has nan in row 1"),
        ([-0.1], [1], {}, "margin has -0.1 in row 0"),
        ([0.1, 0.2, 1.5], [1, 1, 1], {}, "margin has 1.5 in row 2"),
        ([0.5, 0.6], [1, 2], {}, "correct has 2"),
        ([0.5], [float("nan")], {}, "correct has nan"),
        ([0.5], [1], {"lower": 1.5}, "lower is 1.5"),
        ([0.5], [1], {"lower": float("nan")}, "lower is nan"),
        ([0.5], [1], {"prior": -1.0}, "prior is -1"),
        (np.array([[0.5]]), [1], {}, r"shape \(1, 1\)"),
    ],
)
def test_malformed_examples_are_refused_in_words(margins, correct, options, message):
    with pytest.raises(InputError, match=message):
        isotonic_accuracy(margins, correct, **options)


def mean_error(estimate_on, truth_on, sizes=SIZES, seeds=6):
    """Mean absolute error by size, averaged over seeds, on one large fresh world."""
    fresh = margin_world(5000, 5, seed=999, num_candidates=3)
    truth = truth_on(fresh)
    errors = []
    for size in sizes:
        worlds = [margin_world(size, 5, seed=seed, num_candidates=3) for seed in range(seeds)]
        errors.append(np.mean([(estimate_on(world, fresh) - truth).abs().mean().item() for world in worlds]))
    return np.array(errors)


def by_margin(prior):
    return lambda world, fresh: isotonic_accuracy(margin(world.teacher_probs), right(world), prior=prior)(
        margin(fresh.teacher_probs)
    )


@pytest.mark.parametrize("prior", [0.0, 4.0])
def test_the_error_of_the_accuracy_falls_as_labels_grow(prior):
    errors = mean_error(by_margin(prior), lambda fresh: fresh.teacher_accuracy)
    assert (errors[1:] < 0.8 * errors[:-1]).all()
    assert errors[-1] < 0.02


def test_the_prior_helps_where_labels_are_few_and_does_no_harm_where_they_are_many():
    errors = [mean_error(by_margin(prior), lambda fresh: fresh.teacher_accuracy, (100, 6400)) for prior in (0.0, 4.0)]
    assert errors[1][0] < 0.9 * errors[0][0]
    assert errors[1][1] < 1.02 * errors[0][1]


# The lower bound


def test_the_lower_bound_is_just_below_a_constant_accuracy():
    margins = np.linspace(0, 1, 400)
    chosen = []
    for seed in range(20):
        correct = np.random.default_rng(seed).random(400) < 0.85
        chosen.append(lower_bound(margins, correct, grid=(0.55, 0.6, 0.7, 0.8, 0.99)))
    # In sample no bound would ever help and the smallest would always win.
    assert np.mean(np.array(chosen) == 0.8) > 0.5
    assert max(chosen) <= 0.8


def test_a_teacher_that_is_often_wrong_gets_the_lowest_bound():
    margins = np.linspace(0, 1, 200)
    correct = np.random.default_rng(0).random(200) < 0.15 + 0.6 * margins
    assert lower_bound(margins, correct) == LOWER_BOUNDS[0] > 0.5


@settings(max_examples=40)
@given(examples(min_size=2))
def test_the_lower_bound_is_one_of_the_grid_and_the_same_every_time(pairs):
    margins, correct = zip(*pairs, strict=True)
    chosen = lower_bound(margins, correct, grid=(0.9, 0.6))
    assert chosen in (0.6, 0.9)
    assert chosen == lower_bound(margins, correct, grid=(0.6, 0.9))


def test_equal_bounds_give_the_smallest():
    assert lower_bound(np.linspace(0, 1, 50), np.ones(50), grid=(0.8, 0.6, 0.7)) == 0.6


@pytest.mark.parametrize(
    ("size", "grid", "message"),
    [(10, (), r"grid is \(\)"), (10, (0.5, 1.1), "grid is"), (1, (0.6,), "1 example")],
)
def test_a_lower_bound_that_cannot_be_chosen_is_refused(size, grid, message):
    with pytest.raises(InputError, match=message):
        lower_bound([0.5] * size, [1] * size, grid=grid)


# Nearest neighbours


def test_neighbours_by_hand_on_four_points():
    """Both covariates have standard deviation 1/2, so distances are those on paper."""
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    query = torch.tensor([[0.1, 0.2], [0.9, 0.6]])
    assert nearest_neighbour_mean(corners, values, query, 1).tolist() == [[1.0, 10.0], [8.0, 80.0]]
    assert nearest_neighbour_mean(corners, values, query, 2).tolist() == [[1.5, 15.0], [6.0, 60.0]]
    assert nearest_neighbour_mean(corners, values, query, 4).tolist() == [[3.75, 37.5]] * 2


def test_each_covariate_is_measured_in_its_own_deviations():
    """On paper the first point is nearer; but student margins hardly vary, so .02 of them is far."""
    reference = torch.tensor([[0.5, 0.52], [0.1, 0.5], [0.9, 0.5], [0.5, 0.5]])
    values = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert nearest_neighbour_mean(reference[:3], values[:3], torch.tensor([[0.4, 0.5]]), 1).item() == 2.0


def cloud(size, seed, digits=None):
    g = torch.Generator().manual_seed(seed)
    ability = torch.randn(size, generator=g)
    points = torch.stack([(ability + torch.randn(size, generator=g)).sigmoid() for _ in range(2)], dim=1)
    return points if digits is None else (points * 10**digits).round() / 10**digits


def test_exact_neighbours_agree_with_scikit_learn():
    from sklearn.neighbors import KNeighborsRegressor

    reference, query = cloud(200, 0), cloud(3000, 1)
    values = torch.randn(200, 3, generator=torch.Generator().manual_seed(2))
    scaled = [((part - reference.mean(0)) / reference.std(0)).double().numpy() for part in (reference, query)]
    peer = KNeighborsRegressor(9).fit(scaled[0], values.numpy()).predict(scaled[1])
    ours = nearest_neighbour_mean(reference, values, query, 9)
    assert np.isclose(ours.numpy(), peer, atol=1e-5).all(axis=1).mean() > 0.998  # but for rounding of near ties


def test_the_block_size_of_the_exact_search_does_not_show(monkeypatch):
    reference, query, values = cloud(50, 0), cloud(100, 1), cloud(50, 2)
    whole = nearest_neighbour_mean(reference, values, query, 5)
    monkeypatch.setattr("overproof.noise.neighbours.BLOCK_ELEMENTS", 150)
    assert torch.equal(nearest_neighbour_mean(reference, values, query, 5), whole)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_the_order_of_the_reference_does_not_matter_even_with_ties(seed, k):
    reference, values, query = cloud(30, seed, digits=1), cloud(30, seed + 1), cloud(20, seed + 2)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
    plain = nearest_neighbour_mean(reference, values, query, k)
    torch.testing.assert_close(nearest_neighbour_mean(reference[order], values[order], query, k), plain)
    grids = [QuantileGrid.fit(*part, k, cells=16) for part in ((reference, values), (reference[order], values[order]))]
    torch.testing.assert_close(grids[0](query), grids[1](query))


def test_neighbours_at_one_place_are_taken_all_or_none():
    reference = torch.tensor([[1.0, 1.0]] * 6 + [[0.0, 0.0]])
    values = torch.tensor([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0], [9.0]])
    assert nearest_neighbour_mean(reference, values, torch.tensor([[0.9, 0.9]]), 2).item() == 0.5
    assert QuantileGrid.fit(reference, values, 2)(torch.tensor([[0.9, 0.9]])).item() == 0.5


def test_once_there_are_k_neighbours_no_further_place_is_asked():
    reference = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
    values = torch.tensor([[1.0], [2.0], [9.0], [9.0]])
    for k, expected in ((1, 1.5), (2, 1.5), (3, 4.0), (4, 5.25)):
        assert nearest_neighbour_mean(reference, values, torch.tensor([[0.9, 0.9]]), k).item() == expected
        assert QuantileGrid.fit(reference, values, k)(torch.tensor([[0.9, 0.9]])).item() == expected


def test_margins_that_half_precision_calls_one_are_one_place():
    reference = torch.tensor([[1.0, 1 - 1e-6], [1.0, 1 - 2e-6], [1.0, 1 - 3e-6], [0.0, 0.0]])
    values = torch.tensor([[0.0], [0.0], [1.5], [9.0]])
    assert QuantileGrid.fit(reference, values, 1)(torch.tensor([[1.0, 1.0]])).item() == 0.5


def test_a_constant_covariate_is_ignored():
    reference, values = cloud(40, 0), cloud(40, 1)
    query = cloud(30, 2)
    constant = torch.stack([torch.ones(40), reference[:, 1]], dim=1)
    for teacher_margin in (0.0, 1.0):
        moved = torch.stack([torch.full((30,), teacher_margin), query[:, 1]], dim=1)
        by_student = nearest_neighbour_mean(reference[:, [1, 1]], values, query[:, [1, 1]], 5)
        torch.testing.assert_close(nearest_neighbour_mean(constant, values, moved, 5), by_student)
        assert QuantileGrid.fit(constant, values, 5, cells=4).table.shape == (4, 2)


@pytest.mark.parametrize(("size", "cells"), [(30, 4), (300, 16), (300, 64)])
def test_the_grid_is_exact_at_the_centres_of_its_cells(size, cells):
    reference, values = cloud(size, 0).half().float(), cloud(size, 1)
    levels = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    centres = [reference[:, i].double().quantile(levels) for i in (0, 1)]
    exact = nearest_neighbour_mean(reference, values, torch.cartesian_prod(*centres), 7)
    table = QuantileGrid.fit(reference, values, 7, cells).table
    assert table.shape == (cells**2, 2)
    # Different places equally far may come in either order.
    assert ((table - exact).abs().amax(dim=1) < 1e-6).float().mean() > 0.99


def test_a_margin_is_read_at_the_nearest_centre():
    reference, values = torch.tensor([[0.25, 0.5], [0.75, 0.5]]), torch.tensor([[0.0], [1.0]])
    grid = QuantileGrid.fit(reference, values, 1, cells=2)  # centres at the quartiles .375 and .625
    teacher_margin = ALL_MARGINS.float()
    answer = grid(torch.stack([teacher_margin, torch.rand_like(teacher_margin)], dim=1)).squeeze(1)
    assert torch.equal(answer, (teacher_margin > 0.5).float())


@pytest.mark.parametrize("size", [100, 1000])
def test_the_grid_is_as_near_to_the_truth_as_exact_search(size):
    def truth(points):
        return 0.1 + 0.8 * points[:, 0] * points[:, 1].square()

    def error(answer):
        return (answer.squeeze(1) - truth(query)).square().mean().sqrt().item()

    query, k = cloud(2000, 99), num_neighbours(size)
    exact_errors, grid_errors = [], []
    for seed in range(6):
        reference = cloud(size, seed)
        draw = torch.rand(size, generator=torch.Generator().manual_seed(seed + 50))
        values = (draw < truth(reference)).float().unsqueeze(1)
        exact_errors.append(error(nearest_neighbour_mean(reference, values, query, k)))
        grid_errors.append([error(QuantileGrid.fit(reference, values, k, cells)(query)) for cells in (16, 32, 64, 128)])
    relative = np.array(grid_errors) / np.array(exact_errors)[:, None] - 1
    assert (abs(relative.mean(axis=0)) < [0.05, 0.03, 0.02, 0.01]).all()


def test_the_error_of_the_neighbour_accuracy_falls_as_labels_grow():
    def student_margin(world):  # a student that sees nothing of it
        return torch.rand(len(world), generator=torch.Generator().manual_seed(len(world)))

    def estimate(world, fresh):
        accuracy = knn_accuracy(margin(world.teacher_probs), student_margin(world), right(world))
        return accuracy(margin(fresh.teacher_probs), student_margin(fresh))

    errors = mean_error(estimate, lambda fresh: fresh.teacher_accuracy)
    assert (errors[1:] < 0.9 * errors[:-1]).all()
    assert errors[-1] < 0.06


def test_neighbours_see_what_the_margin_alone_does_not():
    """The student is unsure exactly where the teacher errs; the teacher's margin says nothing."""
    g = torch.Generator().manual_seed(0)
    teacher_margin, student_margin = torch.rand(2, 2000, generator=g)
    truth = (student_margin > 0.5).float() * 0.8 + 0.1
    correct = torch.rand(2000, generator=g) < truth
    neighbour_error = knn_accuracy(teacher_margin, student_margin, correct)(teacher_margin, student_margin) - truth
    margin_error = isotonic_accuracy(teacher_margin, correct)(teacher_margin) - truth
    assert neighbour_error.abs().mean() < 0.1 < 0.35 < margin_error.abs().mean()


def test_no_query_gives_no_answer():
    reference, values = cloud(10, 0), cloud(10, 1)
    assert nearest_neighbour_mean(reference, values, torch.empty(0, 2), 3).shape == (0, 2)
    assert QuantileGrid.fit(reference, values, 3)(torch.empty(0, 2)).shape == (0, 2)


def test_a_student_that_answers_with_no_number_is_not_read_silently():
    grid = QuantileGrid.fit(cloud(10, 0), cloud(10, 1), 3)
    with pytest.raises(IndexError):
        grid(torch.tensor([[0.5, float("nan")]]))


def test_the_rules_of_thumb():
    assert [num_neighbours(size) for size in (10, 100, 400, 1000, 10_000)] == [5, 5, 10, 16, 50]
    assert num_cells(100, 5) == 16
    assert num_cells(10**9, 5) == 256
    assert num_cells(9000, 10) == 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nearest_neighbour_mean(cloud(4, 0), cloud(3, 0), cloud(1, 0), 1), "4 reference points and 3 values"),
        (lambda: nearest_neighbour_mean(cloud(4, 0), cloud(4, 0), cloud(1, 0), 5), "k is 5; .* 1 to 4"),
        (lambda: nearest_neighbour_mean(cloud(4, 0), cloud(4, 0), cloud(1, 0), 0), "k is 0"),
        (lambda: nearest_neighbour_mean(cloud(4, 0) / 0, cloud(4, 0), cloud(1, 0), 1), "not a number"),
        (lambda: QuantileGrid.fit(cloud(4, 0) + 1, cloud(4, 0), 1), r"reference has 1\.\d+ in row 0"),
        (lambda: QuantileGrid.fit(cloud(4, 0), cloud(4, 0), 1, cells=0), "cells is 0"),
        (lambda: knn_accuracy(torch.rand(3), torch.rand(2), torch.ones(3)), "3 teacher margins and 2 student"),
        (lambda: knn_accuracy(torch.rand(3), torch.rand(3) + 1, torch.ones(3)), "student_margin has 1"),
        (lambda: knn_accuracy(torch.rand(3), torch.rand(3), torch.full((3,), 2)), "correct must be 0"),
    ],
)
def test_malformed_references_are_refused_in_words(call, message):
    torch.manual_seed(0)
    with pytest.raises(InputError, match=message):
        call()


# Candidates


def test_candidates_follow_their_definition():
    world = blobs(400, 6, seed=3)
    rule = num_candidates(world.teacher_probs, world.label, coverage=0.9)
    margins = margin(world.teacher_probs)
    ranks = world.teacher_probs.argsort(dim=1, descending=True) == world.label.unsqueeze(1)
    asked = torch.linspace(0, 1, 997)
    covers = [isotonic_accuracy(margins, ranks[:, :k].any(dim=1))(asked) >= 0.9 for k in range(2, 6)]
    by_definition = torch.full((997,), 6)
    for k, enough in zip(range(5, 1, -1), covers[::-1], strict=True):
        by_definition[enough] = k
    assert len(by_definition.unique()) > 2
    assert torch.equal(rule(asked), by_definition)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from([0.5, 0.9, 1.0]))
def test_candidates_never_rise_with_the_margin_nor_fall_with_coverage(seed, num_classes, coverage):
    world = blobs(40, num_classes, seed)
    count = num_candidates(world.teacher_probs, world.label, coverage)(torch.linspace(0, 1, 101))
    assert (count.diff() <= 0).all()
    assert count.min() >= 2
    assert count.max() <= num_classes
    fewer = num_candidates(world.teacher_probs, world.label, coverage / 2)(torch.linspace(0, 1, 101))
    assert (fewer <= count).all()


def test_candidates_cover_the_truth_as_often_as_asked():
    labelled, fresh = (blobs(size, 8, seed) for size, seed in ((2000, 0), (20_000, 1)))
    covered = []
    for coverage in (0.8, 0.9, 0.97):
        count = num_candidates(labelled.teacher_probs, labelled.label, coverage)(margin(fresh.teacher_probs))
        rank = (fresh.teacher_probs.argsort(1, descending=True) == fresh.label.unsqueeze(1)).long().argmax(1)
        covered.append((rank < count).float().mean().item())
    assert all(got > asked - 0.01 for got, asked in zip(covered, (0.8, 0.9, 0.97), strict=True))


def test_two_classes_have_two_candidates():
    world = blobs(50, 2, seed=0)
    assert num_candidates(world.teacher_probs, world.label)(torch.rand(9)).tolist() == [2] * 9


def test_where_no_number_is_enough_all_classes_are_candidates():
    probs = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).repeat(10, 1)
    assert num_candidates(probs, torch.full((10,), 3))(torch.tensor([0.0, 1.0])).tolist() == [4, 4]


def test_a_truth_tied_with_the_last_candidate_is_a_candidate():
    hard_labels = one_hot(torch.zeros(10, dtype=torch.int64), 4)
    assert num_candidates(hard_labels, torch.full((10,), 3))(torch.ones(1)).tolist() == [2]


def test_fixed_candidates_are_the_same_everywhere():
    asked = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    for count in (2, 3, 5):
        assert fixed_candidates(count, 5)(asked).tolist() == [count] * 5
    for count in (1, 6):
        with pytest.raises(InputError, match=f"candidates is {count}; with 5 classes it must be 2 to 5"):
            fixed_candidates(count, 5)


def test_a_coverage_out_of_range_is_refused():
    for coverage in (0.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="coverage is"):
            num_candidates(torch.ones(2, 3) / 3, torch.tensor([0, 1]), coverage)


# Transition


def test_transition_by_hand_and_rows_are_true_classes():
    answers = one_hot(torch.tensor([0, 0, 1, 1]), 2)
    matrix = transition_matrix(torch.tensor([0, 0, 0, 1]), answers)
    torch.testing.assert_close(matrix, torch.tensor([[2 / 3, 1 / 3], [0.0, 1.0]]))


def test_a_class_without_examples_is_as_accurate_as_the_others():
    """Three of four right; pseudo-labels 0, 0, 1, 3: where class 2 errs it is called 0, 1, 3 as 2 : 1 : 1."""
    matrix = transition_matrix(torch.tensor([0, 1, 1, 3]), one_hot(torch.tensor([0, 0, 1, 3]), 4))
    torch.testing.assert_close(matrix[2], torch.tensor([1 / 8, 1 / 16, 3 / 4, 1 / 16]))
    torch.testing.assert_close(matrix[1], torch.tensor([0.5, 0.5, 0.0, 0.0]))


def test_a_class_whose_others_are_never_named_is_mistaken_for_them_evenly():
    matrix = transition_matrix(torch.tensor([0, 0]), one_hot(torch.tensor([2, 2]), 3))
    torch.testing.assert_close(matrix[2], torch.tensor([0.5, 0.5, 0.0]))


def test_the_prior_counts_as_examples_of_an_unseen_class():
    label, answers = torch.tensor([0, 1, 1, 3]), one_hot(torch.tensor([0, 0, 1, 3]), 4)
    matrix = transition_matrix(label, answers, prior=2.0)
    unseen = torch.tensor([1 / 4 * 2 / 3, 3 / 4, 0.0, 1 / 4 / 3])
    torch.testing.assert_close(matrix[1], (2 * torch.tensor([0.5, 0.5, 0.0, 0.0]) + 2 * unseen) / 4)
    torch.testing.assert_close(matrix[2], transition_matrix(label, answers)[2])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30), st.sampled_from([0.0, 3.0]))
def test_rows_sum_to_one(pairs, prior):
    label, named = torch.tensor(pairs).T
    matrix = transition_matrix(label, one_hot(named, 5), prior)
    torch.testing.assert_close(matrix.sum(1), torch.ones(5))
    assert (matrix >= 0).all()


def test_numpy_in_is_numpy_out():
    label, answers = torch.tensor([0, 1, 2, 2]), one_hot(torch.tensor([0, 1, 1, 2]), 3)
    matrix = transition_matrix(label.numpy(), answers.double().numpy())
    assert isinstance(matrix, np.ndarray)
    np.testing.assert_array_equal(matrix, transition_matrix(label, answers).numpy())


def test_transition_intervals_are_the_exact_binomial_ones():
    label, answers = torch.tensor([0] * 7 + [1] * 3), one_hot(torch.tensor([0] * 5 + [1] * 5), 2)
    low, high = transition_interval(label, answers, level=0.9)
    for i, j, hits, num in [(0, 0, 5, 7), (0, 1, 2, 7), (1, 0, 0, 3), (1, 1, 3, 3)]:
        exact = binomtest(hits, num).proportion_ci(0.9, "exact")
        assert (low[i, j].item(), high[i, j].item()) == pytest.approx((exact.low, exact.high), abs=1e-6)
    mean, *interval = global_accuracy(label, answers, level=0.9)
    exact = binomtest(8, 10).proportion_ci(0.9, "exact")
    assert mean == 0.8
    assert interval == pytest.approx([exact.low, exact.high], abs=1e-9)


def test_intervals_hold_the_true_transition_as_often_as_they_say():
    truth = torch.tensor([[0.8, 0.15, 0.05], [0.3, 0.6, 0.1], [0.02, 0.08, 0.9]])
    held = []
    for seed in range(200):
        label = torch.randint(3, (120,), generator=torch.Generator().manual_seed(seed))
        low, high = transition_interval(label, one_hot(corrupt(label, truth, seed), 3))
        held.append((low <= truth) & (truth <= high))
    share = torch.stack(held).float().mean(0)
    assert share.min() > 0.92
    assert share.mean() > 0.95
    assert share.min() < 1  # an interval that always holds says nothing


def test_the_error_of_the_transition_falls_as_labels_grow():
    truth = blobs(200_000, 4, seed=999).transition
    errors = []
    for size in SIZES:
        worlds = [blobs(size, 4, seed) for seed in range(5)]
        matrices = [transition_matrix(world.label, world.teacher_probs) for world in worlds]
        errors.append(np.mean([(matrix - truth).abs().mean().item() for matrix in matrices]))
    assert (np.array(errors[1:]) < 0.7 * np.array(errors[:-1])).all()
    assert errors[-1] < 0.006


@pytest.mark.parametrize("estimate", [transition_matrix, transition_interval, global_accuracy])
@pytest.mark.parametrize(
    ("label", "message"),
    [([0], "1 labels and 2 teacher answers"), ([0, -1], "row 1 is -1"), ([3, 0], "row 0 is 3; .* 0 to 2")],
)
def test_labels_of_no_class_are_refused(estimate, label, message):
    with pytest.raises(InputError, match=message):
        estimate(torch.tensor(label), torch.ones(2, 3) / 3)


def test_no_labelled_examples_are_refused():
    for estimate in (transition_matrix, transition_interval, global_accuracy):
        with pytest.raises(InputError, match="no labelled examples"):
            estimate(torch.empty(0, dtype=torch.int64), torch.empty(0, 3))
    with pytest.raises(InputError, match="prior is -1"):
        transition_matrix(torch.tensor([0]), torch.ones(1, 2) / 2, prior=-1.0)


# Calibration


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_sharpened_posterior_is_found_again(temperature):
    world = blobs(20_000, 3, seed=0, radius=1.5, displacement=0.0, temperature=temperature)
    assert fit_temperature(world.teacher_probs, world.label) == pytest.approx(1 / temperature, rel=0.04)


def test_no_other_temperature_has_less_log_loss():
    world = blobs(300, 4, seed=1)
    best = fit_temperature(world.teacher_probs, world.label)

    def loss(temperature):
        probs = calibrate(world.teacher_probs.double(), temperature)
        return -probs.gather(1, world.label.unsqueeze(1)).log().mean().item()

    assert best > 1.2  # this teacher is too sure of itself
    assert all(loss(best) < loss(best * factor) for factor in (0.5, 0.99, 1.01, 2))


def test_calibration_at_one_changes_nothing_and_inverse_temperatures_cancel():
    probs = blobs(100, 4, seed=0).teacher_probs.double().clamp(min=1e-3)
    probs = probs / probs.sum(1, keepdim=True)
    torch.testing.assert_close(calibrate(probs, 1.0), probs)
    torch.testing.assert_close(calibrate(calibrate(probs, 2.0), 0.5), probs)
    assert torch.equal(calibrate(probs, 3.0).argsort(1), probs.argsort(1))


def test_a_teacher_of_hard_labels_is_made_as_sure_as_it_is_right():
    hard_labels = one_hot(torch.zeros(10, dtype=torch.int64), 2)
    label = torch.tensor([0] * 8 + [1] * 2)
    calibrated = calibrate(hard_labels, fit_temperature(hard_labels, label))
    assert calibrated[0].tolist() == pytest.approx([0.8, 0.2], abs=1e-4)


def test_a_teacher_that_is_never_wrong_keeps_a_finite_temperature():
    assert fit_temperature(torch.tensor([[0.9, 0.1]]), torch.tensor([0])) < 0.1


# Noise models


def test_a_noiseless_teacher_is_never_wrong():
    world = blobs(60, 4, seed=0)
    for rows in (slice(None), slice(0, 0)):
        estimate = Noiseless().fit(world.teacher_probs[rows], world.label[rows])
        assert estimate.teacher_accuracy(world.teacher_probs).tolist() == [1.0] * 60
        assert estimate.num_candidates(world.teacher_probs).tolist() == [4] * 60
        assert torch.equal(estimate.transition, torch.eye(4))
        assert (estimate.temperature, estimate.mean_accuracy, estimate.lower_bound) == (1.0, (1.0, 1.0, 1.0), 1.0)


def test_the_isotonic_estimate_is_made_of_the_plain_functions():
    world = margin_world(300, 5, seed=0, num_candidates=3)
    estimate = Isotonic(prior=1.5).fit(world.teacher_probs, world.label)
    margins = margin(world.teacher_probs)
    lower = lower_bound(margins, right(world), prior=1.5)
    accuracy = isotonic_accuracy(margins, right(world), lower, prior=1.5)
    assert estimate.lower_bound == lower
    assert torch.equal(estimate.teacher_accuracy(world.teacher_probs), accuracy(margins))
    rule = num_candidates(world.teacher_probs, world.label, 0.9, prior=1.5)
    assert torch.equal(estimate.num_candidates(world.teacher_probs), rule(margins))
    assert torch.equal(estimate.transition, transition_matrix(world.label, world.teacher_probs, prior=1.5))
    assert estimate.temperature == fit_temperature(world.teacher_probs, world.label)
    assert estimate.mean_accuracy == global_accuracy(world.label, world.teacher_probs)


def test_options_of_the_isotonic_model_are_obeyed():
    world = margin_world(200, 5, seed=0, num_candidates=3)
    estimate = Isotonic(lower_bound=0.85, candidates=4).fit(world.teacher_probs, world.label)
    assert estimate.teacher_accuracy(world.teacher_probs).min() == pytest.approx(0.85)
    assert estimate.num_candidates(world.teacher_probs).unique().tolist() == [4]
    wide, narrow = (
        Isotonic(coverage=coverage).fit(world.teacher_probs, world.label).num_candidates(world.teacher_probs).sum()
        for coverage in (0.99, 0.7)
    )
    assert narrow < wide


def test_the_estimate_finds_the_accuracy_and_candidates_of_a_known_world():
    labelled, pool = (margin_world(size, 6, seed, num_candidates=3) for size, seed in ((3000, 0), (5000, 1)))
    estimate = Isotonic().fit(labelled.teacher_probs, labelled.label)
    accuracy = estimate.teacher_accuracy(pool.teacher_probs)
    assert (accuracy - pool.teacher_accuracy.clamp(min=0.55)).abs().mean() < 0.03
    # Two of three candidates hold the truth with probability (1 + accuracy) / 2: .9 from accuracy .8 on, margin .625.
    expected = torch.where(pool.teacher_accuracy >= 0.8, 2, 3)
    assert (estimate.num_candidates(pool.teacher_probs) == expected).float().mean() > 0.9
    assert (estimate.transition - labelled.transition).abs().max() < 0.05


@pytest.mark.parametrize("model", [Noiseless(), Isotonic()])
def test_an_estimate_has_a_summary_for_json(model):
    world = blobs(80, 3, seed=0)
    assert isinstance(model, NoiseModel)
    estimate = model.fit(world.teacher_probs, world.label)
    summary = json.loads(json.dumps(estimate.summary(), allow_nan=False))
    assert summary["num_examples"] == 80
    assert summary["mean_accuracy"]["low"] <= summary["mean_accuracy"]["mean"] <= summary["mean_accuracy"]["high"]
    assert list(summary["accuracy_at_margin"]) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
    assert summary["num_candidates_at_margin"]["0.0"] in (2, 3)
    assert summary["accuracy_by_class"] == pytest.approx(estimate.transition.diagonal().tolist(), abs=1e-4)


def test_malformed_fits_are_refused_in_words():
    world = blobs(20, 3, seed=0)
    for model, label, message in [
        (Isotonic(), world.label[:19], "19 labels and 20 teacher answers"),
        (Isotonic(), world.label.clone().fill_(-1), "row 0 is -1"),
        (Isotonic(candidates=4), world.label, "candidates is 4"),
    ]:
        with pytest.raises(InputError, match=message):
            model.fit(world.teacher_probs, label)
    # What no data could allow is found when the model is made; the functions check it too.
    with pytest.raises(InputError, match=r"Option 'lower_bound' of Isotonic is 1.5; it must be a number in \[0, 1\]"):
        Isotonic(lower_bound=1.5)
    with pytest.raises(InputError, match=r"Option 'coverage' of Isotonic is 0.0; it must be "):
        Isotonic(coverage=0.0)
    with pytest.raises(InputError, match=r"lower is 1\.5"):
        isotonic_accuracy([0.5], [1], lower=1.5)


def test_classes_without_an_order_are_all_candidates():
    """Of hard labels nothing says which other class is right; of equal margins with an order the second one is."""
    label = torch.arange(3).repeat(40)
    named = torch.where(torch.arange(120) % 4 == 0, (label + 1) % 3, label)
    hard = torch.nn.functional.one_hot(named, 3).float()
    ordered = 0.7 * hard + 0.2 * hard.roll(-1, dims=1) + 0.1 * hard.roll(1, dims=1)
    for probs, expected in ((hard, 3), (ordered, 2)):
        # Where the answer is wrong, the right class is the one before it, the second of the ordered ones.
        truth = torch.where(named == label, label, (named + 2) % 3)
        assert Isotonic().fit(probs, truth).candidates(torch.tensor([0.5])).tolist() == [expected]
