"""The loss alone has a gradient: what a user's own weight or target computes from the student is taken as a number."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from overproof.claims import noisy_batch
from overproof.contract import Batch
from overproof.methods.composition import Method, Objective
from overproof.methods.losses import CrossEntropy
from overproof.methods.noise_models import Noiseless
from overproof.methods.targets import Hard, Soft

NUM_LABELLED = 3
SHARED = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)


@dataclass(frozen=True)
class Sureness:
    """A weight with a gradient to the student: its largest probability."""

    def __call__(self, batch: Batch) -> Tensor:
        return batch.student_logits.softmax(dim=1).amax(dim=1)


@dataclass(frozen=True)
class Scaled:
    """A weight with a gradient to a number of its own."""

    def __call__(self, batch: Batch) -> Tensor:
        return SHARED.expand(len(batch.label))


@dataclass(frozen=True)
class OwnOpinion:
    """A target with a gradient to the student: its own distribution."""

    def __call__(self, batch: Batch) -> Tensor:
        return batch.student_logits.softmax(dim=1)


@dataclass(frozen=True)
class CrossEntropyOfOnesOwn:
    """Cross-entropy by another name, so that labelled and pool examples have different losses."""

    def __call__(self, batch: Batch) -> Tensor:
        return CrossEntropy()(batch)


def gradient(method: Method, batch: Batch) -> tuple[Tensor, Tensor]:
    """The gradient of the mean of weight times loss to the logits, and the weights."""
    logits = batch.student_logits.clone().requires_grad_()
    memories = method.start(batch.transition)
    loss, weight = method(
        Batch(**{name: getattr(batch, name) for name in batch.__slots__ if name != "student_logits"},
              student_logits=logits),
        memories, NUM_LABELLED,
    )  # fmt: skip
    (found,) = torch.autograd.grad(torch.dot(weight, loss), logits)
    return found, weight


def by_hand(batch: Batch, target: Tensor, weight: Tensor) -> Tensor:
    """The gradient of sum(weight * cross-entropy), target and weight being numbers: weight * (softmax - target)."""
    return weight.unsqueeze(1) * (batch.student_logits.softmax(dim=1) - target)


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropyOfOnesOwn()], ids=["one loss", "two losses"])
@pytest.mark.parametrize("weight", [Sureness(), Scaled()], ids=["of the student", "of its own"])
def test_a_weight_of_ones_own_has_no_gradient(weight, loss):
    batch = noisy_batch()
    objective = Objective(target=Soft(), weight=weight, loss=loss)
    plain = Objective(target=Soft(), weight=weight)
    found, weights = gradient(Method(noise=Noiseless(), labelled=plain, pool=objective), batch)
    assert not weights.requires_grad
    expected = by_hand(batch, batch.teacher_probs, weight(batch).detach())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropyOfOnesOwn()], ids=["one loss", "two losses"])
def test_a_target_of_ones_own_has_no_gradient(loss):
    batch = noisy_batch()
    method = Method(
        noise=Noiseless(),
        labelled=Objective(target=OwnOpinion()),
        pool=Objective(target=OwnOpinion(), loss=loss),
    )
    found, _ = gradient(method, batch)
    # The target is the student's own distribution: as a number it leaves nothing to learn.
    torch.testing.assert_close(found, torch.zeros_like(found))


def test_labelled_and_pool_examples_have_their_own_objectives():
    batch = noisy_batch()
    method = Method(noise=Noiseless(), labelled=Objective(target=Soft()), pool=Objective(weight=Sureness()))
    found, weight = gradient(method, batch)
    assert weight[:NUM_LABELLED].tolist() == [1.0] * NUM_LABELLED
    torch.testing.assert_close(weight[NUM_LABELLED:], Sureness()(batch)[NUM_LABELLED:])
    target = torch.cat([batch.teacher_probs[:NUM_LABELLED], Hard()(batch)[NUM_LABELLED:]])
    torch.testing.assert_close(found, by_hand(batch, target, weight))
