"""Test examples that repeat each other count once in metrics and verdicts, and intervals count their groups."""

import json

import numpy as np
import pytest
import torch

from overproof.commands.main import main
from overproof.evaluation.confusions import tally
from overproof.evaluation.verdict import Row, summarise
from overproof.functional.intervals import accuracy_interval, paired_difference
from overproof.functional.repeats import Repeats, standard_error


def row(method, role, right, seed=0, repeats=None):
    correct = torch.as_tensor(right, dtype=torch.bool)
    accuracy = {"accuracy": correct.double().mean().item()}
    return Row(method=method, role=role, seed=seed, metrics=accuracy, correct=correct, repeats=repeats, test="t")


def columns(draw, group):
    """Two rows that are right on the same examples of a group."""
    return [(draw.random(int(group.max()) + 1) < share)[group] for share in (0.6, 0.8)]


def test_a_verdict_counts_groups_not_their_rows():
    group = np.repeat(np.arange(40), 10)
    hard, ours = columns(np.random.default_rng(0), group)
    repeats = Repeats.of(np.arange(400), group)

    def judged(hard, ours, repeats):
        return summarise([row("hard", "conventional", hard, 0, repeats), row("ours", "method", ours, 0, repeats)])[1]

    one_each, grouped, naive = (
        judged(hard[::10], ours[::10], None),
        judged(hard, ours, repeats),
        judged(hard, ours, None),
    )
    assert grouped.difference == one_each.difference
    # The same standard error, from as many independent examples.
    assert grouped.difference_low == pytest.approx(one_each.difference_low, abs=1e-12)
    assert grouped.low == pytest.approx(one_each.low, abs=1e-12)
    assert grouped.difference_high - grouped.difference_low > 3 * (naive.difference_high - naive.difference_low)


def test_a_contrast_of_unequal_groups_has_the_error_of_a_mean_over_groups():
    group = np.repeat(np.arange(12), np.arange(1, 13))
    hard, ours = columns(np.random.default_rng(1), group)
    repeats = Repeats.of(np.arange(len(group)), group)
    rows = [
        row(name, role, right, seed, repeats)
        for name, role, right in (("hard", "conventional", hard), ("ours", "method", ours))
        for seed in (0, 1)
    ]
    found = summarise(rows)[1]
    expected = standard_error(torch.from_numpy(ours * 1.0 - hard), repeats)
    assert found.difference_high - found.difference == pytest.approx(1.959964 * expected, rel=1e-5)


def test_one_group_alone_has_no_interval():
    repeats = Repeats.of(np.arange(4), np.zeros(4))
    rows = [row("hard", "conventional", [1, 0, 1, 0], 0, repeats), row("ours", "method", [1, 1, 1, 0], 0, repeats)]
    found = summarise(rows)[1]
    assert (found.difference, found.difference_low, found.verdict) == (0.25, None, "INCONCLUSIVE")


def test_paired_proportions_of_copies_are_those_of_the_examples():
    first, second = torch.tensor([True, False, True, False]), torch.tensor([True, True, True, False])
    copies = paired_difference(first.repeat(5), second.repeat(5), num_independent=4.0)
    assert copies == pytest.approx(paired_difference(first, second))


def test_disagreements_name_the_row_of_the_test():
    student, teacher = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([[0.6, 0.4], [1.0, 0.0]])
    found = tally("slam", 0, student, torch.tensor([0, 0]), teacher, torch.tensor([3, 7]))
    assert [each["row"] for each in found.disagreements] == [7]


def write(path, inputs, label, who=None):
    lines = [
        f"{x:.6f},{z:.6f},{'no' if y == 0 else 'yes'}{'' if who is None else f',{who[i]}'}\n"
        for i, ((x, z), y) in enumerate(zip(inputs, label, strict=True))
    ]
    path.write_text(f"x,z,y{'' if who is None else ',who'}\n" + "".join(lines))


@pytest.fixture
def results(tmp_path, capsys):
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(290, 2))
    label = ((inputs[:, 0] + 0.8 * draw.normal(size=290)) > 0).astype(int)
    write(tmp_path / "labelled.csv", inputs[:50], label[:50])
    write(tmp_path / "pool.csv", inputs[50:250], label[50:250])
    once = np.arange(250, 290)
    tests = {"once": once, "often": np.repeat(once, 5), "grouped": once}
    found = {}
    for name, rows in tests.items():
        who = [f"p{i // 4}" for i in range(len(rows))] if name == "grouped" else None
        write(tmp_path / f"{name}.csv", inputs[rows], label[rows], who)
        test = {"path": str(tmp_path / f"{name}.csv"), "label": "y", **({} if who is None else {"group": "who"})}
        files = {role: {"path": str(tmp_path / f"{role}.csv"), "label": "y"} for role in ("labelled", "pool")}
        (tmp_path / f"{name}.yaml").write_text(
            json.dumps(
                {
                    "data": {"files": {**files, "test": test}},
                    "teacher": {"model": "sklearn.naive_bayes:GaussianNB"},
                    "student": {"name": "linear"},
                    "train": {"epochs": 2},
                    "methods": ["hard", "slam"],
                    "seeds": [0],
                }
            )
        )
        main(["run", str(tmp_path / f"{name}.yaml"), "--out", str(tmp_path / name)])
        found[name] = json.loads((tmp_path / name / "result.json").read_text())
        found[name]["tallies"] = json.loads((tmp_path / name / "tallies.json").read_text())
    capsys.readouterr()
    return found


def test_a_run_on_a_test_of_copies_has_the_result_of_the_distinct_ones(results):
    once, often, grouped = results["once"], results["often"], results["grouped"]
    assert often["rows"] == once["rows"]
    assert often["summary"] == once["summary"]
    assert all(each["metrics"]["num_examples"] == 40 for each in often["rows"])
    for many, few in zip(often["tallies"], once["tallies"], strict=True):
        assert many["confusion"] == few["confusion"]
        assert [each["row"] for each in many["disagreements"]] == [5 * each["row"] for each in few["disagreements"]]
    assert any("200 test examples have 40 different contents; each counts once" in each for each in often["findings"])
    assert not any("different contents" in each for each in once["findings"])
    # Ten groups of four: the metrics are the same, their intervals those of ten examples.
    for wide, narrow in zip(grouped["rows"], once["rows"], strict=True):
        assert wide["metrics"] == {**narrow["metrics"], "num_independent": 10}
    teacher = grouped["summary"][0]
    low, high = accuracy_interval(10 * teacher["mean"], 10)
    assert (teacher["low"], teacher["high"]) == pytest.approx((low, high))
