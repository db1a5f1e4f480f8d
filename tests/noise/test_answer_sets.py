"""Sets of classes as answers: the rates of a known world, the likelihood by hand, and what a student learns."""

import pytest
import torch

from overproof import TrainOptions, distill
from overproof.answers.predictions import compress
from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.methods.composition import override
from overproof.methods.noise_models import AnswerSets
from overproof.methods.published import method
from overproof.noise import members, set_likelihood
from overproof.synthetic import blobs

RATE = torch.tensor([[0.95, 0.02, 0.6], [0.05, 0.9, 0.1], [0.1, 0.02, 0.85]]).double()
"""P(class j is in the set | class i): class 2 is named for most examples of class 0."""


def sets_of(label, rate, seed=0):
    """One set an example, as probabilities; never empty."""
    generator = torch.Generator().manual_seed(seed)
    named = torch.rand(len(label), rate.shape[0], generator=generator).double() < rate[label]
    named[torch.arange(len(label)), label] |= ~named.any(dim=1)
    return named.double() / named.sum(dim=1, keepdim=True)


def test_the_rates_of_a_known_world_are_found():
    label = torch.arange(30_000) % 3
    found = set_likelihood(sets_of(label, RATE), label).rate
    # An empty set is filled with the true class.
    filled = RATE + torch.eye(3) * (1 - RATE).prod(dim=1, keepdim=True)
    assert (found - filled).abs().max() < 0.015


def test_the_likelihood_is_the_product_over_all_classes():
    label = torch.arange(300) % 3
    rule = set_likelihood(sets_of(label, RATE), label)
    answer = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]).double()
    pi = rule.rate
    by_hand = torch.stack([pi[:, 0] * (1 - pi[:, 1]) * pi[:, 2], (1 - pi[:, 0]) * pi[:, 1] * (1 - pi[:, 2])])
    assert torch.allclose(rule(answer), by_hand / by_hand.amax(dim=1, keepdim=True))


def test_five_imaginary_examples_hold_a_class_of_few_near_the_others():
    sets, label = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]), torch.tensor([0, 1, 1])
    found = set_likelihood(sets, label).rate
    own, other = (3 + 1) / (3 + 2), (1 + 1) / (6 + 2)  # 3 of 3 hold the true class; 1 of 6 wrong ones is named
    assert found[2].tolist() == pytest.approx([other, other, own])
    assert found[1].tolist() == pytest.approx([(1 + 5 * other) / 7, (2 + 5 * own) / 7, 5 * other / 7])


def test_repeated_content_counts_once():
    sets, label = sets_of(torch.arange(60) % 3, RATE), torch.arange(60) % 3
    rows = torch.arange(60).repeat_interleave(4)
    many = set_likelihood(sets[rows], label[rows], repeats=Repeats.of(rows))
    assert torch.equal(many.rate, set_likelihood(sets, label).rate)


def test_many_classes_do_not_underflow_and_half_precision_keeps_the_set():
    label = torch.arange(2000) % 200
    sets = torch.nn.functional.one_hot(label, 200).double() + torch.nn.functional.one_hot((label + 1) % 200, 200)
    stored = compress(sets / 2).probs()
    assert torch.equal(members(stored), sets > 0)
    likelihood = set_likelihood(sets / 2, label)(stored.float())
    assert likelihood.isfinite().all()
    assert (likelihood.amax(dim=1) == 1).all()
    assert (likelihood.argmax(dim=1) == label).all()


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="must be a class"):
        AnswerSets().fit(torch.tensor([[1.0, 0.0]]), torch.tensor([2]))


@pytest.fixture(scope="module")
def world():
    return blobs(num_examples=1500, num_classes=3, seed=0)


def student_of(world, sets, chosen):
    train = TrainOptions(epochs=6, batch_size=64, learning_rate=0.01)
    return distill(
        "mlp",
        world.inputs[150:1000],
        sets[150:1000],
        world.inputs[:150],
        world.label[:150],
        sets[:150],
        method=chosen,
        train=train,
    )


def test_a_class_that_is_named_too_often_is_not_learned_for_the_one_it_stands_beside(world):
    """Every set of class 1 also holds class 0, whose own sets hold class 1 three times in ten."""
    rate = torch.tensor([[1.0, 0.3, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).double()
    sets = sets_of(world.label, rate)

    def right(name):
        result = student_of(world, sets, name)
        found = torch.as_tensor(result.student.predict_proba(world.inputs[1000:])).argmax(dim=1)
        return (found == world.label[1000:]).float().mean().item()

    assert right("answer_sets") > right("hard") + 0.05
    assert right("answer_sets") >= right("soft") - 0.02


def test_auto_tries_the_method_for_sets_where_answers_are_sets_and_says_why_not_elsewhere(world):
    sets = sets_of(world.label, RATE)
    auto = override(override(method("auto"), "search.budget", 2), "search.rounds", 0)
    record = student_of(world, sets, auto).search
    assert record.regime == "sets of classes"
    assert any(each.name.startswith("answer_sets") for each in record.tried)
    plain = student_of(world, world.teacher_probs, auto).search
    assert ("answer_sets", "the teacher does not answer with sets of classes") in plain.left_out
