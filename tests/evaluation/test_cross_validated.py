"""`overproof.distill(estimate=…)`: how often the student is right, by labelled rows that it did not learn from."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

import overproof
from overproof.cross_fitting import folds, rows_within, rows_without
from overproof.errors import InputError
from overproof.evaluation.metrics import metrics
from overproof.evaluation.paired import CROSS_VALIDATED
from overproof.seeds import derived_seed
from overproof.synthetic import blobs

FEW, REST = slice(0, 60), slice(60, 240)
OPTIONS = {"method": "slam_auto", "train": {"epochs": 2}, "seed": 3}


@pytest.fixture(scope="module")
def world():
    return blobs(num_examples=240, num_classes=3, seed=0)


def test_each_row_is_judged_by_a_student_that_did_not_learn_from_it(world, tmp_path):
    x, y, probs = world.inputs, world.label, world.teacher_probs
    given = (x[REST], probs[REST], x[FEW], y[FEW], probs[FEW])
    alone = overproof.distill("linear", *given, **OPTIONS)
    assert alone.estimate is None
    assert "not judged" in repr(alone)
    result = overproof.distill("linear", *given, estimate=4, checkpoint=tmp_path / "file.pt", **OPTIONS)
    # The student itself is the same, trained on all labels.
    assert torch.equal(result.student.logits(x), alone.student.logits(x))
    fold, by_hand = folds(y[FEW], 4, derived_seed(3, "cross-validation")), torch.empty(60, 3)
    for number in range(4):
        kept, held = rows_without(fold, number), rows_within(fold, number)
        made = overproof.distill("linear", x[REST], probs[REST], x[kept], y[kept], probs[kept], **OPTIONS)
        by_hand[held] = made.student.probs(x[held])
    found = result.estimate
    assert found.metrics == metrics(by_hand, y[FEW], None)
    assert (found.num_judged, found.num_folds) == (60, 4)
    assert found.teacher_accuracy == (probs[FEW].argmax(dim=1) == y[FEW]).double().mean().item()
    # Wilson's interval, of as many independent examples as the variance of cross-validated rows leaves.
    assert found.low < found.accuracy < found.high
    assert found.high - found.low == pytest.approx(
        2 * 1.96 * (found.accuracy * (1 - found.accuracy) * CROSS_VALIDATED / 60) ** 0.5, rel=0.1
    )
    assert f"right {100 * found.accuracy:.1f} %" in repr(result)
    again = overproof.distill("linear", *given, estimate=4, checkpoint=tmp_path / "file.pt", **OPTIONS)
    assert again.estimate == found


def test_a_module_of_ones_own_begins_every_fold_with_its_own_weights(world):
    x, y, probs = world.inputs, world.label, world.teacher_probs
    given = (x[REST], probs[REST], x[FEW], y[FEW], probs[FEW])
    torch.manual_seed(0)
    module = torch.nn.Linear(2, 3)
    first = {name: value.clone() for name, value in module.state_dict().items()}
    judged = overproof.distill(module, *given, estimate=2, **OPTIONS)
    fresh = torch.nn.Linear(2, 3)
    fresh.load_state_dict(first)
    assert torch.equal(overproof.distill(fresh, *given, **OPTIONS).student.logits(x), judged.student.logits(x))


def test_a_memorising_teacher_of_random_labels_is_at_chance(world):
    draw = np.random.default_rng(0)
    inputs, noise = draw.normal(size=(400, 3)), draw.integers(0, 2, 400)
    labels = [int(noise[row]) if row < 200 else None for row in range(400)]
    # The teacher knows every label by heart: with it the student of a fold would, too.
    result = overproof.distill(
        "mlp", inputs, KNeighborsClassifier(1), labels=labels, method="hard", train={"epochs": 20}, estimate=4
    )
    assert abs(result.estimate.accuracy - 0.5) < 0.12
    assert abs(result.estimate.teacher_accuracy - 0.5) < 0.12


@pytest.mark.parametrize(
    ("estimate", "sentence"),
    [
        (1, "estimate is 1; 0 or a number of folds of 2 or more is allowed"),
        (-5, "estimate is -5; 0 or"),
        (61, "estimate is 61: .*60"),
    ],
)
def test_what_is_refused(world, estimate, sentence):
    x, y, probs = world.inputs, world.label, world.teacher_probs
    with pytest.raises(InputError, match=sentence):
        overproof.distill("linear", x[REST], probs[REST], x[FEW], y[FEW], probs[FEW], estimate=estimate, **OPTIONS)
