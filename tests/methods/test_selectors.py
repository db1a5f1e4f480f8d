"""Selection is exact, whatever the order, the ties and the blocks, and is a function of stored answers alone."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from overproof.answers.predictions import compress
from overproof.api import distill
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.functional import top_k as ranking
from overproof.methods import selectors as select
from overproof.methods.published import method
from overproof.methods.selectors.selector import counted
from overproof.synthetic import blobs
from overproof.training import distillation
from overproof.training.options import TrainOptions


@pytest.fixture(autouse=True, params=["dense", "dense and misled", "sparse and misled"])
def _small_blocks(monkeypatch, request):
    """Small worlds are read as large ones are, in many blocks; and once with thresholds that are often too high."""
    monkeypatch.setattr(ranking, "BLOCK_ROWS", 7)
    monkeypatch.setattr(ranking, "SAMPLE_ROWS", 20)
    monkeypatch.setattr(ranking, "SAMPLE_ROWS_PER_CLASS", 6)
    monkeypatch.setattr(ranking, "DENSE", 1 if "sparse" in request.param else 8)
    monkeypatch.setattr(ranking, "DEVIATIONS", 0.05 if "misled" in request.param else 5.0)


def hashes(ids, seed=0):
    return ranking.Hashed(np.asarray(ids), len(ids), seed)[np.arange(len(ids))]


def by_sorting(score, budget, ids):
    """A stable full sort: the highest scores, of equal ones the smallest hashes, of those the first rows."""
    return np.sort(np.lexsort((hashes(ids), -np.asarray(score, np.float64)))[:budget])


scores = st.one_of(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=120),
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=120),
    st.lists(st.sampled_from([-np.inf, 0.0, np.inf]), min_size=1, max_size=60),
    st.lists(st.just(0.5), min_size=1, max_size=120),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=120).map(sorted),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=120).map(lambda found: sorted(found, reverse=True)),
)


def test_the_hash_is_that_of_splitmix64():
    assert ranking.mixed(np.zeros(1, np.uint64)).tolist() == [0xE220A8397B1DCDAF]


@given(scores, st.data())
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_confident_is_a_stable_full_sort(dtype, found, data):
    score = np.array(found, dtype)
    budget = data.draw(st.integers(1, len(score)))
    ids = np.array(data.draw(st.permutations(range(len(score)))))
    assert select.confident(score, budget, ids).tolist() == by_sorting(score, budget, ids).tolist()


@given(scores, st.data())
def test_per_class_is_a_stable_full_sort_of_every_class(found, data):
    score = np.array(found, np.float32)
    label = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(score), max_size=len(score))))
    counts = np.bincount(label, minlength=4)
    quotas = [data.draw(st.integers(0, count)) for count in counts.tolist()]
    ids = np.array(data.draw(st.permutations(range(len(score)))))
    wanted = [np.flatnonzero(label == k) for k in range(4)]
    wanted = [rows[by_sorting(score[rows], quotas[k], ids[rows])] for k, rows in enumerate(wanted)]
    found = select.per_class(score, label, quotas, ids)
    assert found.tolist() == sorted(np.concatenate(wanted).tolist())


@given(st.integers(1, 90), st.data())
def test_random_takes_the_smallest_hashes(num, data):
    budget, seed = data.draw(st.integers(1, num)), data.draw(st.integers(-5, 5))
    ids = np.array(data.draw(st.permutations(range(num))))
    wanted = np.sort(np.argsort(hashes(ids, seed), kind="stable")[:budget])
    assert select.random(num, budget, ids, seed=seed).tolist() == wanted.tolist()


@given(st.lists(st.sampled_from([0.2, 0.9, 0.96, 0.99]), min_size=2, max_size=80), st.data())
def test_the_chosen_ids_do_not_depend_on_the_order_of_the_rows(found, data):
    score, num = np.array(found, np.float32), len(found)
    order = np.array(data.draw(st.permutations(range(num))))
    label = np.array(data.draw(st.lists(st.integers(0, 2), min_size=num, max_size=num)))
    ids, budget = np.arange(num) * 7, data.draw(st.integers(1, num))
    rules = [
        lambda rows: select.confident(score[rows], budget, ids[rows]),
        lambda rows: select.per_class(score[rows], label[rows], 0.4, ids[rows]),
        lambda rows: select.random(num, budget, ids[rows]),
        lambda rows: select.adaptive(score[rows], label[rows], 0.1),
    ]
    for rule in rules:
        assert set(ids[rule(np.arange(num))]) == set(ids[order][rule(order)])


def test_the_adaptive_threshold_by_hand():
    # Above .9: class 0 four rows, class 1 two, class 2 none: thresholds .9, .9 / 3 = .3 and 0.
    score = np.array([0.95, 0.95, 0.95, 0.95, 0.85, 0.95, 0.95, 0.31, 0.29, 0.01], np.float32)
    label = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2])
    assert select.adaptive(score, label, 0.9).tolist() == [0, 1, 2, 3, 5, 6, 7, 9]
    with pytest.raises(InputError, match="No row has a score above confidence"):
        select.adaptive(score, label, 0.99)


def test_tensors_give_tensors_and_texts_are_ids():
    score = torch.tensor([0.5, 0.5, 0.5, 0.9])
    chosen = select.confident(score, 2, ["a", "b", "c", "d"])
    assert isinstance(chosen, torch.Tensor)
    reversed_rows = select.confident(score.flip(0), 2, ["d", "c", "b", "a"])
    assert {"abcd"[i] for i in chosen.tolist()} == {"dcba"[i] for i in reversed_rows.tolist()}
    assert select.confident(torch.tensor([0.5, 0.9], dtype=torch.bfloat16), 1).tolist() == [1]


def test_content_ids_are_the_same_in_bytes_and_in_hex():
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * 40), "V16")
    score = np.full(40, 0.5, np.float32)
    in_hex = [each.hex() for each in ids.tolist()]
    assert select.confident(score, 10, ids).tolist() == select.confident(score, 10, in_hex).tolist()


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (lambda: select.confident(np.ones(3, np.float32), 4), "budget is 4, but there are only 3 rows"),
        (lambda: select.confident(np.ones(3, np.float32), 0), "budget is 0; it must be"),
        (lambda: select.confident(np.ones(3, np.float32), 1.5), "budget is 1.5; it must be"),
        (lambda: select.random(3, 4), "budget is 4"),
        (lambda: select.confident(np.array([0.1] * 9 + [np.nan]), 2), "row 9 (counted from 0): the score is NaN"),
        (lambda: select.confident(np.ones(3), 2, [1, 2]), "ids has 2 rows and score 3"),
        (lambda: select.per_class(np.ones(3), np.array([0, 0, 2]), 1), "class 1 has 0 of 1"),
        (lambda: select.per_class(np.ones(3), np.array([0, 0, 1]), 2), "class 1 has 1 of 2"),
        (lambda: select.per_class(np.ones(2), np.array([0, -1]), 1), "pseudo_label, row 1 (counted from 0) is -1"),
        (lambda: select.per_class(np.ones(2), np.array([0, 5]), 1, num_classes=3), "row 1 (counted from 0) is 5"),
        (lambda: select.per_class(np.ones(2), np.array([0.0, 1.0]), 1), "must hold whole numbers"),
        (lambda: select.per_class(np.ones(2), np.array([0, 1]), [1, -1]), "quota is -1 for class 1"),
        (lambda: select.per_class(np.ones(2), np.array([0, 1]), [1, 1, 1], num_classes=2), "3 numbers for 2 classes"),
        (lambda: select.adaptive(np.ones(2), np.array([0, 1]), 1.5), "confidence is 1.5"),
    ],
)
def test_what_does_not_fit_is_one_sentence(choose, words):
    with pytest.raises(InputError) as error:
        choose()
    assert words in str(error.value)
    assert str(error.value).endswith(".")


def answers(num=60, num_classes=4, scale=6.0):
    logits = torch.randn(num, num_classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * scale
    probs = logits.softmax(1)
    return probs, compress(probs)


def test_confident_finds_the_smallest_noise_values_also_where_half_precision_shows_one():
    probs, kept = answers(scale=12.0)
    assert (kept.class_probs[:, 0] == 1).sum() > 10
    wanted = probs.max(dim=1).values.argsort(descending=True)[:20].sort().values
    # Beyond 2^-25 of mass for the others the store itself cannot tell answers apart.
    found = select.Confident(budget=20)(kept)
    others = 1 - probs.max(dim=1).values
    limit = others[wanted].max()
    assert len(found) == 20
    assert (others[found] <= limit * (1 + 2**-9) + 2**-24).all()


def test_the_mass_of_classes_that_are_not_kept_counts():
    probs, _ = answers()
    whole, kept = select.log_confidence(compress(probs)), select.log_confidence(compress(probs, num_kept=2))
    torch.testing.assert_close(whole, kept, rtol=1e-2, atol=1e-6)


def test_other_answers_for_the_same_examples_keep_their_ids():
    probs, kept = answers()
    named = kept.identified([f"row {i}" for i in range(60)])
    said = named.with_probs(probs.flip(1))
    assert torch.equal(said.id_word, named.id_word)
    assert torch.equal(said.class_probs, compress(probs.flip(1)).class_probs)
    assert named.id_word.unique().numel() == 60


def test_a_rows_score_does_not_depend_on_its_place():
    _, kept = answers(num=5000, num_classes=10)
    order = torch.randperm(5000)
    assert torch.equal(select.log_confidence(kept)[order], select.log_confidence(kept.take(order)))
    assert torch.equal(select.log_confidence(kept)[7:19], select.log_confidence(kept.take(slice(7, 19))))


@pytest.mark.parametrize(
    "selector", [select.Random(budget=20), select.Confident(budget=0.25), select.PerClass(quota=5)]
)
def test_selectors_choose_the_same_ids_in_any_order(selector):
    _, kept = answers(scale=40.0)
    order = torch.randperm(len(kept))
    whole, shuffled = selector(kept), selector(kept.take(order))
    assert whole.tolist() == sorted(whole.tolist())
    assert set(whole.tolist()) == set(order[shuffled].tolist())


def test_half_a_class_is_half_of_its_rows():
    _, kept = answers(num=200)
    chosen = select.PerClass(quota=0.5)(kept)
    before, after = (torch.bincount(kept.pseudo_label[rows], minlength=4) for rows in (torch.arange(200), chosen))
    assert after.tolist() == [round(0.5 * count) for count in before.tolist()]


def test_the_adaptive_selector_compares_probabilities():
    probs, kept = answers()
    wanted = select.adaptive(probs.max(dim=1).values.float(), kept.pseudo_label, 0.9, num_classes=4)
    assert select.Adaptive(confidence=0.9)(kept).tolist() == wanted.tolist()
    assert 0 < len(wanted) < 60


def test_an_empty_pool_gives_nothing_by_shares_and_a_sentence_by_numbers():
    _, kept = answers()
    empty = kept.take(torch.arange(0))
    assert len(select.Confident()(empty)) == len(select.PerClass()(empty)) == len(select.Random()(empty)) == 0
    with pytest.raises(InputError, match="only 0 rows"):
        select.Confident(budget=3)(empty)


# --- through a method


@pytest.mark.parametrize("selector", [select.Random(budget=30), select.Confident(budget=30), select.PerClass(quota=9)])
def test_a_method_trains_on_what_its_selector_keeps(selector, monkeypatch):
    train = Mock(wraps=distillation.train)
    monkeypatch.setattr(distillation, "train", train)
    world = blobs(num_examples=200, num_classes=3, seed=0)
    few, pool = slice(0, 40), slice(40, 200)
    result = distill(
        "linear",
        world.inputs[pool],
        world.teacher_probs[pool],
        world.inputs[few],
        world.label[few],
        world.teacher_probs[few],
        method=replace(method("hard"), select=selector),
        train=TrainOptions(epochs=1),
    )
    kept = compress(world.teacher_probs[pool]).identified(from_arrays(world.inputs[pool], None, class_names="012").ids)
    chosen = selector(kept)
    assert train.call_args.args[1].rows.place[40:].tolist() == (40 + chosen).tolist()
    assert result.num_pool == len(chosen)
    assert result.pool_classes == select.class_counts(kept, chosen, ("0", "1", "2"))


def test_a_class_too_small_for_its_quota_is_named():
    world = blobs(num_examples=100, num_classes=3, seed=0)
    with pytest.raises(InputError, match=r"class 'b' has \d+ of 90"):
        distill(
            "linear",
            world.inputs,
            world.teacher_probs,
            world.inputs,
            world.label,
            world.teacher_probs,
            method=replace(method("hard"), select=select.PerClass(quota=90)),
            class_names=("a", "b", "c"),
        )


def test_rows_are_counted_over_all_blocks():
    classes = np.zeros(2**18 + 5, np.int64)
    classes[-3:] = [1, 1, 3]
    assert counted(classes).tolist() == [2**18 + 2, 2, 0, 1]
    assert counted(classes, 5).tolist() == [2**18 + 2, 2, 0, 1, 0]


@pytest.mark.parametrize(("classes", "num", "allowed"), [([0, 2], 2, r"0\.\.1"), ([0, -1], None, "0 or more")])
def test_a_class_that_is_none_is_named_with_those_that_are(classes, num, allowed):
    with pytest.raises(InputError, match=rf"^pseudo_label, row 1 .* is {classes[1]}; a class must be {allowed}\.$"):
        counted(np.array(classes), num)
