"""A selection shard by shard is that of the whole pool, whatever the shards, the ties and the keys between."""

import numpy as np
import pytest
import torch

from overproof.answers.predictions import compress
from overproof.errors import InputError
from overproof.methods import selection_in_shards as in_shards
from overproof.methods import selectors as select

RULES = [
    select.Confident(budget=1),
    select.Confident(budget=0.37),
    select.Confident(budget=500),
    select.PerClass(quota=3),
    select.PerClass(quota=0.5),
    select.Random(budget=0.2, seed=5),
    select.Adaptive(confidence=0.6),
    select.Everything(),
    select.Nothing(),
]


def pool(seed: int, levels: int):
    """500 answers of four classes, of which many are equal where there are few levels."""
    random = np.random.default_rng(seed)
    probs = torch.from_numpy(random.integers(0, levels, (500, 4)) * (6 / levels)).softmax(1)
    return compress(probs).identified(random.integers(-(2**62), 2**62, 500))


def chosen(selector, answers, ends):
    starts = [0, *ends]
    parts = [(answers.take(slice(start, end)), start) for start, end in zip(starts, [*ends, 500], strict=True)]
    limits = in_shards.limits(selector, [in_shards.summary(selector, *part) for part in parts])
    found = [in_shards.candidates(selector, *part, limits) for part in parts]
    places = in_shards.cut(found, limits.quotas)
    rows = [each.rows[kept] + start for each, kept, (_, start) in zip(found, places, parts, strict=True)]
    return np.concatenate(rows), sum(len(each.rows) for each in found)


@pytest.mark.parametrize("selector", RULES, ids=repr)
@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("ends", [[], [1, 250, 499], list(range(40, 500, 40))])
def test_the_rows_are_those_of_the_whole_pool(selector, levels, ends, monkeypatch):
    monkeypatch.setattr(in_shards, "NUM_KEYS", 7)
    answers = pool(0, levels)
    rows, _ = chosen(selector, answers, ends)
    assert rows.tolist() == selector(answers).tolist()


def test_few_rows_too_many_are_candidates(monkeypatch):
    monkeypatch.setattr(in_shards, "NUM_KEYS", 10)
    answers = pool(0, 1000)
    rows, num_candidates = chosen(select.Confident(budget=100), answers, [100, 200, 300, 400])
    # Between two keys of a shard of 100 rows lie ten rows.
    assert len(rows) == 100
    assert num_candidates <= 100 + 5 * 10


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (select.Confident(budget=501), "only 500 rows to choose from"),
        (select.PerClass(quota=400), "The quota cannot be met"),
        (select.Adaptive(confidence=0.999), "No row has a score above confidence"),
    ],
)
def test_what_the_whole_pool_refuses_is_refused(selector, words):
    answers = pool(0, 1000)
    for each in (lambda: selector(answers), lambda: chosen(selector, answers, [250])):
        with pytest.raises(InputError, match=words):
            each()


def test_a_row_without_an_answer_is_refused_by_its_number():
    answers = pool(0, 1000)
    gone = answers.without(torch.arange(500) == 300)
    for each in (
        lambda: select.Confident(budget=3)(gone),
        lambda: chosen(select.Confident(budget=3), gone, [250]),
    ):
        with pytest.raises(InputError, match=r"score, row 300 \(counted from 0\): the score is NaN"):
            each()
