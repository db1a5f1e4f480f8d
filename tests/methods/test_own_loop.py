"""`overproof.Weights` has the weights of the method `wd`, and refuses arrays that do not fit together."""

import pytest
import torch

import overproof
from overproof.contract import Batch
from overproof.errors import InputError
from overproof.functional import one_hot
from overproof.methods.published import method
from overproof.methods.weights import Debiased
from overproof.synthetic import blobs

FEW = slice(0, 120)


def batch_of(world, rows, logits, label, *, soft) -> Batch:
    probs = world.teacher_probs[rows]
    ones = torch.ones(len(probs))
    return Batch(
        student_logits=logits, target_probs=probs if soft else one_hot(probs), teacher_probs=probs, label=label,
        teacher_accuracy=ones, num_candidates=ones.long(), transition=torch.eye(3), answer_likelihood=probs,
        class_share=ones,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "soft"), [("wd", False), ("wd_soft", True), ("wd_agreement", False)])
def test_weights_are_those_of_the_method(name, soft):
    world, pool = blobs(num_examples=400, num_classes=3, seed=0), slice(120, 400)
    # A student that is nearly right, and not the teacher.
    logits = 3 * torch.nn.functional.one_hot(world.label, 3) + torch.randn(400, 3, generator=torch.manual_seed(0))
    built = method(name)
    weights = overproof.Weights(world.label[FEW], world.teacher_probs[FEW], soft=soft, estimate=built.pool.weight)
    assert (weights(world.teacher_probs[pool], logits[pool]) == 1).all()
    weights.refresh(logits[FEW])
    found = weights(world.teacher_probs[pool], logits[pool].requires_grad_())
    held_out = batch_of(world, FEW, logits[FEW].detach(), world.label[FEW], soft=soft)
    memories = built.refresh(built.start(torch.eye(3)), held_out)
    unknown = torch.full((280,), -1)
    side = batch_of(world, pool, logits[pool].detach(), unknown, soft=soft)
    wanted = built.pool.terms(side, memories, "pool")[1]
    assert torch.equal(found, wanted)
    assert not found.requires_grad
    assert found.min() < 0.9


def test_what_does_not_fit_is_refused():
    probs = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    for labels, sentence in (([0], "labels has 1 rows and teacher_probs 2"), ([0, 2], "labels, row 1: 2 is no class"),
                             ([-1, 0], "labels, row 0: -1 is no class")):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            overproof.Weights(torch.tensor(labels), probs)
    with pytest.raises(InputError, match=r"labels, row 2: 4 is no class; allowed are 0 to 3\."):
        overproof.Weights(torch.tensor([0, 3, 4]), torch.full((3, 4), 0.25))
    weights = overproof.Weights(torch.tensor([0, 1]), probs, estimate=Debiased(cap=2.0))
    assert repr(weights) == f"Weights(2 held-out examples, {probs.shape[1]} classes, hard labels)"
    with pytest.raises(InputError, match=r"shape \(3, 2\); \(2, 2\), one row for each held-out example"):
        weights.refresh(torch.zeros(3, 2))


def test_what_is_no_probability_or_does_not_fit_is_a_sentence():
    labels, probs = torch.tensor([0, 1, 1]), torch.tensor([[0.9, 0.1]]).repeat(3, 1)
    made = overproof.Weights(labels, probs)
    for call, message in (
        (
            lambda: overproof.Weights(labels, labels),
            r"teacher_probs is of type int64 and shape \(3,\);.*one_hot\(labels, K\)",
        ),
        (lambda: overproof.Weights(labels.float(), probs), "labels is of type float32"),
        (lambda: overproof.Weights(labels, probs * 2), "teacher_probs, row 0: the probabilities sum to 2; 1 is needed"),
        (lambda: made(labels, probs), "teacher_probs is of type int64"),
        (lambda: made(probs, probs[:2]), r"teacher_probs has shape \(3, 2\) and student_logits \(2, 2\)"),
        (lambda: made(torch.full((3, 4), 0.25), torch.zeros(3, 4)), "and 2 columns"),
        (lambda: made.refresh(labels), "student_logits is of type int64"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_scores_that_are_not_finite_are_refused_by_row():
    weights = overproof.Weights(torch.tensor([0, 1, 1]), torch.eye(2)[[0, 1, 0]])
    with pytest.raises(InputError, match="student_logits, row 1: a score is not finite; the student has diverged"):
        weights.refresh(torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [0.0, 1.0]]))
