"""A teacher of hard labels alone: where it errs is estimated class by class, and a run says so."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from overproof.answers.predictions import compress
from overproof.api import run
from overproof.assessment.assess import assess
from overproof.assessment.on_pool import ACCURACY_STEPS
from overproof.methods.noise_models import Isotonic
from overproof.models import Dense
from overproof.noise import ClassAccuracy, IsotonicAccuracy, class_accuracy
from overproof.noise.class_accuracy import same_margins
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs
from overproof.training.examples import AnsweredExamples

RIGHT = torch.tensor([0.95, 0.8, 0.6])
"""P(right | the class the teacher names)."""


def world(num: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """What the teacher names, and the truth."""
    generator = torch.Generator().manual_seed(seed)
    named = torch.randint(3, (num,), generator=generator)
    right = torch.rand(num, generator=generator) < RIGHT[named]
    other = (named + torch.randint(1, 3, (num,), generator=generator)) % 3
    return named, torch.where(right, named, other)


def one_hot(named: torch.Tensor, num_classes: int = 3) -> torch.Tensor:
    return torch.nn.functional.one_hot(named, num_classes).float()


def test_the_accuracy_of_each_class_is_found_better_from_more_labels():
    errors = []
    for num in (60, 600, 6000):
        found = []
        for seed in range(5):
            named, truth = world(num, seed)
            found.append(class_accuracy(named, named == truth, 3, prior=4.0).values - RIGHT)
        errors.append(torch.stack(found).square().mean().sqrt().item())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def test_a_class_that_is_never_named_is_as_good_as_all():
    named, right = torch.tensor([0, 0, 1, 1]), torch.tensor([True, True, True, False])
    # Overall (3 + 1) / (4 + 2), with four imaginary examples of every class.
    overall = 4 / 6
    expected = [(2 + 4 * overall) / 6, (1 + 4 * overall) / 6, overall]
    assert class_accuracy(named, right, 3, lower=0.0, prior=4.0).values.tolist() == pytest.approx(expected)
    assert class_accuracy(named, right, 3, lower=0.7, prior=4.0).values.min() == 0.7
    assert class_accuracy(named, right, 3, lower=0.0).values.tolist() == pytest.approx([1.0, 0.5, overall])


@pytest.mark.parametrize("confidence", [1.0, 0.75])
def test_equal_margins_are_recognised_and_all_classes_are_candidates(confidence: float):
    named, truth = world(400)
    probs = confidence * one_hot(named) + (1 - confidence) / 2 * (1 - one_hot(named))
    estimate = Isotonic().fit(probs, truth)
    assert isinstance(estimate.accuracy, ClassAccuracy)
    assert estimate.num_candidates(probs).unique().tolist() == [3]
    assert "accuracy_by_answer" in estimate.summary()
    # Stored answers, as the loop reads them, know it too.
    answered = AnsweredExamples(place=torch.arange(400), label=truth, answers=compress(probs))
    rows = answered.rows(Dense(values=torch.zeros(400, 1)), estimate)
    torch.testing.assert_close(rows.teacher_accuracy, estimate.accuracy.values[named].float())
    torch.testing.assert_close(rows.teacher_accuracy, estimate.teacher_accuracy(probs))
    assert Isotonic(candidates=2, lower_bound=0.9).fit(probs, truth).num_candidates(probs).unique().tolist() == [2]


def test_one_other_margin_and_the_curve_is_back():
    named, truth = world(400)
    probs = one_hot(named)
    probs[0] = torch.tensor([0.5, 0.3, 0.2])
    assert isinstance(Isotonic().fit(probs, truth).accuracy, IsotonicAccuracy)
    assert not same_margins(torch.tensor([1.0]))


@pytest.fixture
def content(tmp_path: Path) -> dict:
    data = blobs(num_examples=400, num_classes=3, seed=0)
    names = np.array(["cat", "cow", "dog"])
    columns = {f"x{index}": column for index, column in enumerate(data.inputs.T.numpy())}
    keys = [f"row-{index}" for index in range(400)]
    pq.write_table(pa.table({**columns, "kind": names[data.label.numpy()], "key": keys}), tmp_path / "data.parquet")
    rng = np.random.default_rng(0)
    rows = []
    for key, label in zip(keys, data.label.tolist(), strict=True):
        for annotator in range(3):
            # Every annotator takes cows for dogs, and the last one is careless.
            wrong = rng.random() < (0.4 if label == 1 else 0.05) + (0.2 if annotator == 2 else 0)
            rows.append({"id": key, "annotator": f"w{annotator}", "label": str(names[2 if wrong else label])})
    (tmp_path / "votes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[::3]))
    return {
        "data": {
            "files": {"all": {"path": str(tmp_path / "data.parquet"), "label": "kind", "id": "key"}},
            "rows": {"labelled": 80, "pool": 200, "test": 100},
        },
        "student": {"name": "linear"},
        "train": {"epochs": 2},
        "methods": ["slam", "wd", "fidelity"],
        "seeds": [0],
    }


def test_a_run_on_hard_labels_says_what_is_estimated(content: dict, tmp_path: Path):
    teacher = {"answers": [str(tmp_path / "labels.jsonl")], "vote": "majority"}
    result = run(experiment_from({**content, "teacher": teacher}), tmp_path / "run")
    sentence = next(each for each in result.findings if "hard labels only" in each)
    accuracies = json.loads((tmp_path / "run/students/seed-0/slam/row.json").read_text())["noise"]["accuracy_by_answer"]
    assert ", ".join(f"{n} {a:.3f}" for n, a in zip(("cat", "cow", "dog"), accuracies, strict=True)) in sentence
    # What it calls a dog may be a cow.
    assert accuracies[2] < min(accuracies[:2])
    assert "labels.jsonl holds 1.0 votes an example, which agree on 100.0% of them" in result.findings[-2]


def test_a_run_on_votes_says_how_they_were_counted(content: dict, tmp_path: Path):
    content["methods"] = ["hard"]
    said = {}
    for vote in ("soft", "reliability"):
        teacher = {"answers": [str(tmp_path / "votes.jsonl")], "vote": vote}
        result = run(experiment_from({**content, "teacher": teacher}), tmp_path / vote)
        said[vote] = next(each for each in result.findings if "votes an example" in each)
        assert not any("hard labels only" in each for each in result.findings)
    assert said["soft"].startswith("votes.jsonl holds 3.0 votes an example")
    assert "shares of the votes" in said["soft"]
    assert "Dawid and Skene" in said["reliability"]


def test_an_assessment_goes_by_class_and_says_so():
    named, truth = world(400)
    pool, _ = world(1000, seed=1)
    found = assess(truth, one_hot(named), one_hot(pool), class_names=["a", "b", "c"])
    assert found.reliability == {}
    assert any("follows from the predicted classes" in finding for finding in found.findings)
    # A third of the pool each: right 95, 80 and 60 times in a hundred.
    shares = dict(zip((*ACCURACY_STEPS, 1.0), found.pool_by_accuracy, strict=True))
    assert sum(share > 0.3 for share in shares.values()) == 3
    with_margins = assess(
        truth, 0.9 * one_hot(named) + 0.1 * torch.rand(400, 3).softmax(1), one_hot(pool), class_names=list("abc")
    )
    assert with_margins.reliability
