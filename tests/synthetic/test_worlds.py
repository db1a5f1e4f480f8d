"""The worlds are what they say: every known quantity is held to the samples, and to an independent formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from overproof.errors import InputError
from overproof.noise import isotonic_accuracy, margin
from overproof.synthetic import blobs, corrupt, margin_world, random_flips, rising_accuracy, systematic_world

MAKERS = {
    "blobs": lambda size, seed: blobs(size, 4, seed),
    "margin_world": lambda size, seed: margin_world(size, 4, seed, num_candidates=3, radius=2.0),
    "systematic_world": lambda size, seed: systematic_world(size, 4, seed),
}
each_world = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def right(world):
    return world.teacher_probs.argmax(1) == world.label


def assert_mean(values, expected, num_deviations=4.0):
    """The mean of 0/1 draws is what was expected of them, within its sampling error."""
    deviation = math.sqrt((expected * (1 - expected)).sum().item()) / len(values)
    assert abs(values.float().mean().item() - expected.mean().item()) < num_deviations * deviation


@each_world
def test_shapes_and_distributions(make):
    world = make(500, 0)
    assert len(world) == 500
    assert len(world.inputs) == 500
    assert world.inputs.shape[1] in (2, 3)
    for probs in (world.teacher_probs, world.posterior, world.transition):
        assert (probs >= 0).all()
        torch.testing.assert_close(probs.sum(1), torch.ones(len(probs)))
    assert ((world.teacher_accuracy >= 0) & (world.teacher_accuracy <= 1)).all()


@each_world
def test_a_seed_is_a_world(make):
    one, same, other = make(50, 3), make(50, 3), make(50, 4)
    assert torch.equal(one.inputs, same.inputs)
    assert torch.equal(one.teacher_probs, same.teacher_probs)
    assert not torch.equal(one.inputs, other.inputs)


@each_world
def test_the_teacher_is_right_as_often_as_it_should_be_everywhere(make):
    world = make(40_000, 0)
    for part in world.teacher_accuracy.argsort().chunk(8):
        assert_mean(right(world)[part], world.teacher_accuracy[part].double())


@each_world
def test_labels_are_drawn_from_the_posterior(make):
    world = make(40_000, 1)
    for c in range(4):
        for part in world.posterior[:, c].argsort().chunk(5):
            assert_mean(world.label[part] == c, world.posterior[part, c].double())


@each_world
def test_the_transition_is_the_expected_one(make):
    world = make(40_000, 2)
    named = world.teacher_probs.argmax(1)
    for i in range(4):
        for j in range(4):
            rows = world.label == i
            expected = world.transition[i, j].double().expand(int(rows.sum()))
            # Rows of one class are not identically distributed, which makes their mean vary less, not more; but the
            # share of hard inputs among the drawn labels varies too, hence five deviations and a little.
            assert abs((named[rows] == j).double().mean() - expected[0]) < 5 * math.sqrt(0.25 / len(expected))


def test_the_posterior_of_blobs_is_the_one_of_its_gaussians():
    world = blobs(50, 3, seed=0, num_features=4, radius=1.5)
    angles = 2 * np.pi * np.arange(3) / 3
    means = np.stack([1.5 * np.cos(angles), 1.5 * np.sin(angles), np.zeros(3), np.zeros(3)], axis=1)
    density = np.stack([multivariate_normal(mean).pdf(world.inputs.numpy()) for mean in means], axis=1)
    np.testing.assert_allclose(world.posterior.numpy(), density / density.sum(1, keepdims=True), atol=1e-5)


def test_a_teacher_without_displacement_is_the_sharpened_posterior():
    world = blobs(50, 3, seed=0, displacement=0.0, temperature=0.5)
    squared = world.posterior.square()
    torch.testing.assert_close(world.teacher_probs, squared / squared.sum(1, keepdim=True), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(world.teacher_accuracy, world.posterior.amax(1))


def test_the_teacher_of_blobs_belongs_to_the_problem_not_to_the_sample():
    a, b = blobs(5000, 3, seed=0), blobs(5000, 3, seed=1)
    assert abs(a.teacher_accuracy.mean() - b.teacher_accuracy.mean()) < 0.02
    torch.testing.assert_close(a.transition, b.transition, atol=0.03, rtol=0)


# margin_world


@pytest.mark.parametrize(("num_classes", "k"), [(2, 2), (4, 2), (5, 3), (6, 6)])
def test_the_candidates_hold_the_truth_and_the_rest_is_far_behind(num_classes, k):
    world = margin_world(2000, num_classes, 0, num_candidates=k)
    ranked, order = world.teacher_probs.sort(dim=1, descending=True)
    assert (order[:, :k] == world.label.unsqueeze(1)).any(1).all()
    assert (ranked.diff(dim=1)[:, 1:] <= 0).all()
    assert (ranked[:, k:] <= 0.02 * ranked[:, 1:2]).all()
    assert world.teacher_accuracy.allclose(rising_accuracy(margin(world.teacher_probs)), atol=1e-6)


def test_where_the_teacher_is_wrong_the_truth_is_anywhere_among_the_other_candidates():
    world = margin_world(30_000, 6, 0, num_candidates=4, accuracy=lambda m: torch.full_like(m, 0.5))
    order = world.teacher_probs.argsort(dim=1, descending=True)
    place = (order == world.label.unsqueeze(1)).long().argmax(1)
    wrong = place[~right(world)]
    assert (wrong.bincount(minlength=4) / len(wrong) - torch.tensor([0, 1 / 3, 1 / 3, 1 / 3])).abs().max() < 0.02
    # And the class it names instead is any of the other five, evenly.
    step = (order[:, 0] - world.label)[~right(world)] % 6
    assert (step.bincount(minlength=6)[1:] / len(step) - 1 / 5).abs().max() < 0.02


def test_the_accuracy_of_a_margin_world_is_the_function_that_was_given():
    world = margin_world(1000, 3, 0, accuracy=lambda m: 0.9 - 0.4 * (m - 0.5).square())
    expected = 0.9 - 0.4 * (margin(world.teacher_probs) - 0.5).square()
    torch.testing.assert_close(world.teacher_accuracy, expected, atol=1e-5, rtol=0)


# systematic_world


def test_margins_say_nothing_of_systematic_errors_and_inputs_say_it_all():
    from sklearn.tree import DecisionTreeClassifier

    labelled, fresh = systematic_world(3000, 4, seed=0), systematic_world(5000, 4, seed=1)
    curve = isotonic_accuracy(margin(labelled.teacher_probs), right(labelled), prior=4.0)
    estimated = curve(margin(fresh.teacher_probs))
    overall = fresh.teacher_accuracy.mean()
    assert (estimated - overall).abs().mean() < 0.05  # flat: what the best noise model of the margin sees
    assert (fresh.teacher_accuracy - overall).abs().mean() > 0.35  # and how far that is from the truth
    seen = DecisionTreeClassifier(max_depth=4, random_state=0).fit(labelled.inputs.numpy(), right(labelled).numpy())
    found = torch.from_numpy(seen.predict_proba(fresh.inputs.numpy())[:, 1])
    assert (found - fresh.teacher_accuracy).abs().mean() < 0.1


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_blind_part_has_its_share(share):
    world = systematic_world(20_000, 3, seed=0, share=share)
    assert_mean(world.teacher_accuracy < 0.5, torch.full((20_000,), share, dtype=torch.float64))


# random_flips


def some_answers(size=4000, num_classes=5, seed=0):
    return torch.randn(size, num_classes, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(1)


@pytest.mark.parametrize("falling", [True, False])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_flips_change_the_answer_and_nothing_that_could_tell(num_classes, falling):
    probs = some_answers(num_classes=num_classes)
    spoilt, flipped = random_flips(probs, 0.3, seed=0, falling_in_margin=falling)
    assert torch.equal(spoilt.sort(dim=1).values, probs.sort(dim=1).values)
    assert torch.equal(margin(spoilt), margin(probs))
    assert torch.equal(flipped, spoilt.argmax(1) != probs.argmax(1))
    assert torch.equal(spoilt[~flipped], probs[~flipped])
    # Two classes change places: at most two entries of a row differ.
    assert ((spoilt != probs).sum(1) <= 2).all()


def test_the_new_class_is_any_of_the_others_evenly():
    probs = some_answers(20_000)
    spoilt, flipped = random_flips(probs, 0.5, seed=1)
    step = (spoilt.argmax(1) - probs.argmax(1))[flipped] % 5
    assert (step.bincount(minlength=5) / len(step) - torch.tensor([0.0, 0.25, 0.25, 0.25, 0.25])).abs().max() < 0.02


@settings(max_examples=30)
@given(st.floats(0, 1), st.sampled_from([0.3, 1.0, 6.0]))
def test_the_chance_of_a_flip_falls_with_the_margin_and_has_the_mean_asked_for(rate, sharpness):
    from overproof.synthetic.corrupt_answers import _scaled_to

    doubt = 1 - margin((torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * sharpness).softmax(1))
    rate = min(rate, (doubt > 0).double().mean().item())
    chance = _scaled_to(doubt.double(), rate)
    assert chance.mean().item() == pytest.approx(rate, abs=1e-9)
    assert chance.min() >= 0
    assert chance.max() <= 1
    below = (chance < 1) & (doubt > 0)
    if rate and below.any():
        ratio = chance[below] / doubt[below]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_the_share_of_flips_is_the_rate(rate):
    probs = some_answers()
    shares = [random_flips(probs, rate, seed)[1].double().mean().item() for seed in range(20)]
    assert np.mean(shares) == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / 80_000))
    _, flipped = random_flips(probs, rate, seed=0)
    halves = flipped[margin(probs).argsort()].double().chunk(2)
    assert halves[0].mean() > 1.3 * halves[1].mean()


def test_no_flips_and_all_flips():
    probs = some_answers(50)
    spoilt, flipped = random_flips(probs, 0.0, seed=0)
    assert torch.equal(spoilt, probs)
    assert not flipped.any()
    assert random_flips(probs, 1.0, seed=0)[1].all()


def test_flips_that_cannot_be_are_refused():
    certain = torch.eye(3)
    with pytest.raises(InputError, match="only 0 of the predictions have a margin below 1"):
        random_flips(certain, 0.3, seed=0)
    assert random_flips(certain, 1.0, seed=0, falling_in_margin=False)[1].all()
    with pytest.raises(InputError, match=r"rate is 1\.5"):
        random_flips(certain, 1.5, seed=0)
    with pytest.raises(InputError, match="num_classes is 1"):
        random_flips(torch.ones(2, 1), 0.5, seed=0)


def test_a_rate_that_takes_every_doubtful_answer_takes_just_those():
    probs = torch.cat([some_answers(30, 3), torch.eye(3).repeat(10, 1)])
    _, flipped = random_flips(probs, 0.5, seed=0)
    assert flipped.tolist() == [True] * 30 + [False] * 30


# corrupt, and options out of range


def test_corrupted_labels_follow_the_rows_of_the_transition():
    transition = torch.tensor([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]])
    label = torch.arange(30_000) % 3
    named = corrupt(label, transition, seed=0)
    for i in range(3):
        assert (named[label == i].bincount(minlength=3) / 10_000 - transition[i]).abs().max() < 0.02
    assert torch.equal(named, corrupt(label, transition, seed=0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: blobs(10, 1, 0), "num_classes is 1"),
        (lambda: margin_world(10, 4, 0, num_candidates=1), "num_candidates is 1; with 4 classes it must be 2 to 4"),
        (lambda: margin_world(10, 4, 0, num_candidates=5), "num_candidates is 5"),
        (lambda: systematic_world(10, 4, 0, share=1.0), r"share is 1\.0"),
    ],
)
def test_worlds_that_cannot_be_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
