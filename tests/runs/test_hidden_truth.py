"""Who sees which labels in a run: the pool's truth is hidden, noise is estimated on unseen labels, -1 is no mistake."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from overproof import registry
from overproof.api import run
from overproof.data.options import DataOptions
from overproof.evaluation.metrics import deviation_slope
from overproof.methods.losses import CrossEntropy
from overproof.methods.noise_models import Isotonic
from overproof.models import load_student
from overproof.progress import Silent
from overproof.runs.experiment import MethodOptions, experiment_from
from overproof.runs.pipeline import Run
from overproof.runs.read_roles import read_roles
from overproof.synthetic import blobs

NAMES = np.array(["red", "green", "blue"])
SPIED: list[tuple[list[int], int]] = []


def write(path, rows, *, num=500, labels=None):
    world = blobs(num_examples=num, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column[rows]) for i, column in enumerate(world.inputs.T.numpy())}
    given = NAMES[world.label.numpy()][rows] if labels is None else labels
    pa.csv.write_csv(pa.table({**columns, "colour": pa.array(given)}), path)
    return {"path": str(path), "label": "colour"}


def experiment(files, **changes):
    return experiment_from(
        {
            "data": {"files": files, "rows": {"labelled": 60, "pool": 200, "test": 100}},
            "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
            "student": {"name": "mlp", "options": {"hidden": [8]}},
            "train": {"epochs": 2, "batch_size": 32},
            "methods": ["hard"],
            "seeds": [0],
            **changes,
        }
    )


@dataclass(frozen=True)
class Spy:
    """Cross-entropy that writes down the labels it is shown."""

    side: int = 0

    def __call__(self, batch):
        SPIED.append((batch.label.tolist(), self.side))
        return CrossEntropy()(batch)


@pytest.mark.parametrize("name", ["hard", "wd", "slam"])
def test_a_method_sees_the_truth_of_labelled_examples_and_of_no_pool_example(tmp_path, monkeypatch, name):
    """The pool's labels are in the file, and an oracle row is trained on them: as answers, never as labels."""
    build = MethodOptions.build

    def spied(options):
        built = build(options)
        sides = [replace(getattr(built, side), loss=Spy(number)) for number, side in enumerate(("labelled", "pool"))]
        return replace(built, labelled=sides[0], pool=sides[1])

    SPIED.clear()
    monkeypatch.setattr(MethodOptions, "build", spied)
    entry = replace(registry.lookup("loss", "cross_entropy"), name="spy", make=Spy)
    monkeypatch.setitem(registry._entries, ("loss", "spy"), entry)
    files = {"all": write(tmp_path / "a.csv", slice(None))}
    result = run(experiment(files, methods=[name]), tmp_path / "run")
    assert {"oracle", name, "hard"} <= {row.method for row in result.rows}
    labelled, pool = ([label for seen, side in SPIED if side == number for label in seen] for number in (0, 1))
    assert set(labelled) == {0, 1, 2}
    assert len(pool) > 1000
    assert set(pool) == {-1}


def row_of(folder, method):
    return json.loads((folder / "students/seed-0" / method / "row.json").read_text())


def test_a_pool_example_without_a_label_is_no_mistake_of_the_teacher(tmp_path):
    """One pool label in twelve is unknown: shares are of the examples whose truth is known."""
    world = blobs(num_examples=500, num_classes=3, seed=0)
    named = NAMES[world.label.numpy()].tolist()
    pool = [None if row % 12 == 0 else named[row] for row in range(100, 340)]
    files = {
        "labelled": write(tmp_path / "labelled.csv", slice(0, 60)),
        "test": write(tmp_path / "test.csv", slice(400, 500)),
        "pool": write(tmp_path / "pool.csv", slice(100, 340), labels=pool),
    }
    made = Run(experiment=experiment({}, data={"files": files}), folder=tmp_path / "run", progress=Silent())
    made.all_steps()
    found = row_of(tmp_path / "run", "hard")
    examples, answers = made.teacher.given.for_seed(0).pool, made.teacher.for_seed(0)["pool"]
    known = examples.label >= 0
    assert known.sum() == 220
    right = answers.pseudo_label == examples.label
    assert found["pool_answers_right"] == pytest.approx(right[known].double().mean().item())
    assert found["pool_answers_right"] > right.double().mean().item() + 0.02
    logits = load_student(tmp_path / "run/students/seed-0/hard").logits(examples)
    slope = deviation_slope(logits, answers.pseudo_label, answers.class_probs[:, 0].float())
    assert found["deviation_slope"] == pytest.approx(slope, rel=1e-4)
    # The student repeats nearly every answer, so that mistakes and unknown labels differ in number alone.
    assert found["mistakes_learned"] * int((~right & known).sum()) == pytest.approx(
        round(found["mistakes_learned"] * int((~right & known).sum()))
    )


@pytest.mark.parametrize("folds", [1, 3])
def test_noise_is_estimated_on_labels_that_the_teacher_was_not_trained_on(tmp_path, folds):
    """With a validation role and a teacher that was trained on all labelled examples: on validation alone."""
    content = {
        "data": {
            "files": {"all": write(tmp_path / "a.csv", slice(None))},
            "rows": {"labelled": 60, "validation": 80, "pool": 200, "test": 100},
        },
        "teacher": {"model": "sklearn.neighbors:KNeighborsClassifier", "folds": folds, "options": {"n_neighbors": 1}},
        "methods": ["fidelity"],
    }
    made = Run(experiment=experiment({}, **content), folder=tmp_path / "run", progress=Silent())
    made.all_steps()
    found = row_of(tmp_path / "run", "fidelity")
    roles, answers = made.teacher.given.for_seed(0), made.teacher.for_seed(0)
    used = ["validation"] if folds == 1 else ["labelled", "validation"]
    label = torch.cat([getattr(roles, role).label for role in used])
    expected = Isotonic().fit(torch.cat([answers[role].probs() for role in used]), label)
    assert found["noise"]["num_examples"] == len(label) == (80 if folds == 1 else 140)
    assert found["noise"] == json.loads(json.dumps(expected.summary()))
    on_validation = (answers["validation"].pseudo_label == roles.validation.label).double().mean().item()
    assert found["teacher_accuracy"]["mean"] == pytest.approx(on_validation)
    # The teacher knows every label that it was trained on by heart: in sample it is never wrong.
    in_sample = (answers["labelled"].pseudo_label == roles.labelled.label).double().mean().item()
    assert (in_sample == 1) == (folds == 1)


# --- examples that are in the test too


def shared_files(tmp_path):
    """Ten rows of the pool, four labelled and three validation ones are test rows."""
    parts = {
        "labelled": [*range(0, 56), *range(400, 404)],
        "validation": [*range(60, 97), *range(404, 407)],
        "pool": [*range(100, 290), *range(407, 417)],
        "test": list(range(400, 500)),
    }
    return {role: write(tmp_path / f"{role}.csv", rows) for role, rows in parts.items()}


def test_examples_that_are_in_the_test_are_dropped_by_number(tmp_path):
    files = shared_files(tmp_path)
    kept = read_roles(DataOptions(files=files, duplicates="drop"))
    told = read_roles(DataOptions(files=files, duplicates="report"))
    assert {role: len(each) for role, each in told.fixed.items()} == {
        "labelled": 60, "validation": 40, "pool": 200, "test": 100,
    }  # fmt: skip
    assert {role: len(each) for role, each in kept.fixed.items()} == {
        "labelled": 56, "validation": 37, "pool": 190, "test": 100,
    }  # fmt: skip
    assert dict(told.reported) == {"labelled": 4, "validation": 3, "pool": 10}
    assert dict(kept.reported) == {}
    assert dict(kept.repeated) == {"labelled": 4, "validation": 3, "pool": 10}
    test = set(kept.fixed["test"].ids.tolist())
    for role in ("labelled", "validation", "pool"):
        assert test.isdisjoint(kept.fixed[role].ids.tolist())
        # The others are all there, in their order.
        others = [each for each in told.fixed[role].ids.tolist() if each not in test]
        assert kept.fixed[role].ids.tolist() == others


def test_dropped_examples_are_neither_trained_on_nor_counted(tmp_path):
    data = {"files": shared_files(tmp_path), "duplicates": "drop"}
    run(experiment({}, data=data, methods=["hard"]), tmp_path / "drop")
    run(experiment({}, data={**data, "duplicates": "report"}, methods=["hard"]), tmp_path / "report")
    counted = [
        (found["num_labelled"], found["selection"]["num_pool"], found["num_pool"])
        for found in (row_of(tmp_path / folder, "hard") for folder in ("drop", "report"))
    ]
    assert counted == [(56, 190, 190), (60, 200, 200)]
