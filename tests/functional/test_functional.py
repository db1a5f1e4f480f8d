"""The exact identities of the methods, and hand numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from overproof.claims import noisy_batch
from overproof.functional import (
    calibrated_target,
    candidate_mask,
    debiased_weight,
    margin,
    mix_student_label,
    one_hot,
    soft_cross_entropy,
    student_label_mixing,
    tempered_divergence,
)


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    loss = soft_cross_entropy(logits, torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(loss, torch.tensor([-(math.log(0.75) + math.log(0.25)) / 2]))


@given(error=st.floats(0, 1), distortion=st.floats(0.01, 100), clean=st.floats(0.01, 100))
def test_the_debiased_weight_makes_the_expected_noisy_loss_the_clean_one(error, distortion, clean):
    weight = debiased_weight(*torch.tensor([[error], [distortion]], dtype=torch.float64)).item()
    expected_noisy_loss = error * distortion * clean + (1 - error) * clean
    assert weight * expected_noisy_loss == pytest.approx(clean, rel=1e-9)


@pytest.mark.parametrize("normalized", [False, True])
def test_slam_with_a_perfect_teacher_is_soft_cross_entropy_bit_for_bit(normalized):
    g = torch.Generator().manual_seed(0)
    logits = 20 * torch.randn(500, 7, generator=g)
    teacher = torch.randn(500, 7, generator=g).softmax(1)
    loss = student_label_mixing(logits, teacher, torch.ones(500), 3, normalized=normalized)
    assert torch.equal(loss, soft_cross_entropy(logits, teacher))


def test_with_two_classes_both_forms_of_slam_are_equal():
    batch = noisy_batch(num_classes=2)
    forms = [
        student_label_mixing(batch.student_logits, batch.teacher_probs, batch.teacher_accuracy, 2, normalized=n)
        for n in (False, True)
    ]
    torch.testing.assert_close(*forms, rtol=0, atol=0)


def test_the_normalised_mix_is_the_law_of_the_noisy_label():
    """Summed over true labels: right with the accuracy, else uniform over the other candidates."""
    accuracy, k = 0.7, 3
    student = torch.tensor([[0.6, 0.3, 0.1, 0.0]]).double()
    candidates = torch.tensor([[True, True, True, False]])
    law = torch.zeros(1, 4).double()
    for truth in range(k):
        for noisy in range(k):
            law[0, noisy] += student[0, truth] * (accuracy if noisy == truth else (1 - accuracy) / (k - 1))
    mixed = mix_student_label(student, candidates, torch.tensor([accuracy]).double(), normalized=True)
    torch.testing.assert_close(mixed, law)
    torch.testing.assert_close(mixed.sum(1), torch.ones(1).double())


def test_the_unnormalised_mix_by_hand():
    student = torch.tensor([[0.5, 0.25, 0.25]])
    mixed = mix_student_label(student, torch.tensor([[True, True, False]]), torch.tensor([0.8]))
    torch.testing.assert_close(mixed, torch.tensor([[0.8 * 0.5 + 0.2 * 0.5, 0.8 * 0.25 + 0.2 * 0.75, 0.8 * 0.25]]))


def test_slam_at_accuracy_one_half_has_no_gradient_on_two_classes():
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    teacher = torch.tensor([[0.9, 0.1]]).expand(5, 2)
    student_label_mixing(logits, teacher, torch.full((5,), 0.5), 2).sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros(5, 2))


def test_candidates_may_differ_by_row_and_ties_are_all_candidates():
    teacher = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    mask = candidate_mask(teacher, torch.tensor([1, 2, 2]))
    assert mask.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert torch.equal(candidate_mask(teacher, 2), candidate_mask(teacher, torch.tensor([2, 2, 2])))


def test_a_calibrated_target_by_hand_and_for_a_hard_teacher():
    target = calibrated_target(torch.tensor([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]]), torch.tensor([0.8, 0.8]), 2)
    torch.testing.assert_close(target, torch.tensor([[0.8, 0.2, 0.0], [0.8, 0.1, 0.1]]))


def test_divergence_is_the_cross_entropy_less_the_entropy_at_temperature_one():
    batch = noisy_batch()
    entropy = -(batch.teacher_probs * batch.teacher_probs.log()).sum(1)
    torch.testing.assert_close(
        tempered_divergence(batch.student_logits, batch.teacher_probs, 1.0),
        soft_cross_entropy(batch.student_logits, batch.teacher_probs) - entropy,
    )


def test_divergence_agrees_with_torch_at_temperature_four():
    batch = noisy_batch()
    torch.testing.assert_close(
        tempered_divergence(batch.student_logits, batch.teacher_probs, 4.0),
        16
        * F.kl_div(
            (batch.student_logits / 4).log_softmax(1), (batch.teacher_probs.log() / 4).softmax(1), reduction="none"
        ).sum(1),
    )


def test_margin_and_one_hot_by_hand():
    probs = torch.tensor([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(margin(probs), torch.tensor([0.2, 1.0]))
    assert one_hot(probs).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_half_precision_is_raised_and_float64_kept():
    batch = noisy_batch()
    assert soft_cross_entropy(batch.student_logits.half(), batch.teacher_probs.float()).dtype == torch.float32
    assert student_label_mixing(batch.student_logits, batch.teacher_probs, batch.teacher_accuracy, 2).dtype == (
        torch.float64
    )
