"""Every registered part keeps the contract and its own claims."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import overproof.methods.losses
import overproof.methods.selectors
import overproof.methods.targets
import overproof.methods.weights
import overproof.noise
from overproof import registry
from overproof.claims import (
    Claim,
    ConsistentUnderCandidateNoise,
    ConsistentUnderTransition,
    ConventionalWithoutNoise,
    FloorIsTheDiagonal,
    HardWithoutNoise,
    KeepsItsDiagonal,
    LinearInTheTarget,
    NoGradient,
    OneWithoutNoise,
    SumsToOne,
    TruthWithoutNoise,
    ZeroAtTheTarget,
    noisy_batch,
    started,
)
from overproof.contract import Batch
from overproof.methods.composition import SHARED_FIELDS
from overproof.methods.losses import AdaptationMatrix, CrossEntropy, StudentLabelMixing
from overproof.methods.published import method, method_names
from overproof.methods.targets import Soft

parts = [entry for entry in registry.entries() if entry.kind in ("loss", "weight", "target")]
each_part = pytest.mark.parametrize("entry", parts, ids=lambda entry: f"{entry.kind}-{entry.name}")
per_example = [f.name for f in fields(Batch) if f.name not in SHARED_FIELDS]


def picked(batch, rows):
    return replace(batch, **{name: getattr(batch, name)[rows] for name in per_example})


@each_part
def test_one_finite_row_per_example_and_no_example_sees_another(entry):
    batch = started(entry.make(), noisy_batch())
    whole = entry.make()(batch)
    alone = [entry.make()(picked(batch, slice(i, i + 1))) for i in range(len(batch.label))]
    assert len(whole) == len(batch.label)
    assert whole.isfinite().all()
    assert whole.ndim == (2 if entry.kind == "target" else 1)
    torch.testing.assert_close(whole, torch.cat(alone))


@each_part
def test_an_empty_batch_gives_no_number(entry):
    assert len(entry.make()(picked(started(entry.make(), noisy_batch()), slice(0, 0)))) == 0


@each_part
def test_renaming_the_classes_changes_nothing(entry):
    batch, order = started(entry.make(), noisy_batch()), torch.tensor([2, 0, 3, 1])
    renamed = replace(
        noisy_batch(),
        student_logits=batch.student_logits[:, order],
        target_probs=batch.target_probs[:, order],
        teacher_probs=batch.teacher_probs[:, order],
        label=order.argsort()[batch.label],
        transition=batch.transition[order][:, order],
        answer_likelihood=batch.answer_likelihood[:, order],
    )
    before, after = entry.make()(batch), entry.make()(started(entry.make(), renamed))
    torch.testing.assert_close(before[:, order] if before.ndim == 2 else before, after)


@each_part
@pytest.mark.parametrize("scale", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_extreme_logits_give_finite_values_and_gradients(entry, scale, accuracy):
    world = noisy_batch()
    logits = (scale * world.student_logits).float().requires_grad_()
    named = F.one_hot(world.label, 4).float()
    batch = replace(
        world,
        student_logits=logits,
        target_probs=named,
        teacher_probs=named,
        teacher_accuracy=torch.full((len(named),), accuracy),
        transition=world.transition.float(),
    )
    value = entry.make()(started(entry.make(), batch))
    assert value.isfinite().all()
    if value.requires_grad:
        value.sum().backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("entry", "claim"), [pytest.param(e, c, id=f"{e.name}-{type(c).__name__}") for e in parts for c in e.claims]
)
def test_claim(entry, claim):
    assert isinstance(claim, Claim)
    claim.check(entry.make())


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_normalised_mixing_is_consistent_for_any_number_of_classes(num_classes):
    assert ConsistentUnderCandidateNoise(num_classes).check(StudentLabelMixing(normalized=True)) is None


@each_part
def test_weights_and_targets_carry_no_gradient_and_losses_do(entry):
    if entry.kind == "loss":
        with pytest.raises(AssertionError):
            NoGradient().check(entry.make())
    else:
        assert NoGradient().check(entry.make()) is None


class Drifting:
    """An adaptation matrix whose diagonal learns too."""

    def start(self, transition):
        memory = AdaptationMatrix().start(transition)
        return {name: value.detach().requires_grad_() for name, value in memory.items()}

    def __call__(self, batch):
        return AdaptationMatrix()(batch)

    def learned(self, memory):
        return AdaptationMatrix().learned(memory)


class Halved(Drifting):
    """An adaptation matrix that asks for half of what it is due."""

    def __call__(self, batch):
        return 0.5 * AdaptationMatrix()(batch)


@pytest.mark.parametrize(
    ("claim", "broken"),
    [
        (KeepsItsDiagonal(), Drifting()),
        (FloorIsTheDiagonal(), Halved()),
        (ConsistentUnderCandidateNoise(), CrossEntropy()),
        (ConsistentUnderCandidateNoise(4), StudentLabelMixing()),
        (ConsistentUnderTransition(), AdaptationMatrix(divergence=0.0)),
        (HardWithoutNoise(), CrossEntropy()),
        (LinearInTheTarget(), overproof.methods.losses.TemperedDivergence()),
        (ConventionalWithoutNoise(), overproof.methods.losses.TemperedDivergence()),
        (ZeroAtTheTarget(), CrossEntropy()),
        (OneWithoutNoise(), lambda batch: torch.full_like(batch.teacher_accuracy, 0.9)),
        (SumsToOne(), lambda batch: batch.teacher_probs * 0.9),
        (TruthWithoutNoise(), lambda batch: batch.student_logits.softmax(1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_checks_have_teeth(claim, broken):
    with pytest.raises(AssertionError):
        claim.check(broken)


@pytest.mark.parametrize(
    ("package", "kind"),
    [
        (overproof.methods.losses, "loss"),
        (overproof.methods.weights, "weight"),
        (overproof.methods.targets, "target"),
        (overproof.methods.selectors, "select"),
    ],
)
def test_every_file_is_a_registered_part(package, kind):
    files = {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__", "selector"}
    assert files == {entry.name for entry in registry.entries(kind)}


@pytest.mark.parametrize("name", method_names())
def test_every_method_is_made_of_registered_parts_and_has_a_summary(name):
    entry = registry.lookup("method", name)
    assert entry.summary.endswith(".")
    assert len(method(name).registered()) == 8


def test_only_weighted_distillation_needs_held_out_labels():
    assert {name for name in method_names() if method(name).needs_held_out} == {
        "wd",
        "wd_soft",
        "wd_separate",
        "wd_agreement",
        "wd_agreement_soft",
    }


def test_a_wrong_name_suggests_the_right_one():
    with pytest.raises(ValueError, match="did you mean 'slam'"):
        method("slamm")


def test_a_target_with_memory_would_find_it():
    assert started(Soft(), noisy_batch()).memory == {}


def test_the_noise_models_are_known_by_name():
    """An experiment names them, as `noise: published` beside an accuracy."""
    assert {"isotonic", "noiseless", "published"} <= {entry.name for entry in registry.entries("noise")}
