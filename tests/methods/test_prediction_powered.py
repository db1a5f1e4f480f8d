"""Prediction-powered training: its expected gradient is that of true labels, whatever the teacher's mistakes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import overproof
from overproof.claims import noisy_batch
from overproof.errors import InputError
from overproof.methods.composition import Method, Objective, override
from overproof.methods.published import method
from overproof.methods.targets import Powered, Rectified
from overproof.training.distillation import check_trainable
from overproof.training.options import TrainOptions


def gradient(chosen, logits, batch, num_labelled):
    logits = logits.clone().requires_grad_()
    loss, weight = chosen(replace(batch, student_logits=logits), chosen.start(batch.transition), num_labelled)
    (torch.dot(weight, loss) / len(loss)).backward()
    return logits.grad


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_the_same_examples_on_both_sides_give_the_gradient_of_their_labels(power):
    """Labelled and pool the same rows: the teacher cancels exactly, for any batch shares."""
    world = noisy_batch(num_examples=6, num_classes=3)
    chosen = Method(labelled=Objective(target=Rectified(power=power)), pool=Objective(target=Powered(power=power)))
    for repeats in (1, 3):
        batch = replace(
            world,
            **{
                name: torch.cat([getattr(world, name)] * (1 + repeats))
                for name in (
                    "student_logits",
                    "target_probs",
                    "teacher_probs",
                    "label",
                    "teacher_accuracy",
                    "num_candidates",
                    "answer_likelihood",
                    "class_share",
                )
            },
        )
        total = gradient(chosen, batch.student_logits, batch, 6).view(1 + repeats, 6, 3).sum(dim=0)
        truth = (world.student_logits.softmax(dim=1) - F.one_hot(world.label, 3)) / 6
        torch.testing.assert_close(total, truth)


def test_without_power_the_pool_has_no_gradient():
    """Training on labels alone."""
    batch = noisy_batch(num_examples=8)
    chosen = Method(labelled=Objective(target=Rectified(power=0.0)), pool=Objective(target=Powered(power=0.0)))
    assert not gradient(chosen, batch.student_logits, batch, 3)[3:].any()


def test_the_bounded_correction_by_hand():
    """Label 1, prediction .5 and .5: the residuals of one half are divided by 1.25."""
    batch = replace(
        noisy_batch(1, 2), teacher_probs=torch.tensor([[0.5, 0.5]]), label=torch.tensor([1]), side_share=0.5
    )
    torch.testing.assert_close(Rectified(power=1.0, bounded=True)(batch), torch.tensor([[-0.8, 0.8]]))
    torch.testing.assert_close(Rectified(power=1.0)(batch), torch.tensor([[-1.0, 1.0]]))


def test_the_powers_must_be_the_same():
    """One changed alone is refused with both numbers."""
    changed = override(method("prediction_powered"), "pool.target.power", 0.25)
    with pytest.raises(InputError, match=r"'labelled.target.power' is 0.5 and 'pool.target.power' 0.25"):
        check_trainable(changed, TrainOptions(), unseen=True, validation=False)


def test_predictions_in_sample_are_refused():
    """A validation role does not help: the correction reads the labelled examples."""
    with pytest.raises(InputError, match="out of sample"):
        check_trainable(method("prediction_powered"), TrainOptions(), unseen=False, validation=True)


def test_an_imitation_that_is_sought_over_generations_needs_a_validation_role():
    """The same with a number, with one generation or with the role is trained."""
    sought = override(method("self_distilled"), "generations", 2)
    assert sought.sought is not None
    with pytest.raises(InputError, match="needs a 'validation' role"):
        check_trainable(sought, TrainOptions(), unseen=True, validation=False)
    check_trainable(sought, TrainOptions(), unseen=True, validation=True)
    check_trainable(method("self_distilled"), TrainOptions(), unseen=True, validation=False)
    several = override(method("hard"), "generations", 2)
    assert several.sought is None
    check_trainable(several, TrainOptions(), unseen=True, validation=False)


def test_without_weight_decay_it_is_refused():
    """The loss has no lower bound."""
    with pytest.raises(InputError, match="weight_decay"):
        check_trainable(method("prediction_powered"), TrainOptions(weight_decay=0), unseen=True, validation=False)


def test_it_corrects_a_teacher_that_is_systematically_wrong():
    """A teacher that calls one class by another's name: students of its answers learn that, this one does not."""
    rng = np.random.default_rng(0)
    centres = 2.5 * np.eye(3, 6)
    label = rng.integers(3, size=1800)
    inputs = (centres[label] + rng.normal(size=(1800, 6))).astype(np.float32)
    swapped = np.where(rng.random(1800) < 0.95, np.array([1, 1, 2])[label], label)
    probs = (0.9 * np.eye(3)[swapped] + 0.1 / 3).astype(np.float32)
    few, pool, test = slice(0, 200), slice(200, 1200), slice(1200, 1800)
    accuracy = {}
    for name in ("soft", "prediction_powered"):
        result = overproof.distill(
            "linear",
            inputs[pool],
            probs[pool],
            inputs[few],
            label[few],
            probs[few],
            method=name,
            train=TrainOptions(epochs=10, learning_rate=0.02, weight_decay=0.1),
        )
        predicted = result.student.probs(inputs[test]).argmax(dim=1).numpy()
        accuracy[name] = (predicted == label[test]).mean()
    assert accuracy["soft"] < 0.72
    assert accuracy["prediction_powered"] > 0.8
