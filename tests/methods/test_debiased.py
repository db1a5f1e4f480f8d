"""WD's weights keep what they are for: on average the weighted loss on the teacher's label is the loss on the truth."""

from dataclasses import replace

import pytest
import torch

from overproof.claims import noisy_batch
from overproof.contract import Batch
from overproof.functional import label_distribution, soft_cross_entropy
from overproof.methods.composition import SHARED_FIELDS
from overproof.methods.targets import Hard
from overproof.methods.weights import Debiased


def held_out_batch(num_examples: int = 400) -> Batch:
    """Labelled examples, a teacher that is right on most of them, and a student that has learned something."""
    batch = noisy_batch(num_examples=num_examples, num_classes=3)
    truth = torch.nn.functional.one_hot(batch.label, 3).double()
    batch = replace(
        batch,
        teacher_probs=(batch.teacher_probs.log() + 1.5 * truth).softmax(dim=1),
        student_logits=batch.student_logits + truth,
    )
    return replace(batch, target_probs=Hard()(batch))


def losses(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The student's losses on the teacher's label and on the true one."""
    noisy = soft_cross_entropy(batch.student_logits, batch.target_probs)
    true = soft_cross_entropy(batch.student_logits, label_distribution(batch.label, batch.teacher_probs))
    return noisy, true


def weights(part: Debiased, held_out: Batch, batch: Batch) -> torch.Tensor:
    memory = part.refresh(part.start(batch.transition), held_out)
    return part(replace(batch, memory=memory)).double()


def test_the_weighted_loss_is_the_true_loss():
    """One cell, all examples its neighbours: the identity is exact."""
    batch = held_out_batch()
    noisy, true = losses(batch)
    assert noisy.mean() > 1.1 * true.mean()
    for covariate in ("margin", "agreement"):
        part = Debiased(cap=float("inf"), neighbours=len(batch.label), cells=1, student_covariate=covariate)
        found = weights(part, batch, batch)
        assert (found * noisy).mean().item() == pytest.approx(true.mean().item(), rel=1e-6)
        assert found[0].item() == pytest.approx((true.mean() / noisy.mean()).item(), rel=1e-6)


def test_the_weighted_loss_is_the_true_loss_on_other_examples_too():
    """Neighbourhoods of both margins, estimated on one half and used on the other: equal but for chance."""
    batch = held_out_batch(4000)
    first, second = (replace_rows(batch, slice(start, None, 2)) for start in (0, 1))
    noisy, true = losses(second)
    plain = noisy.mean().item()
    found = (weights(Debiased(cap=float("inf"), neighbours=50), first, second) * noisy).mean().item()
    assert abs(found - true.mean().item()) < 0.25 * abs(plain - true.mean().item())


def replace_rows(batch: Batch, rows: slice) -> Batch:
    names = [name for name in batch.__slots__ if name not in SHARED_FIELDS]
    return replace(batch, **{name: getattr(batch, name)[rows] for name in names})


def test_separate_estimates_are_the_papers_form():
    """Mean error p, and mean ratio d of the two losses, which is 1 where the teacher is right: 1 / (1 + p (d - 1))."""
    batch = held_out_batch()
    noisy, true = losses(batch)
    part = Debiased(estimator="separate", cap=float("inf"), neighbours=len(batch.label), cells=1)
    wrong = batch.teacher_probs.argmax(dim=1) != batch.label
    error, distortion = wrong.double().mean(), torch.where(wrong, noisy / true, 1.0).mean()
    assert weights(part, batch, batch)[0].item() == pytest.approx((1 / (1 + error * (distortion - 1))).item(), rel=1e-5)


def test_weights_are_capped_from_above_only():
    batch = held_out_batch()
    free = weights(Debiased(cap=float("inf")), batch, batch)
    assert free.max() > 1.05
    assert free.min() < 0.6
    torch.testing.assert_close(weights(Debiased(), batch, batch), free.clamp(max=1.0))
    torch.testing.assert_close(weights(Debiased(cap=0.8), batch, batch), free.clamp(max=0.8))


def test_agreement_tells_a_confident_disagreement_from_a_confident_agreement():
    batch = held_out_batch()
    certain = torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]], dtype=torch.float64)
    teacher = torch.tensor([[0.9, 0.06, 0.04]] * 2, dtype=torch.float64)
    two = replace_rows(batch, slice(0, 2))
    two = replace(two, student_logits=certain, teacher_probs=teacher, target_probs=teacher)
    by_margin = weights(Debiased(cap=float("inf")), batch, two)
    by_agreement = weights(Debiased(cap=float("inf"), student_covariate="agreement"), batch, two)
    assert by_margin[0] == by_margin[1]
    assert by_agreement[0] > 1.1 * by_agreement[1]
