"""Stacking: exact posteriors give exact weights, a scorer alone gets its temperature, and no label judges itself."""

import math

import numpy as np
import pytest
import torch

from overproof.cross_fitting import folds
from overproof.errors import InputError
from overproof.noise import fit_temperature, log_loss, stack, stack_by_role, stacked_out_of_fold
from overproof.synthetic import two_views


@pytest.mark.parametrize("added", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_weights_of_two_views_are_those_of_the_exact_posterior(added, num_classes):
    world = two_views(20_000, num_classes, seed=4, added=added)
    fitted = stack([world.teacher_probs, world.posterior], world.label, penalty=1e-6)
    truth = 1 / (2 - added)
    deviation = (fitted.weight_high - fitted.weight) / 1.96
    assert ((fitted.weight - truth).abs() < 3.5 * deviation).all()
    assert deviation.max() < 0.04


def test_two_views_that_are_one_share_the_weight_and_cannot_be_told_apart():
    world = two_views(2000, 3, seed=0, added=0.0)
    fitted = stack([world.teacher_probs, world.posterior], world.label)
    assert fitted.weight.sum().item() == pytest.approx(1, abs=0.1)
    assert (fitted.weight_high - fitted.weight_low).min() > 0.9


def test_one_scorer_alone_gets_its_temperature():
    world = two_views(500, 4, seed=1)
    sharp = world.teacher_probs.double().pow(2.5)
    sharp /= sharp.sum(dim=1, keepdim=True)
    fitted = stack([sharp], world.label, penalty=1e-9)
    assert fitted.weight.item() == pytest.approx(1 / fit_temperature(sharp, world.label), abs=1e-4)


def test_class_frequencies_both_scorers_have_wrong_become_the_bias():
    world = two_views(30_000, 3, seed=1)
    # Two thirds of class 0 are left out; the posteriors go on believing in equal shares.
    kept = (world.label != 0) | (torch.arange(len(world)) % 3 == 0)
    fitted = stack([world.teacher_probs[kept], world.posterior[kept]], world.label[kept], bias=True, penalty=1e-6)
    assert (fitted.bias[0] - fitted.bias[1:].mean()).item() == pytest.approx(-math.log(3), abs=0.12)
    assert fitted.bias[1].item() == pytest.approx(fitted.bias[2].item(), abs=0.1)
    assert fitted.weight.tolist() == pytest.approx([1, 1], abs=0.06)
    assert (fitted.bias.sum().abs() < 1e-3).item()  # the penalty alone decides what all biases have in common


def test_the_fit_is_the_minimum_and_the_intervals_are_its_curvature():
    world = two_views(80, 3, seed=5)
    scores, label = [world.teacher_probs.double(), world.posterior.double()], world.label
    fitted = stack(scores, label, bias=True, penalty=2.0)
    logs = torch.stack([each.clamp(min=1e-7).log() for each in scores], dim=2)

    def objective(point):
        logits = logs @ point[:2] + point[2:]
        away = point - torch.tensor([0.5, 0.5, 0, 0, 0], dtype=torch.float64)
        return torch.nn.functional.cross_entropy(logits, label, reduction="sum") + away.square().sum()

    point = torch.cat([fitted.weight, fitted.bias]).requires_grad_()
    (slope,) = torch.autograd.grad(objective(point), point)
    assert slope.abs().max() < 1e-3
    deviation = torch.autograd.functional.hessian(objective, point.detach()).inverse().diagonal()[:2].sqrt()
    assert torch.allclose(fitted.weight_high - fitted.weight, 1.96 * deviation, atol=1e-4)
    assert torch.allclose(fitted.weight_low, (fitted.weight - 1.96 * deviation).clamp(min=0), atol=1e-4)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    held = []
    for seed in range(150):
        world = two_views(150, 2, seed=seed)
        fitted = stack([world.teacher_probs, world.posterior], world.label, penalty=1e-3)
        held += ((fitted.weight_low <= 1) & (fitted.weight_high >= 1)).tolist()
    assert 0.91 <= np.mean(held) <= 0.99


def test_order_of_scorers_and_of_classes_does_not_matter():
    world = two_views(200, 4, seed=7)
    scores, order = [world.teacher_probs, world.posterior], torch.tensor([2, 0, 3, 1])
    fitted = stack(scores, world.label, bias=True)
    turned = stack(scores[::-1], world.label, bias=True)
    renamed = stack([each[:, order] for each in scores], order.argsort()[world.label], bias=True)
    assert torch.allclose(turned.weight.flip(0), fitted.weight, atol=1e-5)
    assert torch.allclose(renamed.weight, fitted.weight, atol=1e-5)
    assert torch.allclose(renamed.bias, fitted.bias[order], atol=1e-5)
    assert torch.allclose(renamed([each[:, order] for each in scores]), fitted(scores)[:, order], atol=1e-5)


def test_a_scorer_that_misleads_is_ignored_and_never_inverted():
    world = two_views(500, 2, seed=0)
    fitted = stack([world.teacher_probs, world.posterior.flip(1)], world.label)
    assert fitted.weight[1].item() == 0
    assert fitted.weight[0].item() > 0.5


def test_with_few_labels_the_stack_stays_near_the_geometric_mean():
    one, other = torch.tensor([[0.8, 0.2]]), torch.tensor([[0.2, 0.8]])
    fitted = stack([one, other], torch.tensor([0]), penalty=1e6)
    assert fitted.weight.tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    assert fitted([one, other]).tolist()[0] == pytest.approx([0.5, 0.5], abs=1e-5)


def test_out_of_fold_answers_are_those_of_weights_fitted_without_the_fold():
    world = two_views(60, 3, seed=1)
    scores = [world.teacher_probs, world.posterior]
    answers = stacked_out_of_fold(scores, world.label, seed=4, bias=True)
    fold = folds(world.label, 10, 4)
    for index in range(10):
        without = stack([each[fold != index] for each in scores], world.label[fold != index], bias=True)
        assert torch.equal(answers[fold == index], without([each[fold == index] for each in scores]))
    assert (
        log_loss(answers, world.label).mean()
        > log_loss(stack(scores, world.label, bias=True)(scores), world.label).mean()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda scores, label: ([], label, {}), "at least one scorer"),
        (lambda scores, label: ([scores[0], scores[1][:, :2]], label.clamp(max=1), {}), "must be the same"),
        (lambda scores, label: (scores, label[:-1], {}), "59 labels"),
        (lambda scores, label: (scores, label - 1, {}), "must be a class"),
        (lambda scores, label: (scores, label, {"penalty": 0.0}), "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    world = two_views(60, 3, seed=1)
    scores, label, options = change([world.teacher_probs, world.posterior], world.label)
    with pytest.raises(InputError, match=words):
        stack(scores, label, **options)


def test_one_label_cannot_judge():
    with pytest.raises(InputError, match="2 are needed"):
        stacked_out_of_fold([torch.tensor([[0.5, 0.5]])], torch.tensor([0]), seed=0)


def test_by_role_the_answers_on_labelled_examples_are_out_of_fold():
    """On every role with labels the answers of `stacked_out_of_fold`, and not those of the stack that saw them."""
    world = two_views(90, 3, seed=1)
    roles = {"labelled": slice(0, 40), "validation": slice(40, 60), "pool": slice(60, 90)}
    scores = [{role: each[rows] for role, rows in roles.items()} for each in (world.teacher_probs, world.posterior)]
    label = {role: world.label[roles[role]] for role in ("labelled", "validation")}
    answers, fitted = stack_by_role(scores, label, seed=4, bias=True, penalty=0.1)
    both = [torch.cat([each["labelled"], each["validation"]]) for each in scores]
    held_out = stacked_out_of_fold(both, world.label[:60], seed=4, bias=True, penalty=0.1)
    assert torch.equal(torch.cat([answers["labelled"], answers["validation"]]), held_out)
    assert not torch.allclose(held_out, fitted(both))
    assert torch.equal(answers["pool"], fitted([each["pool"] for each in scores]))
    whole = stack(both, world.label[:60], bias=True, penalty=0.1)
    assert torch.equal(fitted.weight, whole.weight)
