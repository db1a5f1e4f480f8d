"""Mathematical properties that parts of methods claim, each with an exact check that tests run for every part.

The checks sum over the K pseudo-labels instead of sampling them. The tests also show, for one part of each kind, that a
check can fail.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from overproof.contract import Batch, Memory, Remembering
from overproof.functional import one_hot, soft_cross_entropy


@runtime_checkable
class Claim(Protocol):
    """A property: `check` raises an AssertionError if the part does not have it."""

    def check(self, part: Any) -> None: ...


def noisy_batch(num_examples: int = 7, num_classes: int = 4) -> Batch:
    """A float64 batch with an imperfect teacher: random predictions, accuracies of .55 to .95, every label known."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    teacher_probs = normal(num_examples, num_classes).softmax(1)
    noise = torch.rand(num_classes, num_classes, generator=g, dtype=torch.float64)
    transition = 0.7 * torch.eye(num_classes, dtype=torch.float64) + 0.3 * noise / noise.sum(1, keepdim=True)
    return Batch(
        student_logits=normal(num_examples, num_classes),
        target_probs=normal(num_examples, num_classes).softmax(1),
        teacher_probs=teacher_probs,
        label=torch.randint(num_classes, (num_examples,), generator=g),
        teacher_accuracy=torch.linspace(0.55, 0.95, num_examples, dtype=torch.float64),
        num_candidates=torch.full((num_examples,), num_classes),
        transition=transition,
        answer_likelihood=transition.T[teacher_probs.argmax(dim=1)],
        class_share=torch.linspace(0.1, 0.5, num_examples, dtype=torch.float64),
    )


def perfect_batch() -> Batch:
    """`noisy_batch` with a teacher that predicts the true label with certainty."""
    batch = noisy_batch()
    truth = F.one_hot(batch.label, batch.student_logits.shape[1]).to(batch.teacher_probs)
    return replace(
        batch,
        target_probs=truth,
        teacher_probs=truth,
        teacher_accuracy=torch.ones_like(batch.teacher_accuracy),
        transition=torch.eye(len(batch.transition), dtype=torch.float64),
        answer_likelihood=truth,
    )


def started(part: Any, batch: Batch) -> Batch:
    """The batch with the initial state of this part."""
    memory: Memory = part.start(batch.transition) if isinstance(part, Remembering) else {}
    return replace(batch, memory=memory)


def expected_loss(loss: Any, batch: Batch, label_probs: Tensor) -> Tensor:
    """E[loss], [B], when the answer, as one-hot target with its likelihood, is drawn from `label_probs` [B, K]."""
    num_classes = batch.student_logits.shape[1]

    def answered(j: int) -> Batch:
        target_probs = F.one_hot(torch.full_like(batch.label, j), num_classes).to(label_probs)
        return replace(
            batch, target_probs=target_probs, answer_likelihood=batch.transition[:, j].expand_as(label_probs)
        )

    per_label = torch.stack([loss(answered(j)) for j in range(num_classes)], dim=1)
    return (label_probs * per_label).sum(1)


@dataclass(frozen=True, slots=True)
class ConventionalWithoutNoise:
    """With a perfect teacher the loss is the plain cross-entropy with the target, bit for bit."""

    def check(self, part: Any) -> None:
        """Compare the loss with a perfect teacher to the plain cross-entropy, for hard and soft targets."""
        hard = perfect_batch()
        for batch in (hard, replace(hard, target_probs=noisy_batch().target_probs)):
            loss = part(started(part, batch))
            torch.testing.assert_close(
                loss, soft_cross_entropy(batch.student_logits, batch.target_probs), rtol=0, atol=0
            )


@dataclass(frozen=True, slots=True)
class HardWithoutNoise:
    """With a perfect teacher the loss is the cross-entropy with the target's most likely class, bit for bit."""

    def check(self, part: Any) -> None:
        """Compare the loss with a perfect teacher to the plain cross-entropy, in both precisions."""
        for batch in (perfect_batch(), replace(perfect_batch(), target_probs=noisy_batch().target_probs)):
            for kind in (torch.float64, torch.float32):
                logits, identity = batch.student_logits.to(kind), batch.transition.to(kind)
                logits = (30 * logits).requires_grad_()
                answer = one_hot(batch.target_probs).to(kind)
                batch = replace(batch, student_logits=logits, transition=identity, answer_likelihood=answer)
                loss = part(started(part, batch))
                plain = soft_cross_entropy(logits, one_hot(batch.target_probs).to(kind))
                torch.testing.assert_close(loss, plain, rtol=0, atol=0)


@dataclass(frozen=True, slots=True)
class LinearInTheTarget:
    """The loss of a mixture of targets is the mixture of the losses, also when extrapolating."""

    def check(self, part: Any) -> None:
        """Extrapolate between two targets."""
        batch = started(part, noisy_batch())
        first, second = batch.target_probs, batch.teacher_probs
        for share in (0.3, 2.5, -1.0):
            mixed = part(replace(batch, target_probs=share * first + (1 - share) * second))
            apart = share * part(replace(batch, target_probs=first)) + (1 - share) * part(
                replace(batch, target_probs=second)
            )
            torch.testing.assert_close(mixed, apart)


@dataclass(frozen=True, slots=True)
class ZeroAtTheTarget:
    """The loss is zero, and stationary, where the student equals the target."""

    def check(self, part: Any) -> None:
        """Evaluate the loss and its gradient at the target."""
        batch = noisy_batch()
        logits = batch.target_probs.log().requires_grad_()
        loss = part(started(part, replace(batch, student_logits=logits)))
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        torch.testing.assert_close(loss, torch.zeros_like(loss))
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


@dataclass(frozen=True, slots=True)
class ConsistentUnderCandidateNoise:
    """The expected loss is stationary at the true posterior when wrong labels are uniform over the other candidates.

    Args:
        num_classes: The claim holds for this many classes, all of them candidates.
    """

    num_classes: int = 2

    def check(self, part: Any) -> None:
        """Take the gradient of the exact expectation at the posterior."""
        batch = noisy_batch(num_classes=self.num_classes)
        posterior = batch.target_probs
        accuracy = batch.teacher_accuracy.unsqueeze(1)
        noisy_law = accuracy * posterior + (1 - accuracy) * (1 - posterior) / (self.num_classes - 1)
        _check_stationary(part, batch, noisy_law)


@dataclass(frozen=True, slots=True)
class ConsistentUnderTransition:
    """The expected loss is stationary at the true posterior when labels are drawn from the transition's rows."""

    def check(self, part: Any) -> None:
        """Take the gradient of the exact expectation at the posterior, for 2, 4 and 11 classes."""
        for num_classes in (2, 4, 11):
            batch = noisy_batch(num_classes=num_classes)
            _check_stationary(part, batch, batch.target_probs @ batch.transition)


def _check_stationary(part: Any, batch: Batch, law: Tensor) -> None:
    """The gradient of the expected loss under a distribution of labels [B, K] is zero at the posterior."""
    logits = batch.target_probs.log().requires_grad_()
    loss = expected_loss(part, started(part, replace(batch, student_logits=logits)), law)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-10, rtol=0)


@dataclass(frozen=True, slots=True)
class OneWithoutNoise:
    """With a perfect teacher every weight is one, before and after `refresh` on held-out examples."""

    def check(self, part: Any) -> None:
        """Compute the weights of a batch with a perfect teacher."""
        batch = started(part, perfect_batch())
        torch.testing.assert_close(part(batch), torch.ones_like(batch.teacher_accuracy))
        if hasattr(part, "refresh"):
            batch = replace(batch, memory=part.refresh(batch.memory, batch))
            torch.testing.assert_close(part(batch), torch.ones_like(batch.teacher_accuracy))


@dataclass(frozen=True, slots=True)
class NoGradient:
    """Weights carry no gradient to the student."""

    def check(self, part: Any) -> None:
        """Compute the weights of a batch whose logits require a gradient."""
        batch = noisy_batch()
        logits = batch.student_logits.clone().requires_grad_()
        assert not part(started(part, replace(batch, student_logits=logits))).requires_grad


@dataclass(frozen=True, slots=True)
class SumsToOne:
    """The target's rows sum to one."""

    def check(self, part: Any) -> None:
        """Sum the rows with an imperfect teacher."""
        batch = noisy_batch()
        torch.testing.assert_close(part(started(part, batch)).sum(1), torch.ones_like(batch.teacher_accuracy))


@dataclass(frozen=True, slots=True)
class TruthWithoutNoise:
    """With a perfect teacher the target is the true label."""

    def check(self, part: Any) -> None:
        """Compute the target with a perfect teacher."""
        batch = perfect_batch()
        torch.testing.assert_close(part(started(part, batch)), batch.teacher_probs)


@dataclass(frozen=True, slots=True)
class KeepsItsDiagonal:
    """While the rest of the matrix is trained, its rows sum to one and its diagonal does not change, bit for bit."""

    def check(self, part: Any) -> None:
        """Train only the part's state, on teachers of 2, 4 and 11 classes."""
        for num_classes in (2, 4, 11):
            batch = started(part, noisy_batch(num_classes=num_classes))
            first = part.learned(batch.memory)["transition"]
            learned = [value for value in batch.memory.values() if value.requires_grad]
            optimizer = torch.optim.Adam(learned, lr=0.1)
            for _ in range(20):
                optimizer.zero_grad()
                part(batch).sum().backward()
                optimizer.step()
            last = part.learned(batch.memory)["transition"]
            torch.testing.assert_close(last.sum(1), torch.ones_like(last[0]))
            torch.testing.assert_close(last.diagonal(), first.diagonal(), rtol=0, atol=0)
            assert num_classes == 2 or not torch.equal(last, first), "the rest of the matrix does not change"


@dataclass(frozen=True, slots=True)
class FloorIsTheDiagonal:
    """If the student is certain of the teacher's class, the loss is -log of the diagonal entry of that class."""

    def check(self, part: Any) -> None:
        """Let the student be certain of the class that a teacher with hard labels predicts."""
        world = noisy_batch()
        named = F.one_hot(world.label, world.student_logits.shape[1]).to(world.teacher_probs)
        # As certain as a softened one-hot target in single precision, so that a divergence term is zero.
        logits = named.clamp(min=torch.finfo(torch.float32).tiny).log()
        batch = started(part, replace(world, student_logits=logits, target_probs=named, teacher_probs=named))
        diagonal = part.learned(batch.memory)["transition"].diagonal()
        torch.testing.assert_close(part(batch).detach(), -diagonal[world.label].log().to(named))
