"""No labelled example is scored by a model that saw its label: each user of cross-fitting, tried with a memoriser.

A memoriser is right on every example that it was fitted on. With random labels nothing can be learned for the others,
so that out-of-fold scores must be at chance; where a fold's model sees its own fold they are right every time.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier
from torch.nn.functional import one_hot

import overproof
from overproof.assessment.probes import probe
from overproof.cross_fitting import (
    FoldModels,
    folds,
    held_out_rows,
    out_of_fold,
    rows_within,
    rows_without,
)
from overproof.data import Examples, from_arrays
from overproof.errors import InputError
from overproof.functional.repeats import content_groups
from overproof.noise import (
    class_accuracy,
    global_accuracy,
    lower_bound,
    named_posterior,
    named_posterior_by_role,
    stack,
    stack_by_role,
    stacked_out_of_fold,
)
from overproof.teachers import GivenRows, cross_fitted, cross_fitted_estimator
from overproof.training.options import TrainOptions

NUM, CLASSES = 200, 4


def random_labels(num: int = NUM, num_classes: int = CLASSES, seed: int = 0) -> torch.Tensor:
    return torch.randint(num_classes, (num,), generator=torch.Generator().manual_seed(seed))


def random_examples(num: int = NUM) -> Examples:
    """Inputs that differ from each other and say nothing of the labels."""
    inputs = torch.randn(num, 5, generator=torch.Generator().manual_seed(1))
    return from_arrays(inputs, random_labels(num), class_names=[str(index) for index in range(CLASSES)])


def check_at_chance(label: torch.Tensor, probs: torch.Tensor) -> None:
    _, low, high = global_accuracy(label, probs)
    assert low < 1 / probs.shape[1] < high


@dataclass(frozen=True)
class Memoriser:
    """A trainable teacher that knows the labels of the examples it was fitted on by their ids, and no other."""

    fingerprint: str = "memoriser"

    def fit(self, labelled, *, num_classes, seed, folder):
        known = dict(zip(labelled.ids.tolist(), labelled.label.tolist(), strict=True))

        def predict(examples):
            named = [known.get(each, each[0] % num_classes) for each in examples.ids.tolist()]
            return one_hot(torch.tensor(named), num_classes).float()

        return predict


# --- folds and their models


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=10, max_size=60), st.integers(2, 10), st.integers(0, 99))
def test_folds_cover_all_and_are_even_within_every_class(labels, num_folds, seed):
    label = torch.tensor(labels)
    fold = folds(label, num_folds, seed)
    sizes = [fold[label == c].bincount(minlength=num_folds) for c in label.unique()] + [fold.bincount()]
    assert all(size.max() - size.min() <= 1 for size in sizes)
    assert sizes[-1].tolist()
    assert len(sizes[-1]) == num_folds
    assert torch.equal(fold, folds(label, num_folds, seed))


def test_folds_differ_by_seed():
    label = torch.arange(60) % 3
    assert not torch.equal(folds(label, 5, 0), folds(label, 5, 1))


def test_folds_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="3 labelled examples are fewer than the 5 folds"):
        folds(torch.tensor([0, 1, 0]), 5, seed=0)
    with pytest.raises(InputError, match="folds is 1"):
        folds(torch.tensor([0, 1, 0]), 1, seed=0)


def test_every_example_is_scored_by_the_model_that_never_saw_it():
    fold = folds(torch.arange(23) % 4, 5, seed=0)
    fits = []

    def fit(rows):
        fits.append(rows)
        seen = torch.zeros(23).index_fill(0, rows, 1.0)
        return lambda held_out: torch.stack(
            [held_out.float(), seen[held_out], torch.full_like(seen[held_out], len(rows))], 1
        )

    scores = out_of_fold(fit, fold)
    assert scores[:, 0].tolist() == list(range(23))
    assert (scores[:, 1] == 0).all()
    assert torch.equal(scores[:, 2], 23 - fold.bincount()[fold].float())
    assert len(fits) == 5
    assert all((rows.diff() > 0).all() for rows in fits)


def test_models_are_fitted_when_they_are_used_and_once():
    fold, fitted = torch.tensor([0, 1, 2, 0, 1, 2]), []

    def fit(number, rows):
        fitted.append(number)
        return rows

    models = FoldModels(fold=fold, fit=fit)
    found = models.out_of_fold(lambda seen, rows: torch.isin(rows, seen).float().unsqueeze(1), torch.tensor([5, 1, 2]))
    assert fitted == [1, 2]
    assert not found.any()
    assert models[2].tolist() == [0, 1, 3, 4]
    means = models.mean(lambda seen: seen.double().mean())
    assert fitted == [1, 2, 0]
    assert means.item() == pytest.approx((3 + 2.5 + 2) / 3)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 3))
def test_what_a_model_is_fitted_on_and_its_fold_are_the_whole(fold, number):
    fold = torch.tensor(fold)
    within, without = rows_within(fold, number), rows_without(fold, number)
    assert (fold[within] == number).all()
    assert torch.cat([within, without]).sort().values.tolist() == list(range(len(fold)))


def test_in_sample_answers_say_never_wrong_and_cross_fitted_ones_do_not():
    """A teacher that remembers: right on all that it saw, and on half of what it did not."""
    label = torch.randint(2, (200,), generator=torch.Generator().manual_seed(0))

    def fit(rows):
        known = torch.full((200,), 0).index_copy(0, rows, label[rows])
        return lambda asked: one_hot(known[asked], 2).float()

    everything = torch.arange(200)
    assert global_accuracy(label, fit(everything)(everything))[0] == 1
    mean, low, high = global_accuracy(label, out_of_fold(fit, folds(label, 5, seed=0)))
    assert low < 0.5 < high
    assert mean < 0.6


# --- memorisers


def test_a_trained_teacher_that_memorises_is_at_chance_on_the_labelled_rows(tmp_path):
    labelled = random_examples()
    answers = cross_fitted(
        Memoriser(), labelled, {"same": labelled}, num_folds=5, seed=0, folder=tmp_path, apart=("same",)
    )
    check_at_chance(labelled.label, answers["labelled"].probs())
    # The mean of all fits is right: four of five know each label.
    assert torch.equal(answers["same"].pseudo_label, labelled.label)
    fold = folds(labelled.label, 5, seed=0)
    for number in range(5):
        alone = answers[f"same-without-fold-{number}"]
        right = alone.pseudo_label == labelled.label
        assert right[fold != number].all()
        assert torch.equal(alone.probs()[fold == number], answers["labelled"].probs()[fold == number])


def test_a_trained_teacher_without_folds_is_in_sample(tmp_path):
    labelled = random_examples()
    answers = cross_fitted(Memoriser(), labelled, {}, num_folds=1, seed=0, folder=tmp_path)
    assert torch.equal(answers["labelled"].pseudo_label, labelled.label)


def test_a_given_classifier_that_memorises_is_at_chance_on_the_labelled_rows():
    labelled = random_examples()
    held_out, mean = cross_fitted_estimator(
        KNeighborsClassifier(1), GivenRows(labelled), GivenRows(labelled), num_folds=5, seed=0
    )
    check_at_chance(labelled.label, held_out)
    assert torch.equal(mean.argmax(dim=1), labelled.label)


def test_distill_takes_the_accuracy_of_a_classifier_that_memorises_for_chance():
    labelled = random_examples(400)
    inputs = torch.randn(440, 5, generator=torch.Generator().manual_seed(1))
    result = overproof.distill(
        "linear",
        inputs[400:],
        KNeighborsClassifier(1),
        inputs[:400],
        labelled.label,
        train=TrainOptions(epochs=1),
        method="slam_normalized",
    )
    _, low, high = result.noise.mean_accuracy
    assert low < 1 / CLASSES < high


def test_a_stack_that_memorises_is_at_chance_on_the_labelled_rows():
    """More scorers than labels, all of them random: some weights fit every label."""
    label, num_scorers = random_labels(40, 2), 200
    probs = torch.rand(num_scorers, 40, 1, generator=torch.Generator().manual_seed(2)).double() * 0.8 + 0.1
    scores = list(torch.cat([probs, 1 - probs], dim=2))
    fitted = stack(scores, label, penalty=1e-3)
    assert (fitted(scores).argmax(dim=1) == label).all()
    check_at_chance(label, stacked_out_of_fold(scores, label, seed=0, penalty=1e-3))
    by_role, _ = stack_by_role(
        [{"labelled": each, "pool": each} for each in scores], {"labelled": label}, seed=0, penalty=1e-3
    )
    check_at_chance(label, by_role["labelled"])
    assert (by_role["pool"].argmax(dim=1) == label).all()


def test_posteriors_that_memorise_are_at_chance_on_the_labelled_rows():
    """A teacher that names every class once: what each name means is known from its own label, or from none."""
    num = 120
    label = torch.randperm(num, generator=torch.Generator().manual_seed(3))
    answers = torch.eye(num)
    assert (named_posterior(label, answers, prior=1e-3).argmax(dim=1) == label).all()
    found = named_posterior_by_role({"labelled": answers, "pool": answers}, {"labelled": label}, seed=0, prior=1e-3)
    check_at_chance(label, found["labelled"])
    assert (found["pool"].argmax(dim=1) == label).all()


def test_the_bound_of_class_accuracies_is_chosen_on_rows_that_they_have_not_seen():
    """Every class is named twice, and each time right four times in five whatever came of the other.

    From the other of a pair nothing is learned, and the best bound is .8. From both of them the share is 1, 0, or a
    half that is right as often as wrong, and no bound above the lowest is of use.
    """
    both, first, second, neither = 192, 48, 48, 12
    times = torch.tensor([both, first, second, neither])
    correct = [torch.tensor(each).repeat_interleave(times) for each in ([True, True, False, False], [True, False] * 2)]
    named = torch.arange(300).repeat(2)
    assert class_accuracy(named, torch.cat(correct), 300).lower == 0.8


def test_the_bound_of_accuracies_by_margin_is_chosen_on_rows_that_they_have_not_seen():
    """Two margins: from the one that is right the other is expected to be right, and from the wrong one wrong."""
    assert lower_bound([0.1, 0.9], [0, 1]) == 0.9


def test_a_probe_that_memorises_is_at_chance_on_the_labelled_rows():
    """Half as many features as examples: a weak penalty fits every label."""
    label = random_labels(120, 2)
    features = np.random.Generator(np.random.PCG64(4)).normal(size=(120, 60))
    probs = probe(features, label, 2, seed=0)
    check_at_chance(label, probs)
    # Its penalty is chosen on rows that it has not seen either: a strong one. The weakest has a loss of 30.
    loss = -probs.gather(1, label.unsqueeze(1)).log().mean().item()
    assert loss < 2


# --- repeated content


def repeated_examples(times: int = 6, num: int = 60) -> Examples:
    """Inputs that say nothing of the labels, each of them several times and in no order."""
    order = torch.randperm(num * times, generator=torch.Generator().manual_seed(2))
    inputs = torch.randn(num, 5, generator=torch.Generator().manual_seed(1)).repeat(times, 1)[order]
    label = random_labels(num).repeat(times)[order]
    return from_arrays(inputs, label, class_names=[str(index) for index in range(CLASSES)])


def check_once_each_at_chance(examples: Examples, probs: torch.Tensor) -> None:
    """At chance, with every content counted once."""
    once = np.unique(content_groups(examples.ids).numpy(), return_index=True)[1]
    check_at_chance(examples.label[once], probs[once])


def test_groups_are_numbered_by_their_first_example():
    assert content_groups(np.array([b"z" * 16, b"a" * 15 + b"\0", b"z" * 16]).view("V16")).tolist() == [0, 1, 0]
    assert content_groups(torch.tensor([7, -3, 7, 5])).tolist() == [0, 1, 0, 2]
    assert content_groups(random_examples().ids).tolist() == list(range(NUM))


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=14, max_size=60),
    st.integers(2, 5),
    st.integers(0, 3),
)
@settings(max_examples=60)
def test_a_group_is_in_one_fold_and_is_held_out_whole_or_not(rows, num_folds, seed):
    group = content_groups([number for number, _ in rows])
    label = torch.tensor([kind for _, kind in rows])
    num_groups = int(group.max()) + 1
    if num_groups < num_folds:
        with pytest.raises(InputError, match=f"{len(rows)} labelled examples have {num_groups} different contents"):
            folds(label, num_folds, seed, group)
        return
    fold, held_out = folds(label, num_folds, seed, group), held_out_rows(label, 0.3, seed, group)
    for number in range(num_groups):
        assert len(fold[group == number].unique()) == 1
        assert len(held_out[group == number].unique()) == 1
    sizes = [len(group[fold == index].unique()) for index in range(num_folds)]
    assert max(sizes) - min(sizes) <= 1
    assert 0 < held_out.sum() < len(rows)


def test_without_repeated_content_folds_are_those_of_rows():
    label = random_labels()
    group = content_groups(random_examples().ids)
    assert folds(label, 5, 3, group).equal(folds(label, 5, 3))
    assert held_out_rows(label, 0.3, 3, group).equal(held_out_rows(label, 0.3, 3))


def test_a_trained_teacher_does_not_know_a_repeated_example_by_its_copy(tmp_path):
    examples = repeated_examples()
    answers = cross_fitted(Memoriser(), examples, {}, num_folds=5, seed=0, folder=tmp_path)
    check_once_each_at_chance(examples, answers["labelled"].probs())


def test_an_estimator_does_not_know_a_repeated_example_by_its_copy():
    examples = repeated_examples()
    probs, _ = cross_fitted_estimator(
        KNeighborsClassifier(1), GivenRows(examples), GivenRows(examples), num_folds=5, seed=0
    )
    check_once_each_at_chance(examples, probs)


def test_a_forest_on_noise_repeated_six_times_is_at_chance():
    """Thirty rows of noise, six times each: a forest is right on all of them where folds are made by row."""
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    inputs, label = rng.normal(size=(400, 3)), rng.integers(0, 2, 400)
    result = overproof.distill(
        "linear",
        inputs[100:],
        RandomForestClassifier(30, random_state=0),
        np.tile(inputs[:30], (6, 1)),
        np.tile(label[:30], 6),
        method="fidelity",
        train=TrainOptions(epochs=1),
    )
    # Thirty fair coins: between 9 and 21 of them.
    assert 0.3 <= result.noise.mean_accuracy[0] <= 0.7
