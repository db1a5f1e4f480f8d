"""Recorded losses: a change that should not change numbers must not change these.

The training itself is recorded, with the seed and the held-out rows given: how a front door derives them is tested
elsewhere.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from overproof import TrainOptions
from overproof.answers.predictions import compress
from overproof.cross_fitting import folds
from overproof.data import from_arrays
from overproof.methods.published import method, method_names
from overproof.models import build, join
from overproof.synthetic import blobs
from overproof.training import examples as examples_module
from overproof.training.distillation import distilled
from overproof.training.examples import AnsweredExamples, TrainingData

GOLDEN = Path(__file__).parent / "golden_losses.json"


def losses(name: str) -> list[float]:
    world = blobs(num_examples=600, num_classes=4, seed=0)
    weights = None
    if method(name).initial == "teacher":
        weights = build("mlp", [from_arrays(world.inputs)], class_names="abcd", seed=1).module.state_dict()
    labelled = replace(from_arrays(world.inputs[:200]), label=world.label[:200], class_names=tuple("0123"))
    pool = from_arrays(world.inputs[200:])
    student = build("mlp", [labelled, pool], class_names=tuple("0123"), seed=0)
    answers = compress(world.teacher_probs[200:]).identified(pool.ids)
    data = TrainingData(
        inputs=join([student.encode(labelled), student.encode(pool)]),
        labelled=AnsweredExamples(
            place=torch.arange(200), label=labelled.label, answers=compress(world.teacher_probs[:200])
        ),
        pool=AnsweredExamples(place=200 + torch.arange(400), label=torch.full((400,), -1), answers=answers),
    )
    options = TrainOptions(epochs=3, batch_size=64, learning_rate=0.01, optimizer="adamw")
    result = distilled(student, data, method=method(name), options=options, seed=0, teacher_weights=weights)
    return [record.loss for record in result.history]


@pytest.fixture(autouse=True)
def held_out_rows(monkeypatch):
    """The first of three folds, as when the losses were recorded."""

    def first_fold(label, share, seed):
        return folds(label, 3, seed) == 0

    monkeypatch.setattr(examples_module, "held_out_rows", first_fold)


@pytest.mark.parametrize("name", method_names())
def test_losses_are_those_recorded(name):
    # Six digits: processors differ in how they round sums, not in what they compute.
    assert losses(name) == pytest.approx(json.loads(GOLDEN.read_text())[name], rel=1e-6)
