"""The loss of an answer through its likelihood: equal to forward correction and to normalised SLaM, and consistent."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from overproof.claims import noisy_batch
from overproof.functional import (
    adaptation_nll,
    answer_nll,
    candidate_likelihood,
    set_likelihood,
    soft_cross_entropy,
    student_label_mixing,
    transition_likelihood,
)
from overproof.methods.losses import AnswerLikelihood, ForwardCorrection


@pytest.mark.parametrize("num_classes", [2, 4, 11])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_with_a_column_of_the_matrix_it_is_forward_correction_bit_for_bit(num_classes, kind):
    """Value and gradient, also for a confident student."""
    batch = noisy_batch(num_examples=50, num_classes=num_classes)
    transition, answer = batch.transition.to(kind), batch.teacher_probs.argmax(dim=1)
    for scale in (1, 30):
        first, second = ((scale * batch.student_logits).to(kind).requires_grad_() for _ in range(2))
        forward = adaptation_nll(first, answer, transition)
        loss = answer_nll(second, transition_likelihood(answer, transition))
        assert torch.equal(loss, forward)
        forward.sum().backward()
        loss.sum().backward()
        assert torch.equal(first.grad, second.grad)


def test_the_registered_losses_are_equal_where_an_answer_never_occurred():
    """A column of zeros carries no information in either."""
    batch = noisy_batch(num_classes=3)
    transition = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]], dtype=torch.float64)
    answer = torch.full((7,), 2)
    batch = replace(
        batch,
        target_probs=F.one_hot(answer, 3).double(),
        transition=transition,
        answer_likelihood=transition_likelihood(answer, transition),
    )
    assert torch.allclose(AnswerLikelihood()(batch), ForwardCorrection()(batch), rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_classes", [2, 3, 6])
def test_with_even_errors_over_the_candidates_it_is_normalized_slam(num_classes):
    """On hard labels with all classes as candidates."""
    batch = noisy_batch(num_examples=40, num_classes=num_classes)
    answer = F.one_hot(batch.teacher_probs.argmax(dim=1), num_classes).double()
    slam = student_label_mixing(
        batch.student_logits, answer, batch.teacher_accuracy, num_classes, normalized=True, target_probs=answer
    )
    likelihood = candidate_likelihood(answer, batch.teacher_accuracy, num_classes)
    torch.testing.assert_close(answer_nll(batch.student_logits, likelihood), slam)


def test_a_certain_teacher_gives_the_cross_entropy():
    """Likelihood one under the named class and zero elsewhere."""
    batch = noisy_batch()
    named = F.one_hot(batch.label, 4).double()
    assert torch.equal(answer_nll(batch.student_logits, named), soft_cross_entropy(batch.student_logits, named))


def test_a_common_factor_changes_no_gradient():
    """Only ratios of likelihoods carry information."""
    batch = noisy_batch()
    gradients = []
    for factor in (1.0, 0.01):
        logits = batch.student_logits.clone().requires_grad_()
        answer_nll(logits, factor * batch.answer_likelihood).sum().backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)


def test_sets_of_classes_sum_to_one_and_the_loss_is_consistent():
    """Over all subsets: the probabilities sum to one, and the expected loss is stationary at the posterior."""
    num_classes = 3
    inclusion = torch.tensor([[0.9, 0.3, 0.1], [0.2, 0.8, 0.4], [0.1, 0.1, 0.7]], dtype=torch.float64)
    sets = torch.cartesian_prod(*[torch.tensor([False, True])] * num_classes)
    likelihood = set_likelihood(sets, inclusion)
    torch.testing.assert_close(likelihood.sum(dim=0), torch.ones(num_classes, dtype=torch.float64), rtol=0, atol=1e-6)
    posterior = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    logits = posterior.log().expand(len(sets), -1).clone().requires_grad_()
    ((likelihood @ posterior) * answer_nll(logits, likelihood)).sum().backward()
    torch.testing.assert_close(logits.grad.sum(dim=0), torch.zeros(num_classes, dtype=torch.float64), atol=1e-6, rtol=0)


def test_a_set_by_hand():
    """Two of three classes named: .9 * .3 * .9 under class 0."""
    inclusion = torch.tensor([[0.9, 0.3, 0.1], [0.2, 0.8, 0.4], [0.1, 0.1, 0.7]])
    likelihood = set_likelihood(torch.tensor([[True, True, False]]), inclusion)
    torch.testing.assert_close(likelihood, torch.tensor([[0.9 * 0.3 * 0.9, 0.2 * 0.8 * 0.6, 0.1 * 0.1 * 0.3]]))
