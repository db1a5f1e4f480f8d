"""Metrics by hand, coverage of the intervals, and the verdicts."""

import io
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.stats import norm, t
from sklearn.metrics import f1_score, log_loss

from overproof.errors import InputError
from overproof.evaluation import metrics as measured_module
from overproof.evaluation.confusions import tally
from overproof.evaluation.metrics import correct, deviation_slope, metrics
from overproof.evaluation.verdict import Row, markdown, summarise, table
from overproof.functional.intervals import accuracy_interval


def answers(num=400, num_classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    probs = (2 * torch.randn(num, num_classes, generator=generator, dtype=torch.float64)).softmax(dim=1)
    return probs, torch.randint(num_classes, (num,), generator=generator)


# --- metrics


def test_four_rows_by_hand():
    student = torch.tensor([[0.75, 0.25], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    label = torch.tensor([0, 1, 0, 1])
    found = metrics(student, label, teacher)
    assert found["accuracy"] == 0.75
    # Class 0: 2 hits, 2 labels, 3 predictions; class 1: 1 hit, 2 labels, 1 prediction.
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["log_loss"] == pytest.approx(-(2 * math.log(0.75) + math.log(0.25) + math.log(0.5)) / 4)
    # Three rows have confidence .75 and two of them are right; one has .5 and is right.
    assert found["ece"] == pytest.approx((3 * (0.75 - 2 / 3) + 0.5) / 4)
    assert found["agreement"] == 0.25
    assert found["accuracy_where_teacher_wrong"] == 1.0
    assert found["num_examples"] == 4


def test_scikit_learn_agrees():
    probs, label = answers()
    found = metrics(probs, label, probs)
    expected = f1_score(label, probs.argmax(dim=1), average="macro", labels=label.unique())
    assert found["macro_f1"] == pytest.approx(expected)
    assert found["log_loss"] == pytest.approx(log_loss(label, probs.numpy(), labels=range(5)))


def test_f1_is_over_the_classes_that_occur():
    student = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    assert metrics(student, torch.tensor([0, 0]), student)["macro_f1"] == pytest.approx(2 / 3)


def test_the_teacher_is_evaluated_by_the_same_function():
    probs, label = answers()
    found = metrics(probs, label, probs)
    assert found["agreement"] == 1.0
    assert found["accuracy_where_teacher_wrong"] == 0.0
    assert found["accuracy"] == correct(probs, label).double().mean().item()


def test_a_teacher_that_names_no_class_guesses_whatever_the_order_of_the_classes():
    # Two rows of three classes are answered, the second wrongly; of the other two nothing is known.
    third = [1 / 3] * 3
    probs = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], third, third])
    label = torch.tensor([0, 2, 0, 2])
    student = torch.eye(3)[torch.tensor([0, 2, 1, 2])]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        turned = torch.tensor(order).argsort()[label]
        found = metrics(probs[:, order], turned, probs[:, order], guesses=True)
        assert found["accuracy"] == pytest.approx((1 + 2 / 3) / 4)
        # Of class 0: 1 + 1/3 hits, 2 labels, 1 + 2/3 predictions; of class 2: 1/3, 2 and 2/3.
        assert found["macro_f1"] == pytest.approx((2 * (4 / 3) / (2 + 5 / 3) + 2 * (1 / 3) / (2 + 2 / 3)) / 2)
        assert (found["agreement"], found["accuracy_where_teacher_wrong"], found["num_no_class"]) == (1, 0, 2)
        assert correct(probs[:, order], turned, guesses=True).tolist() == pytest.approx([1, 0, 1 / 3, 1 / 3])
        beside = metrics(student[:, order], turned, probs[:, order])
        # Of the two answered rows it agrees on one; the teacher is wrong on the other.
        assert (beside["agreement"], beside["accuracy_where_teacher_wrong"], beside["num_no_class"]) == (0.5, 1, 2)
    silent = metrics(student, label, torch.full((4, 3), 1 / 3))
    assert "agreement" not in silent
    assert "accuracy_where_teacher_wrong" not in silent


def test_guesses_are_in_the_interval_of_an_accuracy_by_their_share():
    half = torch.tensor([1.0, 1.0, 0.5, 0.5], dtype=torch.float64)
    rows = [Row(method="teacher", seed=seed, metrics={"accuracy": 0.75}, role="reference", correct=half, test="one")
            for seed in range(2)]  # fmt: skip
    found = summarise(rows[:1])[0]
    assert (found.low, found.high) == accuracy_interval(3, 4)
    # Two seeds: the normal interval of the mean of 1, 1, .5 and .5.
    found = summarise(rows)[0]
    assert found.high is not None
    assert found.low == pytest.approx(0.75 - norm.ppf(0.975) * half.std().item() / 2)
    guesses = [replace(each, metrics={"accuracy": 0.5}, correct=torch.full((4,), 0.5).double()) for each in rows]
    assert (summarise(guesses)[0].low, summarise(guesses)[0].high) == accuracy_interval(2, 4)


def test_a_teacher_never_wrong_leaves_a_key_out_and_json_takes_the_rest():
    student, label = answers()
    found = metrics(student, label, torch.nn.functional.one_hot(label, 5).double())
    assert "accuracy_where_teacher_wrong" not in found
    assert found["agreement"] == found["accuracy"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_one_impossible_label_contributes_sixteen_nats_at_most():
    probs = torch.tensor([[1.0, 0.0]])
    assert metrics(probs, torch.tensor([1]), probs)["log_loss"] == pytest.approx(-math.log(1e-7))


def test_calibration_error_vanishes_where_confidence_is_accuracy():
    student = torch.tensor([[0.8, 0.2]] * 5 + [[0.4, 0.6]] * 5, dtype=torch.float64)
    label = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 0, 0])
    assert metrics(student, label, student)["ece"] == pytest.approx(0, abs=1e-12)
    assert metrics(student, 1 - label, student)["ece"] == pytest.approx((0.6 + 0.2) / 2)


def test_calibration_bins_are_a_fifteenth_wide():
    # .62 and .66 share a bin (9/15 to 10/15), so that right and wrong cancel; .62 and .68 do not.
    label = torch.tensor([0, 1])
    together = torch.tensor([[0.62, 0.38], [0.66, 0.34]], dtype=torch.float64)
    apart = torch.tensor([[0.62, 0.38], [0.68, 0.32]], dtype=torch.float64)
    assert metrics(together, label, together)["ece"] == pytest.approx(abs(-0.38 + 0.66) / 2)
    assert metrics(apart, label, apart)["ece"] == pytest.approx((0.38 + 0.68) / 2)


def test_renaming_the_classes_changes_nothing():
    student, label = answers()
    teacher, _ = answers(seed=1)
    order = torch.tensor([3, 1, 4, 0, 2])
    renamed = metrics(student[:, order], order.argsort()[label], teacher[:, order])
    assert renamed == pytest.approx(metrics(student, label, teacher))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": torch.tensor([0, -1, -1])}, r"Row 1 \(counting from 0\) has no label \(-1\)"),
        ({"label": torch.tensor([0, 1, 2])}, r"Row 2 \(counting from 0\) has label 2; .* a label in 0\.\.1"),
        ({"label": torch.tensor([0, 1])}, "2 labels for 3 rows"),
        (
            {"teacher_probs": torch.full((3, 4), 0.25)},
            "3 rows and 2 classes, those of the teacher 3 rows and 4 classes",
        ),
        ({"teacher_probs": torch.full((2, 2), 0.5)}, "those of the teacher 2 rows and 2 classes"),
        ({"student_probs": torch.tensor([[0.5, 0.5], [0.5, 0.5], [math.nan, 0.5]])}, "row 2 .* diverged"),
        (
            {"student_probs": torch.ones(0, 2), "teacher_probs": torch.ones(0, 2), "label": torch.ones(0).long()},
            "no rows to evaluate",
        ),
    ],
)
def test_bad_input_is_named_in_one_sentence(change, message):
    good = {
        "student_probs": torch.full((3, 2), 0.5),
        "label": torch.tensor([0, 1, 0]),
        "teacher_probs": torch.full((3, 2), 0.5),
    }
    with pytest.raises(InputError, match=message) as caught:
        metrics(**(good | change))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_mistakes_and_reliability_have_four_decimals():
    student, teacher = (
        torch.tensor([[0.123456, 0.876544], [0.9, 0.1], [0.9, 0.1]]),
        torch.tensor([[0.654321, 0.345679], [0.9, 0.1], [0.9, 0.1]]),
    )
    found = tally("slam", 0, student, torch.tensor([0, 0, 0]), teacher, rows=torch.tensor([7, 9, 11]))
    (mistake,) = found.disagreements
    assert mistake == {
        "row": 7, "label": 0, "teacher": 0, "teacher_prob": 0.6543, "student": 1, "student_prob": 0.8765,
    }  # fmt: skip
    assert [each[1:] for each in found.reliability] == [(3, 0.8922, 2)]


# --- summaries by hand


def rows_of(method, accuracies, role="method", marks=None, test="", first_seed=0, metric="accuracy"):
    return [
        Row(
            method=method,
            role=role,
            seed=first_seed + number,
            metrics={metric: float(value)},
            correct=None if marks is None else torch.as_tensor(marks[number]),
            test=test,
        )
        for number, value in enumerate(accuracies)
    ]


def marked(method, marks, role="method", test=""):
    """Rows from the correctness of every prediction, [S, n]."""
    return rows_of(method, np.asarray(marks).mean(axis=1), role, marks=np.asarray(marks, dtype=bool), test=test)


def of(summaries, method):
    return next(summary for summary in summaries if summary.method == method)


hard = rows_of("hard", [0.70, 0.74, 0.72], "conventional")
oracle = rows_of("oracle", [0.90, 0.93, 0.93], "reference")
ours = rows_of("ours", [0.75, 0.80, 0.79])


def test_three_seeds_by_hand():
    found = of(summarise([*hard, *ours]), "ours")
    half = t.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    assert (found.num_seeds, found.num_pairs, found.baseline) == (3, 3, "hard")
    assert found.mean == pytest.approx(0.78)
    spread = math.sqrt((0.03**2 + 0.02**2 + 0.01**2) / 2)
    assert found.high - found.mean == pytest.approx(t.ppf(0.975, 2) * spread / math.sqrt(3))
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    # Differences .05, .06, .07: the variation between seeds cancels.
    assert found.difference == pytest.approx(0.06)
    assert (found.difference_low, found.difference_high) == pytest.approx((0.06 - half, 0.06 + half))
    assert (found.verdict, found.interval) == ("BEATS", "3 seeds")


def test_the_shared_test_sample_widens_the_interval_by_hand():
    # Per seed the difference is 1/4 twice.
    base = [[1, 0, 0, 0], [1, 0, 0, 0]]
    better = [[1, 0, 1, 0], [1, 0, 0, 1]]
    found = of(summarise([*marked("hard", base, "conventional"), *marked("ours", better)]), "ours")
    per_example = np.array([0, 0, 0.5, 0.5])
    half = norm.ppf(0.975) * math.sqrt(per_example.var(ddof=1) / 4)
    assert found.difference == pytest.approx(0.25)
    assert found.difference_high == pytest.approx(0.25 + half)
    assert (found.verdict, found.interval) == ("INCONCLUSIVE", "2 seeds and the test sample")


def test_seeds_with_their_own_test_sets_include_the_sampling_error_already():
    world = np.random.default_rng(0)
    base, better = world.random((2, 3, 50)) < [[[0.6]], [[0.7]]]
    shared = of(summarise([*marked("hard", base, "conventional"), *marked("ours", better)]), "ours")

    def own(method, marks, role):
        return [replace(row, test=f"test {row.seed}") for row in marked(method, marks, role)]

    apart = of(summarise([*own("hard", base, "conventional"), *own("ours", better, "method")]), "ours")
    assert apart.interval == "3 seeds"
    assert apart.difference == shared.difference
    assert apart.difference_high < shared.difference_high


def test_one_seed_counts_the_test_sample_only():
    base, better = np.repeat([1, 0], [60, 40]), np.repeat([1, 0], [70, 30])
    found = of(summarise([*marked("hard", [base], "conventional"), *marked("ours", [better])]), "ours")
    half = norm.ppf(0.975) * math.sqrt((better - base).var(ddof=1) / 100)
    assert found.difference_low == pytest.approx(0.1 - half)
    assert (found.low, found.high) == accuracy_interval(70, 100)
    assert (found.verdict, found.interval) == ("BEATS", "one seed: test sample only")


def test_seeds_that_are_always_right_have_the_interval_of_one():
    base = marked("hard", [[1, 1, 0, 1], [1, 0, 1, 1]], "conventional")
    found = of(summarise([*base, *marked("ours", np.ones((2, 4)))]), "ours")
    assert (found.low, found.high) == accuracy_interval(4, 4)
    found = of(summarise([*base, *marked("ours", np.zeros((2, 4)))]), "ours")
    assert (found.low, found.high) == accuracy_interval(0, 4)
    # Of two tests each seed is an experiment of its own.
    rows = [*marked("hard", [[1, 1]], "conventional", test="a"), *marked("hard", [[1, 1]], "conventional", test="b")]
    assert of(summarise([replace(row, seed=seed) for seed, row in enumerate(rows)]), "hard").low == 1


def test_one_seed_without_its_predictions_is_inconclusive():
    found = of(summarise([*hard[:1], *rows_of("ours", [0.9])]), "ours")
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.difference_low, found.difference_high) == (None, None, None)
    assert (found.verdict, found.interval) == ("INCONCLUSIVE", "one seed: no interval")


def test_only_shared_seeds_are_paired():
    # Seeds 1, 2 and 3; the third has no partner.
    found = of(summarise([*hard, *rows_of("ours", [0.80, 0.76, 0.10], first_seed=1)]), "ours")
    assert (found.num_seeds, found.num_pairs) == (3, 2)
    assert found.difference == pytest.approx(0.05)
    none = of(summarise([*hard, *rows_of("ours", [0.8, 0.8], first_seed=7)]), "ours")
    assert (none.num_pairs, none.difference, none.verdict) == (0, None, "INCONCLUSIVE")


def test_the_order_of_the_rows_changes_nothing():
    rows = [*oracle, *hard, *ours]
    there, back = summarise(rows), summarise(rows[::-1])
    for summary in there:
        assert asdict(of(back, summary.method)) == pytest.approx(asdict(summary))


def test_the_best_conventional_row_is_the_baseline():
    soft = rows_of("soft", [0.73, 0.75, 0.74], "conventional")
    found = summarise([*hard, *soft, *ours])
    assert {summary.baseline for summary in found} == {"soft"}
    assert of(found, "ours").difference == pytest.approx(0.04)


def test_without_a_conventional_row_there_is_no_verdict_to_give():
    found = of(summarise(ours), "ours")
    assert (found.baseline, found.difference, found.recovered) == (None, None, None)
    assert (found.verdict, found.interval) == ("INCONCLUSIVE", "3 seeds")


def test_methods_and_labelled_only_get_verdicts_and_the_others_do_not():
    teacher = rows_of("teacher", [0.7, 0.7, 0.7], "reference")
    alone = rows_of("labelled_only", [0.71, 0.70, 0.72], "reference")
    found = summarise([*ours, *oracle, *hard, *alone, *teacher])
    verdicts = {summary.method: summary.verdict for summary in found}
    assert [summary.method for summary in found] == ["oracle", "labelled_only", "teacher", "hard", "ours"]
    assert [name for name, verdict in verdicts.items() if verdict is None] == ["oracle", "teacher", "hard"]
    assert verdicts["ours"] == "BEATS"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.001, 0.009, 0.004], "INCONCLUSIVE"),
        ([0.0029, 0.003, 0.0031], "BEATS"),
        ([-0.001, 0.001, 0.000], "DOES NOT BEAT"),
        ([-0.002, 0.002, 0.001], "INCONCLUSIVE"),
        ([-0.01, -0.03, -0.01], "INCONCLUSIVE"),
        ([0.001, 0.002, 0.001], "DOES NOT BEAT"),
        ([-0.10, -0.11, -0.10], "DOES NOT BEAT"),
        ([0.0, 0.0, 0.0], "DOES NOT BEAT"),
    ],
)
def test_verdicts_by_hand(differences, verdict):
    # For three seeds the half-width is 2.48 times the standard deviation of the differences.
    accuracies = [row.metrics["accuracy"] + difference for row, difference in zip(hard, differences, strict=True)]
    low, high = (
        np.mean(differences) + sign * t.ppf(0.975, 2) * np.std(differences, ddof=1) / math.sqrt(3) for sign in (-1, 1)
    )
    found = of(summarise([*hard, *rows_of("ours", accuracies)]), "ours")
    assert (found.difference_low, found.difference_high) == pytest.approx((low, high), abs=1e-9)
    assert found.verdict == verdict


def test_a_lower_loss_is_a_better_row():
    base = rows_of("hard", [0.50, 0.52, 0.51], "conventional", metric="log_loss")
    worse = rows_of("soft", [0.80, 0.82, 0.81], "conventional", metric="log_loss")
    better = rows_of("ours", [0.40, 0.43, 0.40], metric="log_loss")
    best = rows_of("oracle", [0.31, 0.31, 0.31], "reference", metric="log_loss")
    found = of(summarise([*base, *worse, *better, *best], metric="log_loss"), "ours")
    assert found.mean == pytest.approx(0.41)
    assert (found.baseline, found.verdict) == ("hard", "BEATS")
    assert found.difference == pytest.approx(0.10)
    assert found.recovered == pytest.approx(0.5)


def test_the_interval_of_an_accuracy_ends_at_one():
    found = of(summarise(rows_of("ours", [0.99, 0.97, 1.0])), "ours")
    assert found.high == 1.0
    assert found.low > 0.9


# --- recovered


def test_the_oracle_recovers_all_and_the_baseline_nothing():
    world = np.random.default_rng(0)
    marks = {name: world.random((3, 200)) < rate for name, rate in [("hard", 0.6), ("oracle", 0.9), ("ours", 0.75)]}
    found = summarise(
        [
            *marked("hard", marks["hard"], "conventional"),
            *marked("oracle", marks["oracle"], "reference"),
            *marked("ours", marks["ours"]),
        ]
    )
    top, none, between = of(found, "oracle"), of(found, "hard"), of(found, "ours")
    assert (top.recovered, top.recovered_low, top.recovered_high) == pytest.approx((1, 1, 1), abs=1e-6)
    assert (none.recovered, none.recovered_low, none.recovered_high) == (0, 0, 0)
    expected = (marks["ours"].mean() - marks["hard"].mean()) / (marks["oracle"].mean() - marks["hard"].mean())
    assert between.recovered == pytest.approx(expected)
    assert between.recovered_low < expected < between.recovered_high


def test_fieller_ends_are_where_the_interval_of_the_difference_touches_zero():
    found = of(summarise([*hard, *oracle, *ours]), "ours")
    base, top, method = ([row.metrics["accuracy"] for row in rows] for rows in (hard, oracle, ours))
    assert found.recovered == pytest.approx(0.06 / 0.2)
    for ratio in (found.recovered_low, found.recovered_high):
        rest = np.subtract(method, base) - ratio * np.subtract(top, base)
        assert abs(rest.mean()) == pytest.approx(t.ppf(0.975, 2) * rest.std(ddof=1) / math.sqrt(3))
    assert found.recovered_low < found.recovered < found.recovered_high


@pytest.mark.parametrize("top", [[0.90, 0.60, 0.74], [0.60, 0.64, 0.61]], ids=["unclear", "negative"])
def test_nothing_is_recovered_of_a_gap_that_may_be_zero(top):
    found = summarise([*hard, *rows_of("oracle", top, "reference"), *ours])
    assert {summary.recovered for summary in found} == {None}
    # Nor is there an empty column of it.
    assert markdown(found).splitlines()[0] == "| method | accuracy % | vs hard | verdict |"


def test_without_an_oracle_nothing_is_recovered():
    assert of(summarise([*hard, *ours]), "ours").recovered is None


# --- coverage on worlds with known truth


def worlds(num_worlds, num_seeds, num_test, difference, seed, seed_spread=0.03):
    """Correctness, [2, worlds, S, n], of two rows whose accuracies differ by `difference` over all seeds and inputs.

    Examples differ in difficulty and in which row is better on them; accuracy varies by seed.
    """
    world = np.random.default_rng(seed)
    hardness = world.uniform(0.35, 0.65, (1, num_worlds, 1, num_test))
    taste = 0.2 * world.choice([-1, 1], (num_worlds, 1, num_test))
    seeds = world.normal(0, seed_spread, (2, num_worlds, num_seeds, 1))
    chance = hardness + np.stack([-taste, taste + difference]) + seeds
    return world.random((2, num_worlds, num_seeds, num_test)) < chance


def verdicts_of(marks):
    """The summaries of the second row against the first, world by world."""
    return [
        of(summarise([*marked("hard", base, "conventional"), *marked("ours", better)]), "ours")
        for base, better in marks.swapaxes(0, 1)
    ]


# One seed does not estimate the variation between seeds.
@pytest.mark.parametrize(("num_seeds", "seed_spread"), [(1, 0), (2, 0.03), (3, 0), (6, 0.03)])
def test_intervals_have_their_coverage_and_ties_rarely_beat(num_seeds, seed_spread):
    found = verdicts_of(worlds(300, num_seeds, num_test=100, difference=0.0, seed=num_seeds, seed_spread=seed_spread))
    assert np.mean([summary.difference_low <= 0 <= summary.difference_high for summary in found]) >= 0.925
    assert np.mean([summary.verdict == "BEATS" for summary in found]) <= 0.04


def test_a_gain_is_covered_too_and_detected_with_enough_seeds():
    found = verdicts_of(worlds(num_worlds=200, num_seeds=8, num_test=300, difference=0.15, seed=3))
    covered = np.mean([summary.difference_low <= 0.15 <= summary.difference_high for summary in found])
    assert covered >= 0.93
    assert np.mean([summary.verdict == "BEATS" for summary in found]) > 0.9


def test_leaving_the_test_sample_out_covers_far_too_rarely():
    """The test is sensitive: here the variation over seeds does not include the error of the shared test set."""
    marks = worlds(num_worlds=300, num_seeds=6, num_test=100, difference=0.0, seed=6)
    found = [
        of(summarise([*rows_of("hard", base, "conventional"), *rows_of("ours", better)]), "ours")
        for base, better in marks.mean(axis=-1).swapaxes(0, 1)
    ]
    assert np.mean([summary.difference_low <= 0 <= summary.difference_high for summary in found]) < 0.9


def test_recovered_covers_the_true_share():
    world = np.random.default_rng(5)
    num_worlds, hits = 200, 0
    taste = 0.2 * world.choice([-1, 1], (num_worlds, 1, 150))
    for number in range(num_worlds):
        chances = {"hard": 0.5 + taste[number], "ours": 0.6 - taste[number], "oracle": 0.7 + 0 * taste[number]}
        roles = {"hard": "conventional", "ours": "method", "oracle": "reference"}
        rows = [
            row
            for name, chance in chances.items()
            for row in marked(name, world.random((4, 150)) < chance + world.normal(0, 0.01, (4, 1)), roles[name])
        ]
        found = of(summarise(rows), "ours")
        hits += found.recovered is not None and found.recovered_low <= 0.5 <= found.recovered_high
    assert hits / num_worlds >= 0.9


# --- errors and drawing


def test_a_repeated_row_is_rejected_by_name():
    with pytest.raises(InputError, match="There are two rows of 'hard' with seed 1; each seed needs one row"):
        summarise([*hard, hard[1]])


def test_a_missing_metric_is_rejected_by_name():
    with pytest.raises(InputError, match="'hard' with seed 0 has no metric 'macro_f2': it has accuracy"):
        summarise(hard, metric="macro_f2")


def test_one_name_for_test_sets_of_two_lengths_is_rejected():
    rows = [
        *marked("hard", np.ones((1, 4)), "conventional", test="mine"),
        *marked("ours", np.ones((1, 5)), test="mine"),
    ]
    with pytest.raises(InputError, match=r"one test set \(mine\) have 4 and 5 examples"):
        summarise(rows)


def drawn(summaries, width=80, colour=False):
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, no_color=not colour, _environ={})
    console.print(table(summaries))
    return console.file.getvalue()


def test_the_table_fits_a_terminal_and_is_in_order():
    references = [*oracle, *rows_of("labelled_only", [0.5, 0.51, 0.5], "reference")]
    text = drawn(sorted(summarise([*ours, *hard, *references]), key=lambda summary: summary.verdict or ""))
    lines = text.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert [line.split()[0] for line in lines[1:5]] == ["oracle", "labelled_only", "hard", "ours"]
    # Two blanks between the columns.
    assert lines[0].split() == ["method", "accuracy", "%", "vs", "hard", "recovered", "%", "verdict"]
    assert lines[4].rstrip() == "ours           78.0 ± 6.6  +6.0 [+3.5, +8.5]     30 [19, 41]       BEATS"
    assert lines[4].rstrip().endswith("BEATS")
    assert lines[2].rstrip().endswith("DOES NOT BEAT")
    assert "baseline" in lines[3]


def test_colour_is_for_terminals_that_want_it():
    assert "\x1b[32mBEATS" in drawn(summarise([*hard, *ours]), colour=True)
    assert "\x1b" not in drawn(summarise([*hard, *ours]))


def test_markdown_holds_the_same_cells():
    text = markdown(summarise([*ours, *hard, *oracle])[::-1])
    lines = text.splitlines()
    assert lines[0] == "| method | accuracy % | vs hard | recovered % | verdict |"
    assert lines[4] == "| ours | 78.0 ± 6.6 | +6.0 [+3.5, +8.5] | 30 [19, 41] | BEATS |"
    assert [line.split()[1] for line in lines[2:5]] == ["oracle", "hard", "ours"]
    assert "Intervals: 95 % (3 seeds)" in text
    assert "hard is the best conventional row" in text


def test_summaries_survive_json():
    found = summarise([*hard, *oracle, *ours])
    again = [type(summary)(**json.loads(json.dumps(asdict(summary), allow_nan=False))) for summary in found]
    assert again == found


# --- confidence


def test_the_slope_of_deviation_by_hand():
    # Three classes: the student's log-odds are 1.5 times the teacher's plus 1, whatever the other classes share.
    confidence = torch.linspace(0.35, 0.97, 50, dtype=torch.float64)
    odds = 1.5 * confidence.logit() + 1
    others = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    logits = torch.stack([others[0].expand(50), odds, others[1].expand(50)], dim=1)
    named = torch.ones(50, dtype=torch.int64)
    assert deviation_slope(logits, named, confidence) == pytest.approx(1.5, rel=1e-9)
    sure = torch.cat([confidence, torch.ones(20, dtype=torch.float64)])
    more = torch.cat([logits, torch.full((20, 3), 50.0, dtype=torch.float64)])
    assert deviation_slope(more, torch.ones(70, dtype=torch.int64), sure) == pytest.approx(1.5, rel=1e-9)


def test_a_slope_is_the_same_in_blocks(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    logits, named = torch.randn(100, 3, generator=generator), torch.randint(3, (100,), generator=generator)
    confidence = (1 + torch.rand(100, generator=generator).half()) / 2
    confidence[::9] = 1
    whole = deviation_slope(logits, named, confidence)
    monkeypatch.setattr(measured_module, "_AT_A_TIME", 7)
    assert deviation_slope(logits, named.short(), confidence) == pytest.approx(whole, rel=1e-12)


def test_without_margins_there_is_no_slope():
    logits, named = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(50, dtype=torch.int64)
    assert deviation_slope(logits, named, torch.ones(50)) is None
    assert deviation_slope(logits, named, torch.full((50,), 0.7)) is None
    assert deviation_slope(logits[:29], named[:29], torch.linspace(0.4, 0.9, 29)) is None
