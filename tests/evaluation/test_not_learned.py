"""A student that has not learned is said to have not, with the end of its curve, instead of a regime."""

import math

import pyarrow
import pyarrow.csv
import pytest

from overproof.api import run
from overproof.evaluation.findings import RunFacts, findings_of
from overproof.evaluation.verdict import Row, summarise
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs


def findings(losses, accuracy, *, num_classes=2, commonest=None, others=None, stepped=True, roles=None):
    """Of a run whose rows have the same curve and accuracy, but for `others` by row."""
    trainings, rows = {}, []
    for name, role in (("labelled_only", "reference"), ("hard", "conventional"), ("oracle", "reference")):
        own_losses, own_accuracy = (others or {}).get(name, (losses, accuracy))
        count = 0.5 if stepped else None
        history = [{"epoch": i + 1, "loss": loss, "labelled_right": count} for i, loss in enumerate(own_losses)]
        facts = {"history": history, "noise": {}, "num_labelled": 9, "commonest_label": commonest or 1 / num_classes}
        trainings[name, 0] = {**facts, "pool_answers_right": 0.7, "mistakes_learned": 0.3}
        role = (roles or {}).get(name, role)
        rows.append(Row(method=name, role=role, seed=0, metrics={"accuracy": own_accuracy}))
    names = [f"c{i}" for i in range(num_classes)]
    rows.append(Row(method="teacher", role="reference", seed=0, metrics={"accuracy": 0.75}))
    return " ".join(
        findings_of(RunFacts(trainings=trainings, rows=rows, summary=summarise(rows), class_names=names, repeated={}))
    )


def test_the_end_of_the_curve_is_shown_beside_that_of_guessing():
    said = findings([0.760, 0.729], 0.295)
    assert (
        "The student has not learned, in any row: after 2 epochs the training loss of oracle is 0.729, 0.031 below"
        in said
    )
    assert "guessing has log 2 = 0.693" in said
    assert "test accuracy is 29.5%" in said
    assert "'train.epochs' or 'train.learning_rate'." in said
    assert "regime:" not in said
    assert "repeats" not in said


LEARNED = {
    "well trained": ([0.5, 0.3, 0.2], 0.9),
    "noise floor of 30 % flips": ([0.66, 0.625, 0.615], 0.7),
    "one epoch over a large pool": ([0.665], 0.8),
    "one epoch from a bad start": ([0.75], 0.7),
    "memorised, still falling": ([0.2, 0.05], 0.85),
    "labels hardly better than coins": ([0.69, 0.68, 0.677], 0.6),
}


@pytest.mark.parametrize("name", LEARNED)
def test_it_is_silent_about_students_that_have_learned(name):
    said = findings(*LEARNED[name])
    assert "has not learned" not in said
    assert "regime" in said


@pytest.mark.parametrize(
    ("losses", "accuracy", "more"),
    [
        ([0.71], 0.5, {}),
        ([0.72, 0.71], 0.65, {}),
        ([2.97], 0.12, {"num_classes": 20}),
        ([0.700, 0.695], 0.8, {"commonest": 0.8}),
        ([2.9, 2.2], 0.4, {"num_classes": 20}),
        ([4.7, 4.6, 4.5], 0.03, {"num_classes": 100}),
    ],
)
def test_it_is_found_near_guessing_and_on_a_steep_curve(losses, accuracy, more):
    assert "has not learned" in findings(losses, accuracy, **more)


def test_one_row_that_has_learned_is_enough_for_silence():
    for row in ("oracle", "hard", "labelled_only"):
        assert "has not learned" not in findings([0.71, 0.70], 0.4, others={row: ([0.5, 0.3], 0.9)})


def test_a_method_that_has_learned_says_nothing_of_the_plain_rows():
    """`hard` with rounds is a method of that name: it is no plain row."""
    learned = {"hard": ([0.5, 0.3], 0.9)}
    assert "has not learned" in findings([0.71, 0.70], 0.4, others=learned, roles={"hard": "method"})


def test_a_flat_curve_names_the_inputs_and_estimators_have_no_epochs():
    assert "the inputs tell little" in findings([0.694, 0.694, 0.693], 0.5)
    assert "the inputs tell little" not in findings([0.76, 0.72], 0.5)
    assert "has not learned" not in findings([0.71], 0.5, stepped=False)


def experiment(path, **train):
    return experiment_from(
        {
            "data": {
                "files": {"all": {"path": str(path), "label": "y"}},
                "rows": {"labelled": 80, "pool": 200, "test": 200},
            },
            "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
            "student": {"name": "linear"},
            "train": {"batch_size": 32, **train},
            "methods": ["slam"],
            "seeds": [0],
        }
    )


def test_a_run_of_tiny_steps_has_not_learned_and_one_of_usual_steps_has(tmp_path):
    world = blobs(num_examples=480, num_classes=2, seed=0)
    columns = {f"x{i}": pyarrow.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    path = tmp_path / "b.csv"
    # The student's random first weights happen to know these classes, so they are exchanged.
    pyarrow.csv.write_csv(pyarrow.table({**columns, "y": pyarrow.array(1 - world.label.numpy())}), path)
    short = run(experiment(path, epochs=2, learning_rate=1e-6), tmp_path / "short")
    (said,) = [each for each in short.findings if "has not learned" in each]
    assert f"log 2 = {math.log(2):.3f}" in said
    assert not any("regime:" in each or "regime." in each for each in short.findings if each != said)
    longer = run(experiment(path, epochs=15, learning_rate=0.05), tmp_path / "longer")
    assert not any("has not learned" in each for each in longer.findings)
