"""A teacher corrected by frozen features: exact identities, then worlds with known truth."""

import math

import pytest
import torch

from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.noise import adapt, adapted_by_role, log_loss, stack
from overproof.noise.adapter import PENALTIES, _path


def world(num: int, num_classes: int = 3, width: int = 8, seed: int = 0):
    """Gaussian features around a place for each class, and a teacher that errs regardless of them."""
    draw = torch.Generator().manual_seed(seed)
    label = torch.arange(num) % num_classes
    features = torch.randn(num, width, generator=draw) + torch.eye(width)[label % width]
    logits = torch.randn(num, num_classes, generator=draw) + torch.nn.functional.one_hot(label, num_classes)
    return logits.softmax(dim=1), features, label


def test_without_features_it_is_the_stack_of_one_scorer_with_biases():
    probs, features, label = world(90)
    found, known = next(_path(probs, features, label)), stack([probs], label, bias=True)
    assert math.isinf(found.penalty)
    torch.testing.assert_close(found(probs, features), known([probs]), atol=1e-5, rtol=0)
    assert found.power == pytest.approx(known.weight.item(), abs=1e-4)


@pytest.mark.parametrize("width", [2, 60])
def test_every_fit_is_the_minimum_of_what_the_docstring_says(width: int):
    probs, features, label = world(40, width=width)
    for found in _path(probs, features, label):
        power, bias, weight = (
            each.clone().requires_grad_() for each in (torch.tensor(found.power).double(), found.bias, found.weight)
        )
        z = (features.double() - found.mean) / found.scale
        loss = log_loss((power * probs.double().log() + bias + z @ weight).softmax(dim=1), label).sum()
        loss = loss + (power - 1) ** 2 / 2 + bias @ bias / 2
        if math.isinf(found.penalty):
            assert not found.weight.any()
        else:
            loss = loss + found.penalty / 2 * weight.square().sum()
        loss.backward()
        assert power.grad.abs() < 1e-3
        assert bias.grad.abs().max() < 1e-3
        if not math.isinf(found.penalty):
            assert weight.grad.abs().max() < 1e-3


def test_the_axes_of_the_features_do_not_matter():
    probs, features, label = world(60)
    turned = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(3)))[0]
    plain, other = (adapt(probs, each, label, seed=0) for each in (features, features @ turned))
    assert plain.penalty == other.penalty
    torch.testing.assert_close(plain(probs, features), other(probs, features @ turned), atol=1e-4, rtol=0)


def test_what_the_features_know_is_added_to_what_the_teacher_knows():
    probs, features, label = world(300)
    new_probs, new_features, new_label = world(2000, seed=1)
    found = adapt(probs, features, label, seed=0)
    assert found.penalty in PENALTIES[1:]
    before, after = (
        log_loss(each, new_label).mean().item() for each in (new_probs.double(), found(new_probs, new_features))
    )
    assert after < before - 0.1
    alone = next(_path(probs, features, label))(new_probs, new_features)
    assert after < log_loss(alone, new_label).mean().item() - 0.05


def test_features_that_say_nothing_do_little_harm():
    probs, _, label = world(2200)
    noise = torch.randn(2200, 50, generator=torch.Generator().manual_seed(1))
    found, alone = (
        adapt(probs[:200], noise[:200], label[:200], seed=0),
        next(_path(probs[:200], noise[:200], label[:200])),
    )
    new = slice(200, None)
    harm = log_loss(found(probs[new], noise[new]), label[new]) - log_loss(alone(probs[new], noise[new]), label[new])
    assert harm.mean() < 0.01
    weak = list(_path(probs[:200], noise[:200], label[:200]))[-1]
    assert (log_loss(weak(probs[new], noise[new]), label[new])).mean() > log_loss(probs[new], label[new]).mean() + 0.1


def test_answers_on_labelled_examples_are_out_of_fold():
    """Random labels, more features than examples: an answer by a fit that saw its label would be right."""
    draw = torch.Generator().manual_seed(0)
    label = torch.randint(0, 2, (60,), generator=draw)
    probs, features = torch.full((60, 2), 0.5), 100 * torch.randn(60, 200, generator=draw)
    answers, found = adapted_by_role(
        {"labelled": probs, "pool": probs[:5]},
        {"labelled": features, "pool": features[:5]},
        {"labelled": label},
        seed=0,
    )
    assert 0.25 < (answers["labelled"].argmax(dim=1) == label).double().mean() < 0.75
    torch.testing.assert_close(answers["pool"], found(probs[:5], features[:5]))


def test_repeated_content_counts_once():
    probs, features, label = world(30)
    rows = torch.arange(30).repeat(3)
    once, thrice = (
        adapt(probs, features, label, seed=0),
        adapt(probs[rows], features[rows], label[rows], seed=0, repeats=Repeats.of(rows)),
    )
    assert once.summary() == thrice.summary()
    torch.testing.assert_close(once.weight, thrice.weight)


def test_sizes_that_differ_are_refused():
    probs, features, label = world(10)
    with pytest.raises(InputError, match="features has 9 rows, but there are 10 labels"):
        adapt(probs, features[:9], label, seed=0)
