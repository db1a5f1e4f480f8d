"""The tables of benchmarks/peers: paired differences, verdicts and macro F1 on numbers a reader can check."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture
def results(monkeypatch):
    """The module that makes the tables, as the race loads it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    known = set(sys.modules)
    spec = importlib.util.spec_from_file_location("results", FOLDER / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in set(sys.modules) - known - {"torch"}:
        if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).parent == FOLDER:
            del sys.modules[name]


def cell(title, seed, predicted, **others):
    about = {"seconds": 3.0, "peak_bytes": 2e8, "bytes": 5e5, "rows_a_second": 1000.0, "lines": 7}
    return {"title": title, "seed": seed, "predicted": predicted, **about, **others}


LABEL = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])


def wrong(*places):
    """The truth but at these places, where the class after it is answered."""
    predicted = LABEL.copy()
    predicted[list(places)] = (predicted[list(places)] + 1) % 3
    return predicted.tolist()


def test_differences_are_paired_by_seed_and_positive_for_the_peer(results):
    ours = [cell(results.BASELINE, seed, wrong(*range(2 + seed))) for seed in range(3)]
    # One more right than ours in seeds 0 and 1, two more in seed 2: .1, .1 and .2.
    peer = [cell("theirs", seed, wrong(*range(2 + seed - [1, 1, 2][seed]))) for seed in range(3)]
    found = results.compared([*ours, *peer], LABEL)["accuracy"]
    assert found[results.BASELINE].mean == pytest.approx((0.8 + 0.7 + 0.6) / 3)
    assert found["theirs"].difference == pytest.approx(0.4 / 3)
    assert found["theirs"].baseline == results.BASELINE
    assert found["theirs"].num_pairs == 3
    # Seeds: variance 1/300 of the differences, Student's t of 2 degrees 4.303; examples: each one's mean difference.
    per_example = np.zeros(10)
    for gained in ([1], [2], [2, 3]):
        per_example[gained] += 1 / 3
    half = np.sqrt(4.302653**2 * (1 / 300) / 3 + 1.959964**2 * per_example.var(ddof=1) / 10)
    assert found["theirs"].difference_high == pytest.approx(0.4 / 3 + half, rel=1e-5)
    assert found["theirs"].difference_low == pytest.approx(0.4 / 3 - half, rel=1e-5)


def test_a_seed_that_the_peer_lacks_is_not_counted(results):
    ours = [cell(results.BASELINE, seed, wrong(*range(9 * (seed == 2)))) for seed in range(3)]
    peer = [cell("theirs", seed, wrong(0)) for seed in range(2)]
    found = results.compared([*ours, *peer], LABEL)["accuracy"]["theirs"]
    assert (found.num_pairs, found.difference) == (2, pytest.approx(-0.1))


def test_macro_f1_is_the_mean_over_the_classes_that_occur(results):
    # Class 0: one hit, two labels, one answer: 2/3; class 1: one hit, one label, two answers: 2/3; no class 2.
    assert results.macro_f1(np.array([0, 1, 1]), np.array([0, 0, 1])) == pytest.approx(2 / 3)
    assert results.macro_f1(np.array([0, 2]), np.array([0, 1])) == pytest.approx(0.5)


def test_the_table_names_missing_seeds_and_marks_who_beats_auto(results):
    many = np.tile(LABEL, 40)
    cells = [cell(results.BASELINE, seed, np.tile(wrong(0, 5, 9), 40).tolist()) for seed in range(5)]
    cells += [cell("better", seed, many.tolist()) for seed in range(5)]
    cells += [
        cell("worse", 0, np.tile(wrong(0, 1, 2, 5, 9), 40).tolist()),
        {"title": "broken", "seed": 0, "broke": "no"},
    ]
    lines = results.table_of(cells, many).splitlines()
    assert lines[2].startswith("| **better** | **100.0** | **+30.0 [")
    assert "**BEATS**" in lines[2]
    assert lines[3].startswith(f"| {results.BASELINE} | 70.0 |  |  | ")
    assert lines[4].startswith("| worse (1 seed) | 50.0 | -20.0 [")
    assert "DOES NOT BEAT" in lines[4]
    assert len(lines) == 5
    assert lines[2].endswith("| 3 | 200 | 0.50 | 1,000 | 7 |")
