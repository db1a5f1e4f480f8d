"""Selection is exact, whatever the order, the ties and the blocks, and is a function of stored answers alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from overproof import ranking, select
from overproof.errors import InputError
from overproof.labels import compress


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Small worlds are then read as large ones are: in many blocks, with thresholds from a sample that can mislead."""
    monkeypatch.setattr(ranking, "BLOCK_ROWS", 7)
    monkeypatch.setattr(ranking, "SAMPLE_ROWS", 5)
    monkeypatch.setattr(ranking, "SAMPLE_ROWS_PER_CLASS", 2)


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
        (lambda: select.confident(np.array([0.1] * 9 + [np.nan]), 2), "score, row 9 (counted from 0): it is NaN"),
        (lambda: select.confident(np.ones(3), 2, [1, 2]), "ids has 2 rows and score 3"),
        (lambda: select.per_class(np.ones(3), np.array([0, 0, 2]), 1), "class 1 has 0 of 1"),
        (lambda: select.per_class(np.ones(3), np.array([0, 0, 1]), 2), "class 1 has 1 of 2"),
        (lambda: select.per_class(np.ones(2), np.array([0, -1]), 1), "pseudo_label, row 1 (counted from 0) is -1"),
        (lambda: select.per_class(np.ones(2), np.array([0, 5]), 1, num_classes=3), "row 1 (counted from 0) is 5"),
        (lambda: select.per_class(np.ones(2), np.array([0.0, 1.0]), 1), "must hold whole numbers"),
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


@pytest.mark.parametrize(
    "selector", [select.Random(budget=20), select.Confident(budget=0.25), select.PerClass(quota=5)]
)
def test_selectors_choose_the_same_ids_in_any_order(selector):
    _, kept = answers(scale=40.0)
    order = torch.randperm(len(kept))
    whole, shuffled = selector(kept), selector(kept.take(order))
    assert whole.tolist() == sorted(whole.tolist())
    assert set(whole.tolist()) == set(order[shuffled].tolist())
