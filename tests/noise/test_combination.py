"""Teachers that add up: scorers that add nothing go, hard labels become posteriors, and no label judges itself."""

import pytest
import torch

from overproof.cross_fitting import folds
from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.noise import (
    combine,
    combined_by_role,
    global_accuracy,
    log_loss,
    named_posterior,
    stack,
    transition_matrix,
)
from overproof.noise.combination import hard_labels
from overproof.synthetic import two_views


def test_scorers_that_both_add_something_get_the_weights_of_their_stack():
    world = two_views(400, 3, seed=0)
    scores = [world.teacher_probs, world.posterior]
    found, plain = combine(scores, world.label, seed=0), stack(scores, world.label)
    assert found.left_out == ()
    assert torch.equal(found.stacking.weight, plain.weight)
    assert torch.equal(found(scores), plain(scores))
    assert found.summary() == {**plain.summary(), "left_out": []}


def test_a_scorer_of_noise_is_left_out_nine_times_in_ten_and_one_that_knows_is_kept():
    left_out = []
    for seed in range(40):
        world = two_views(150, 3, seed=seed)
        noise = torch.rand(150, 3, generator=torch.Generator().manual_seed(seed)).softmax(dim=1)
        left_out.append(combine([world.teacher_probs, noise], world.label, seed=0).left_out)
    assert sum(each == (1,) for each in left_out) >= 33
    assert not any(0 in each for each in left_out)


def test_what_is_left_out_has_weight_zero_and_the_rest_are_stacked_without_it():
    world = two_views(200, 3, seed=1)
    idle = torch.full((200, 3), 1 / 3)
    scores = [idle, world.teacher_probs, world.posterior]
    found, rest = combine(scores, world.label, seed=0), combine(scores[1:], world.label, seed=0)
    assert found.left_out == (0,)
    assert found.stacking.weight.tolist() == [0, *rest.stacking.weight.tolist()]
    assert found.stacking.weight_low[0] == 0 < found.stacking.weight_high[0]
    assert torch.allclose(found(scores), rest(scores[1:]))


def test_classes_get_biases_only_where_the_labels_pay_for_them():
    world = two_views(3000, 3, seed=1)
    scores = [world.teacher_probs, world.posterior]
    assert combine(scores, world.label, seed=0).stacking.bias.tolist() == [0, 0, 0]
    kept = (world.label != 0) | (torch.arange(len(world)) % 3 == 0)
    some = [each[kept] for each in scores]
    found = combine(some, world.label[kept], seed=0).stacking
    assert torch.equal(found.bias, stack(some, world.label[kept], bias=True).bias)
    assert found.bias[0] < found.bias[1]


def test_hard_labels_become_the_probability_of_each_class_given_the_label():
    world = two_views(600, 3, seed=2)
    hard = torch.nn.functional.one_hot(world.teacher_probs.argmax(dim=1), 3).double()
    found = combine([hard], world.label, seed=0)
    table = named_posterior(world.label, hard)
    assert torch.equal(found.posteriors[0], table)
    assert torch.equal(found([hard]), found.stacking([table[hard.argmax(dim=1)]]))
    # A hard label beside a scorer of probabilities is worth what it says, and does not silence it.
    both = combine([hard, world.posterior], world.label, seed=0)
    assert both.left_out == ()
    assert (both.stacking.weight > 0.3).all()


def test_a_hard_label_that_is_alone_in_its_class_does_not_know_its_own_truth():
    """Random labels: every posterior that saw its own example would say more than the class frequencies."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 30, (120,), generator=generator)
    hard = torch.nn.functional.one_hot(torch.randint(0, 30, (120,), generator=generator), 30).double()
    answers, _ = combined_by_role([{"labelled": hard}], {"labelled": label}, seed=0)
    assert log_loss(answers["labelled"], label).mean() > torch.tensor(30.0).log() - 0.1


def test_by_role_everything_is_chosen_without_the_fold():
    world = two_views(60, 3, seed=1)
    hard = torch.nn.functional.one_hot(world.teacher_probs.argmax(dim=1), 3).double()
    scores = [{"labelled": each[:40], "pool": each[40:]} for each in (hard, world.posterior)]
    answers, found = combined_by_role(scores, {"labelled": world.label[:40]}, seed=4)
    assert torch.equal(answers["pool"], found([hard[40:], world.posterior[40:]]))
    fold = folds(world.label[:40], 10, 4)
    for number in range(10):
        rest, held_out = fold != number, fold == number
        without = combine([each["labelled"][rest] for each in scores], world.label[:40][rest], seed=4)
        assert torch.equal(answers["labelled"][held_out], without([each["labelled"][held_out] for each in scores]))


def test_repeated_content_counts_once():
    world = two_views(80, 3, seed=3)
    hard = torch.nn.functional.one_hot(world.teacher_probs.argmax(dim=1), 3).double()
    rows = torch.arange(80).repeat_interleave(3)
    many = combine([hard[rows], world.posterior[rows]], world.label[rows], seed=0, repeats=Repeats.of(rows))
    few = combine([hard, world.posterior], world.label, seed=0)
    assert torch.equal(many.posteriors[0], few.posteriors[0])
    assert many.left_out == few.left_out
    assert many.stacking.weight.tolist() == pytest.approx(few.stacking.weight.tolist(), abs=0.1)


def test_nothing_to_combine_and_too_few_to_judge_are_refused():
    with pytest.raises(InputError, match="at least one scorer"):
        combine([], torch.tensor([0]), seed=0)
    with pytest.raises(InputError, match="2 are needed"):
        combined_by_role([{"labelled": torch.tensor([[0.5, 0.5]])}], {"labelled": torch.tensor([0])}, seed=0)


def test_gaps_of_a_scorer_of_hard_labels_leave_the_others_to_decide():
    world = two_views(400, 3, seed=0)
    named = torch.nn.functional.one_hot(world.teacher_probs.argmax(dim=1), 3).double()
    scores = {"labelled": named[:300], "pool": named[300:].clone()}
    scores["pool"][:20] = 1 / 3
    others = {"labelled": world.posterior[:300].double(), "pool": world.posterior[300:].double()}
    labels = {"labelled": world.label[:300]}
    found, combination = combined_by_role([scores, others], labels, seed=0)
    assert hard_labels([torch.cat([*scores.values()])]) == (True,)
    assert combination.posteriors[0] is not None
    assert 1 not in combination.left_out
    alone = combination.stacking([torch.full((20, 3), 1 / 3), others["pool"][:20]])
    torch.testing.assert_close(found["pool"][:20], alone)
    # Without the first scorer's weight in it, so that no class of it is in the answer.
    assert (found["pool"][:20].argmax(dim=1) == others["pool"][:20].argmax(dim=1)).all()


def test_an_answer_that_names_no_class_counts_evenly_in_a_transition_matrix():
    answers = torch.tensor([[1.0, 0], [0.5, 0.5], [0, 1.0]])
    assert transition_matrix(torch.tensor([0, 0, 1]), answers).tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert global_accuracy(torch.tensor([0, 0, 1]), answers)[0] == pytest.approx(2.5 / 3)
