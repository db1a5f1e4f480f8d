"""What each pool example counts: as many copies as the weight says, in every method that sees the pool."""

import numpy as np
import pytest
import torch

import overproof
from overproof.answers.predictions import compress
from overproof.errors import InputError
from overproof.methods.composition import override
from overproof.methods.noise_models import Noiseless
from overproof.methods.published import method, method_names
from overproof.models import Dense, ModelSpec
from overproof.synthetic import blobs
from overproof.training.checkpoint import Resume
from overproof.training.distillation import content_of
from overproof.training.examples import AnsweredExamples, TrainingData

WORLD = blobs(num_examples=160, num_classes=3, seed=0)
FEW, POOL = slice(0, 60), slice(60, 160)
WEIGHT = torch.linspace(0.25, 2.5, 100)


def distilled(name, weight, *, student="linear", pool=slice(60, 160), **train):
    chosen = method(name) if isinstance(name, str) else name
    options = {"epochs": 2, "batch_size": 40, "learning_rate": 0.05, "weight_decay": 0.01, **train}
    return overproof.distill(
        student, WORLD.inputs[pool], WORLD.teacher_probs[pool], WORLD.inputs[FEW], WORLD.label[FEW],
        WORLD.teacher_probs[FEW], method=chosen, pool_weight=weight, train=options, seed=3,
    )  # fmt: skip


def weights_of(result):
    return torch.cat([value.flatten().double() for value in result.student.module.state_dict().values()])


SEEN = [name for name in method_names() if type(method(name).select).__name__ != "Nothing"]


@pytest.mark.parametrize("name", [name for name in SEEN if method(name).search is None])
def test_every_method_counts_them_and_ones_change_nothing(name):
    chosen = override(method(name), "select.budget", 0.5) if name == "dfnd" else method(name)
    plain, ones, other = (weights_of(distilled(chosen, each)) for each in (None, torch.ones(100), WEIGHT))
    assert torch.equal(plain, ones)
    assert (plain - other).abs().max() > 1e-4


def test_a_search_counts_them_too():
    plain, other = (distilled("hard_tuned", each) for each in (None, 5 * WEIGHT))
    assert [each.log_loss for each in plain.search.tried] != [each.log_loss for each in other.search.tried]


def test_peer_rounds_count_them():
    def rounds(weight):
        found = overproof.distill(
            "linear", WORLD.inputs[POOL], WORLD.teacher_probs[POOL], WORLD.inputs[FEW], WORLD.label[FEW],
            WORLD.teacher_probs[FEW], method="hard", pool_weight=weight, rounds=1, seed=0,
            train={"epochs": 2, "batch_size": 40, "learning_rate": 0.05},
        )  # fmt: skip
        return [record["peer"] for record in found.rounds["records"]]

    assert rounds(None) == rounds(torch.ones(100)) != rounds(5 * WEIGHT)


def test_a_whole_number_is_a_number_of_copies_for_an_estimator():
    # A weighted fit knows no order of the rows: weights 1, 2 and 3 are one, two and three copies, up to the solver.
    copies = torch.arange(100) % 3 + 1
    again = torch.repeat_interleave(torch.arange(60, 160), copies)

    def fitted(pool, weight):
        # Without a penalty the fit depends neither on the sum of the weights nor on how columns are scaled.
        options = {"C": 1e9, "solver": "newton-cg", "tol": 1e-6, "max_iter": 5000}
        spec = ModelSpec(name="sklearn.linear_model:LogisticRegression", options=options)
        result = overproof.distill(
            spec, WORLD.inputs[pool], WORLD.teacher_probs[pool], WORLD.inputs[FEW], WORLD.label[FEW],
            WORLD.teacher_probs[FEW], method="soft", pool_weight=weight, seed=0,
            train={"labelled_share": 60 / 260}, allow_import="sklearn.linear_model:LogisticRegression",
        )  # fmt: skip
        return result.student.probs(WORLD.inputs)

    weighted, copied = fitted(torch.arange(60, 160), copies * (100 / copies.sum())), fitted(again, None)
    assert (weighted - copied).abs().max() < 1e-4
    assert (fitted(torch.arange(60, 160), None) - copied).abs().max() > 1e-3


def test_the_loss_of_a_step_is_the_weighted_mean_over_the_number_of_rows():
    # One batch of all rows at a learning rate of nothing: the record is the objective at the first weights.
    result = distilled("hard", WEIGHT, batch_size=160, labelled_share=60 / 160, epochs=1, learning_rate=1e-30)
    log_probs = result.student.probs(WORLD.inputs).log()
    target = torch.cat([WORLD.label[FEW], WORLD.teacher_probs[POOL].argmax(dim=1)])
    loss = torch.nn.functional.nll_loss(log_probs, target, reduction="none")
    counted = torch.cat([torch.ones(60), WEIGHT])
    assert result.history[0].loss == pytest.approx((counted * loss).sum().item() / 160, rel=1e-5)
    assert result.history[0].weight_mean == 1, "a record holds the method's own weight"


def test_shares_of_classes_are_those_of_what_the_rows_stand_for():
    answers = compress(torch.eye(2)[[0, 0, 1]])
    rows = AnsweredExamples(
        place=torch.arange(3), label=torch.full((3,), -1), answers=answers, draw_weight=torch.tensor([1.0, 2.0, 7.0])
    )
    found = rows.rows(
        Dense(values=torch.zeros(3, 1)), Noiseless().fit(answers.probs(), torch.zeros(3, dtype=torch.int64))
    )
    assert found.class_share.tolist() == pytest.approx([0.3, 0.3, 0.7])
    assert rows.take(torch.tensor([2, 0])).draw_weight.tolist() == [7.0, 1.0]
    assert found.followed_by(found).draw_weight.tolist() == [1.0, 2.0, 7.0] * 2


def test_a_checkpoint_of_other_weights_is_another_training():
    def content(weight):
        part = AnsweredExamples(
            place=torch.arange(100), label=torch.full((100,), -1), answers=compress(WORLD.teacher_probs[POOL]),
            draw_weight=weight,
        )  # fmt: skip
        student = distilled("hard", None, epochs=1).student
        data = TrainingData(inputs=Dense(values=WORLD.inputs[POOL]), labelled=part.take(torch.arange(5)), pool=part)
        return content_of(student, data, Resume())

    assert len({content(None), content(WEIGHT), content(WEIGHT.flip(0))}) == 3


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.zeros(100), "not positive"),
        (np.full(100, np.nan), "not positive"),
        (["many"] * 100, "must hold numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weight, words):
    with pytest.raises(InputError, match=words):
        distilled("hard", weight)


def test_weights_without_a_pool_of_its_own_are_refused():
    labels = np.where(np.arange(160) < 60, WORLD.label.numpy(), -1)
    with pytest.raises(InputError, match="as `labelled`"):
        overproof.distill(
            "linear", WORLD.inputs, WORLD.teacher_probs, labels=labels, method="hard", pool_weight=np.ones(160)
        )
