"""A row is conventional by its parts, not by its name: options and rounds make methods of `hard` and `soft`."""

import pyarrow
import pyarrow.csv
import pytest

from overproof.api import run
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs


def content(methods, **more):
    data = {
        "files": {"all": {"path": "blobs.csv", "label": "colour"}},
        "rows": {"labelled": 60, "pool": 200, "test": 100},
    }
    return {"data": data, "methods": methods, **more}


@pytest.mark.parametrize(
    ("row", "plain"),
    [
        ({"method": "hard"}, "hard"),
        ({"method": "soft", "train": {"epochs": 3, "early_stop_epochs": 1}}, "soft"),
        ({"method": "hard", "options": {"pool.target": "soft"}}, "soft"),
        ({"method": "hard", "options": {"noise": "isotonic"}}, "hard"),
        ({"method": "wd", "options": {"pool.weight": "uniform"}}, "hard"),
        ({"method": "soft", "rounds": 1}, ""),
        ({"method": "hard", "options": {"pool.weight": "fidelity", "noise": "isotonic"}}, ""),
        ({"method": "hard", "options": {"select": "confident"}}, ""),
        ({"method": "hard", "options": {"labelled.target": "hard"}}, ""),
        ({"method": "soft", "options": {"pool.loss": "tempered_divergence"}}, ""),
        ({"method": "hard", "options": {"generations": 2}}, ""),
        ({"method": "soft_tempered"}, ""),
        ({"method": "labelled_only"}, "labelled_only"),
        ({"method": "labelled_only", "options": {"labelled.loss": "generalized_cross_entropy"}}, ""),
    ],
    ids=str,
)
def test_what_makes_a_method_of_a_conventional_row(row, plain):
    experiment = experiment_from(content([{**row, "name": "own"}]))
    (own,) = [each for each in experiment.rows() if each.row == "own"]
    assert experiment.plain(own) == plain
    # The plain rows that it is not are added.
    others = {"labelled_only", "hard", "soft"} - {plain}
    assert {each.row for each in experiment.rows()} == {"own", *others}


def test_a_row_with_rounds_is_no_baseline(tmp_path):
    world = blobs(num_examples=300, num_classes=2, seed=0)
    columns = {f"x{i}": pyarrow.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    pyarrow.csv.write_csv(pyarrow.table({**columns, "colour": pyarrow.array(world.label.numpy())}), tmp_path / "b.csv")
    experiment = experiment_from(
        {
            "data": {
                "files": {"all": {"path": str(tmp_path / "b.csv"), "label": "colour"}},
                "rows": {"labelled": 60, "pool": 100, "test": 100},
            },
            "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
            "student": {"name": "linear"},
            "train": {"epochs": 1},
            "methods": ["labelled_only", "hard", {"method": "soft", "rounds": 1}],
            "seeds": [0, 1],
        }
    )
    result = run(experiment, tmp_path / "run")
    summary = {each.method: each for each in result.summary}
    assert {name: each.role for name, each in summary.items()} == {
        "teacher": "reference", "oracle": "reference", "labelled_only": "reference", "hard": "conventional",
        "soft": "method",
    }  # fmt: skip
    assert summary["soft"].verdict is not None
    (said,) = [each for each in result.findings if each.startswith("The row soft is a method here")]
    assert "such as soft_1, and both are shown" in said
    assert not any(each.startswith("The row hard") for each in result.findings)
    assert {each.baseline for each in result.summary} == {"hard"}


def test_without_a_conventional_row_there_is_nothing_to_compare_with():
    with pytest.raises(InputError, match=r"'hard' and 'soft' have options that make methods of them.*as hard_1"):
        experiment_from(content([{"method": "hard", "rounds": 1}, {"method": "soft", "rounds": 1}]))
    rows = experiment_from(content([{"method": "hard", "rounds": 1}])).rows()
    assert [each.row for each in rows] == ["labelled_only", "soft", "hard"]


def test_without_a_pool_the_same_holds():
    files = {
        "files": {"all": {"path": "blobs.csv", "label": "colour"}},
        "rows": {"labelled": 60, "pool": 0, "test": 100},
    }
    changed = {"method": "born_again", "options": {"labelled.target": "hard"}}
    experiment = experiment_from({"data": files, "methods": [changed, "self_distilled"], "teacher": {"folds": 2}})
    assert [experiment.plain(each) for each in experiment.rows()] == ["labelled_only", "", ""]
    renamed = experiment_from({"data": files, "methods": [{**changed, "name": "other"}], "teacher": {"folds": 2}})
    assert [each.row for each in renamed.rows()] == ["labelled_only", "born_again", "other"]
