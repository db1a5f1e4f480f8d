"""What is computed once before the steps is, bit for bit, what the steps would compute."""

from dataclasses import replace

import pytest
import torch

from overproof.contract import DeferredBatch, changed
from overproof.functional import candidate_mask
from overproof.methods.published import method, method_names
from overproof.methods.settled import NOT_SETTLED
from overproof.models import Dense
from overproof.noise import TransitionLikelihood
from overproof.training import examples
from overproof.training.examples import TrainingRows

N, K, LABELLED = 60, 5, 20
NAMES = [name for name in method_names() if method(name).search is None and method(name).sought is None]


def rows() -> TrainingRows:
    draw = torch.Generator().manual_seed(0)
    probs = torch.randn(N, K, generator=draw).softmax(dim=1)
    return TrainingRows(
        inputs=Dense(values=torch.randn(N, 3, generator=draw)),
        place=torch.arange(N),
        label=torch.randint(K, (N,), generator=draw),
        teacher_probs=Dense(values=probs),
        teacher_accuracy=torch.rand(N, generator=draw),
        num_candidates=torch.randint(1, K + 1, (N,), generator=draw),
        likelihood=TransitionLikelihood(transition=torch.eye(K)),
        class_share=torch.full((N,), 1 / K),
        draw_weight=torch.ones(N),
    )


def step(chosen, settled, taken, num_labelled, memories):
    """Losses, weights and gradient of one batch."""
    logits = torch.randn(len(taken), K, generator=torch.Generator().manual_seed(1), requires_grad=True)
    batch = rows().batch(taken, logits, None, torch.eye(K))
    loss, weight = chosen(batch, memories, num_labelled, settled.take(taken))
    (loss * weight).sum().backward()
    return loss, weight, logits.grad


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_the_same_bits(name):
    chosen, data = method(name), rows()
    memories = chosen.start(torch.eye(K))
    if chosen.needs_held_out:
        held_out = torch.arange(N)
        memories = chosen.refresh(memories, data.batch(held_out, 3 * torch.randn(N, K), None, torch.eye(K)))
    settled = data.settled(chosen, LABELLED, torch.eye(K))
    taken = torch.cat([torch.randperm(LABELLED)[:7], LABELLED + torch.randperm(N - LABELLED)[:12]])
    plain = step(chosen, NOT_SETTLED, taken, 7, memories)
    for wanted, found in zip(plain, step(chosen, settled, taken, 7, memories), strict=True):
        assert torch.equal(wanted, found)


def test_what_is_settled_of_which_method():
    def found(name):
        settled = rows().settled(method(name), LABELLED, torch.eye(K))
        parts = ("target_probs", "weight", "of_loss", "of_weight")
        return [part for part in parts if getattr(settled, part) is not None]

    assert found("hard") == found("soft") == ["target_probs", "weight"]
    assert found("slam") == ["target_probs", "weight", "of_loss"]
    assert found("wd") == ["target_probs", "of_weight"]


def test_of_very_many_rows_nothing_is_settled(monkeypatch):
    monkeypatch.setattr(examples, "MAX_SETTLED", N * K - 1)
    assert rows().settled(method("hard"), LABELLED, torch.eye(K)) is NOT_SETTLED


def test_a_deferred_batch_makes_what_is_read_once():
    made = []

    def make(batch, name):
        made.append(name)
        return torch.ones(2)

    batch = DeferredBatch.of(make, student_logits=torch.zeros(2, 3))
    other = changed(batch, label=torch.zeros(2, dtype=torch.int64))
    assert other.class_share is batch.class_share
    assert made == ["class_share"]
    assert other.label.tolist() == [0, 0]
    with pytest.raises(AttributeError, match="no field 'wrong'"):
        _ = batch.wrong


def test_a_part_of_ones_own_may_copy_a_deferred_batch():
    batch = rows().batch(torch.arange(4), torch.zeros(4, K), None, torch.eye(K))
    copied = replace(batch, student_logits=torch.ones(4, K))
    assert (copied.student_logits == 1).all()
    assert torch.equal(copied.label, rows().label[:4])
    assert torch.equal(copied.answer_likelihood, batch.answer_likelihood)


def test_candidates_are_those_of_a_full_sort_with_ties_too():
    draw = torch.Generator().manual_seed(0)
    probs = torch.randint(4, (200, K), generator=draw).float()
    num = torch.randint(1, K + 1, (200,), generator=draw)
    last = probs.sort(dim=1, descending=True).values.gather(1, num.unsqueeze(1) - 1)
    assert torch.equal(candidate_mask(probs, num), probs >= last)
    assert torch.equal(candidate_mask(probs[:0], num[:0]), probs[:0] >= last[:0])
