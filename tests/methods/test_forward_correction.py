"""Forward correction: numbers by hand, the flips it is made for, and what it must not do."""

from dataclasses import replace

import pytest
import torch

from overproof import TrainOptions, distill
from overproof.claims import noisy_batch
from overproof.methods.losses import ForwardCorrection
from overproof.synthetic import blobs, class_conditional_flips

FLIPS = torch.tensor([[0.6, 0.4, 0.0], [0.0, 0.7, 0.3], [0.2, 0.0, 0.8]], dtype=torch.float64)


def batch_of(student_probs, named: int, transition):
    world = noisy_batch(1, len(transition))
    target = torch.nn.functional.one_hot(torch.tensor([named]), len(transition)).double()
    return replace(world, student_logits=student_probs.log()[None], target_probs=target, transition=transition)


def test_numbers_by_hand():
    student = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    # .5 * .6 + .2 * .2, .5 * .4 + .3 * .7, .3 * .3 + .2 * .8.
    for named, expected in enumerate((0.34, 0.41, 0.25)):
        loss = ForwardCorrection()(batch_of(student, named, FLIPS))
        assert loss.exp().reciprocal().item() == pytest.approx(expected, abs=1e-15)


def test_the_gradient_is_the_student_less_its_posterior_given_the_answer():
    student = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    batch = batch_of(student, 1, FLIPS)
    logits = batch.student_logits.clone().requires_grad_()
    ForwardCorrection()(replace(batch, student_logits=logits)).sum().backward()
    # Given the answer 1 the true class is 0 with .2 / .41, 1 with .21 / .41, and never 2.
    posterior = torch.tensor([0.2, 0.21, 0.0], dtype=torch.float64) / 0.41
    torch.testing.assert_close(logits.grad[0], student - posterior)
    assert torch.autograd.gradcheck(lambda each: ForwardCorrection()(replace(batch, student_logits=each)), logits)


@pytest.mark.parametrize("sureness", [1.0, 1e3])
def test_a_class_that_nobody_is_ever_called_teaches_nothing(sureness):
    never = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    logits = torch.tensor([[sureness, -sureness]], requires_grad=True)
    world = replace(noisy_batch(1, 2), target_probs=torch.tensor([[0.0, 1.0]]), transition=never)
    loss = ForwardCorrection()(replace(world, student_logits=logits))
    loss.sum().backward()
    assert loss.item() == pytest.approx(16.118, abs=1e-3)
    assert logits.grad.abs().max() < 1e-6


def test_flips_by_class_are_explained_and_not_learned():
    world = blobs(num_examples=5600, num_classes=3, seed=0)
    truth = torch.nn.functional.one_hot(world.label, 3).float()
    # Six in ten of every class are called the next one: the hard answers are mostly wrong, and nothing tells where.
    answers, _ = class_conditional_flips(truth, 0.6, seed=1, class_map={0: 1, 1: 2, 2: 0})
    few, pool, test = slice(0, 600), slice(600, 4600), slice(4600, 5600)

    def accuracy(name: str) -> float:
        done = distill(
            "linear",
            world.inputs[pool],
            answers[pool],
            world.inputs[few],
            world.label[few],
            answers[few],
            method=name,
            train=TrainOptions(epochs=5, batch_size=64, learning_rate=0.05),
        )
        return (done.student.probs(world.inputs[test]).argmax(dim=1) == world.label[test]).double().mean().item()

    best = (world.posterior.argmax(dim=1) == world.label)[test].double().mean().item()
    assert accuracy("forward") > best - 0.02
    assert accuracy("hard") < 0.5
