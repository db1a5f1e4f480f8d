"""Where the un-normalised mix of SLaM loses classes: the cause, the rule, and the defaults that follow it."""

import warnings

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

import overproof
from overproof.assessment.assess import assess
from overproof.evaluation.findings import RunFacts, findings_of
from overproof.functional import student_label_mixing
from overproof.methods.noise_models import Isotonic
from overproof.noise import doubtful_classes
from overproof.noise.doubtful import DoubtfulClasses
from overproof.training.mixing import Mixing
from overproof.training.options import TrainOptions

K = 20


def world(seed=0, num_labelled=300, num_pool=3000, num_test=2000):
    """Twenty classes and a teacher of hard labels that is right on .25 of the worst class and on .95 of the best."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(K, 20))
    centres *= 2.2 / np.linalg.norm(centres, axis=1, keepdims=True)
    label = rng.integers(K, size=num_labelled + num_pool + num_test)
    inputs = (centres[label] + rng.normal(size=(len(label), 20))).astype(np.float32)
    named, confused = label.copy(), rng.dirichlet(np.full(K, 0.3), size=K)
    for each, accuracy in enumerate(np.linspace(0.25, 0.95, K)):
        wrong = (label == each) & (rng.random(len(label)) > accuracy)
        named[wrong] = rng.choice(K, p=confused[each], size=wrong.sum())
    parts = np.split(np.arange(len(label)), [num_labelled, num_labelled + num_pool])
    return [(inputs[rows], label[rows], np.eye(K, dtype=np.float32)[named[rows]]) for rows in parts]


def accuracy_of(method, parts, **more):
    (inputs, label, probs), (pool, _, pool_probs), (test, truth, _) = parts
    options = TrainOptions(epochs=6, learning_rate=3e-3)
    found = overproof.distill("linear", pool, pool_probs, inputs, label, probs, method=method, train=options, **more)
    return float((found.student.probs(test).argmax(dim=1).numpy() == truth).mean()), found


@pytest.mark.parametrize("accuracy", [0.5, 0.45])
def test_the_unnormalised_mix_has_no_slope_at_one_half_and_is_reversed_below(accuracy):
    teacher = one_hot(torch.tensor([3]), K).float()
    slopes = {}
    for normalized in (False, True):
        logits = torch.zeros(1, K, requires_grad=True)
        loss = student_label_mixing(logits, teacher, torch.tensor([accuracy]), torch.tensor([K]), normalized=normalized)
        loss.sum().backward()
        slopes[normalized] = logits.grad[0, 3].item()
    assert slopes[True] < -0.1
    assert slopes[False] == pytest.approx(0, abs=1e-6) if accuracy == 0.5 else slopes[False] > 0


@pytest.mark.filterwarnings("ignore:.*un-normalised mix:UserWarning")
def test_slam_auto_does_not_lose_the_classes_that_the_unnormalised_mix_loses():
    gains, losses = [], []
    for seed in range(3):
        parts = world(seed)
        hard, (default, found), unnormalised = (
            accuracy_of("hard", parts)[0], accuracy_of("slam_auto", parts), accuracy_of("slam", parts)[0],
        )  # fmt: skip
        assert found.mixing.normalized
        assert found.mixing.chosen
        assert found.mixing.doubtful.num_rows > 100
        gains.append(default - hard)
        losses.append(unnormalised - hard)
    assert np.mean(losses) < -0.05
    assert np.mean(gains) > -0.01


def test_an_accurate_teacher_keeps_the_form_of_the_paper():
    parts = [(inputs, label, np.eye(K, dtype=np.float32)[label]) for inputs, label, _ in world()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        default, found = accuracy_of("slam_auto", parts)
        slam, _ = accuracy_of("slam", parts)
    assert not found.mixing.normalized
    assert default == slam


def test_who_names_the_unnormalised_form_is_warned_with_the_count():
    parts = world()
    with pytest.warns(
        UserWarning, match=r"\d+ of 3000 pool answers are of classes with an estimated accuracy below 0.75"
    ):
        _, found = accuracy_of("slam", parts)
    assert not found.mixing.normalized
    facts = {"noise": {}, "num_labelled": 300, "history": []}
    doubtful = {"num_rows": 7, "num_answers": 9, "accuracy": {"1": 0.55, "0": 0.6123}, "bound": 0.75}
    for normalized, chosen, word in (
        (False, False, "Warning: own (seed 0) used the un-normalised mix, and 7 of 9 pool answers"),
        (True, True, "own (seed 0) used the normalised mix: 7 of 9 pool answers are of classes with an estimated"),
        (True, False, None),
    ):
        mixing = {"normalized": normalized, "chosen": chosen, "doubtful": doubtful}
        said = findings_of(
            RunFacts(trainings={("own", 0): {**facts, "mixing": mixing}}, class_names=("ape", "bee", "cow"))
        )
        assert (word is None and not said) or (word in said[0] and "(bee at most 0.55, ape 0.61)" in said[0])


def test_the_assessment_recommends_the_form_that_the_labels_allow():
    (_, label, probs), (_, _, pool_probs), _ = world(num_labelled=600)
    given = {"class_names": [f"c{i}" for i in range(K)], "seed": 0}
    labels, own, pool = torch.tensor(label), torch.tensor(probs), torch.tensor(pool_probs)
    found = assess(labels, own, pool, **given)
    assert found.recommendation == "slam_normalized"
    assert "pool answers are of classes with an estimated accuracy below 0.75" in found.reason
    right = one_hot(labels, K).float()
    assert assess(labels, right, right, **given).recommendation == "slam"


def test_the_rule_by_hand():
    accuracy, named = torch.tensor([0.5, 0.75, 0.875, 0.875, 0.6875]), torch.tensor([0, 0, 1, 1, 2])
    hard = doubtful_classes(accuracy, named, 4, hard=True)
    assert (hard.num_rows, hard.accuracy) == (3, {0: 0.625, 2: 0.6875})
    # By margin only the mean of a class counts, against a lower bound.
    assert doubtful_classes(accuracy, named, 4, hard=False).num_rows == 0
    assert doubtful_classes(accuracy - 0.0625, named, 4, hard=False).accuracy == {0: 0.5625}
    # With two classes both forms are the same.
    assert doubtful_classes(torch.tensor([0.5, 0.5]), torch.tensor([0, 1]), 2, hard=True).num_rows == 0


def test_a_teacher_whose_estimates_are_near_one_half_has_them_in_the_estimate():
    (_, label, probs), *_ = world()
    values = Isotonic().fit(torch.tensor(probs), torch.tensor(label)).accuracy.values
    assert (values < 0.6).sum() >= 3


def test_a_mix_that_is_not_normalised_warns_of_doubtful_classes_only():
    some = DoubtfulClasses(num_rows=7, num_answers=50, accuracy={1: 0.52}, bound=0.6)
    none = DoubtfulClasses(num_rows=0, num_answers=50, accuracy={}, bound=0.6)

    def warning(doubtful, normalized):
        return Mixing(normalized=normalized, chosen=False, doubtful=doubtful).warning(("a", "b"))

    assert warning(some, False).startswith(
        "7 of 50 pool answers are of classes with an estimated accuracy below 0.6 (b 0."
    )
    assert warning(some, True) == warning(none, False) == warning(none, True) == ""
