"""Inputs as the loop reads them: joined, placed or on disk, a batch is the same bytes."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from overproof.answers.predictions import compress
from overproof.models import Dense, OnDisk, Placed, Unpadded, as_matrix, join
from overproof.models.inputs import Joined
from overproof.models.matrices import num_with_feature
from overproof.models.ngrams import Ngrams
from overproof.training.examples import ExpandedByBatch

TEXTS = ["so good", "", "so", "a much longer text than any other one", "good good good"]


def ragged(texts):
    return Ngrams(words=(1, 2), characters=(3, 3), buckets=2**10).encode(pa.array(texts, pa.large_string()))


def images(num, seed):
    return Dense(
        values=torch.randint(256, (num, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    )


PARTS = {
    "ragged": [ragged(TEXTS[:2]), ragged(TEXTS[2:])],
    "images": [images(2, 0), images(3, 1)],
    "none": [images(0, 0), images(5, 1)],
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("rows", [[4, 0, 2, 2], [0, 1], [3], []])
def test_joined_parts_give_what_one_copied_whole_gives(name, rows):
    rows = torch.tensor(rows, dtype=torch.int64)
    parts = PARTS[name]
    whole = join(parts)
    lazy = join([parts[0], Placed(inputs=OnDisk(inputs=parts[1]), place=torch.arange(len(parts[1])))])
    assert isinstance(lazy, Joined)
    assert not isinstance(whole, Joined)
    assert len(lazy) == len(whole) == 5
    if name == "none" or len(rows):
        found, expected = lazy.take(rows), whole.take(rows)
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    assert torch.equal(lazy.to(torch.device("cpu")).take(torch.arange(5)), whole.take(torch.arange(5)))


@pytest.mark.parametrize("rows", [[4, 0, 2, 2], [0, 1], [3], [1, 1], []])
def test_sets_without_padding_are_the_same_wherever_they_lie(rows):
    rows = torch.tensor(rows, dtype=torch.int64)
    parts = PARTS["ragged"]
    whole = join(parts)
    on_disk = Placed(inputs=OnDisk(inputs=parts[1]), place=torch.arange(len(parts[1])))
    lazy = Unpadded(inputs=join([parts[0], on_disk]))
    found, expected = lazy.take(rows), whole.part(rows)
    assert torch.equal(found.values, expected.values)
    assert torch.equal(found.offsets, expected.offsets)


def test_features_are_counted_alike_wherever_they_lie():
    whole = ragged(TEXTS)
    lazy = Placed(inputs=OnDisk(inputs=whole), place=torch.arange(5))
    assert torch.equal(num_with_feature(whole, 2**10), num_with_feature(lazy, 2**10))
    rows = torch.tensor([3, 1])
    assert np.array_equal(as_matrix(whole, rows).toarray(), as_matrix(lazy, rows).toarray())


def test_answers_opened_by_batch_are_those_opened_at_once():
    probs = torch.rand(300, 5, generator=torch.Generator().manual_seed(0))
    probs /= probs.sum(dim=1, keepdim=True)
    for kept in (None, 2):
        answers = compress(probs, kept)
        rows = torch.tensor([7, 7, 299, 0])
        assert torch.equal(ExpandedByBatch(answers=answers).take(rows), answers.probs()[rows])


def test_answers_are_compressed_in_blocks_as_at_once(monkeypatch):
    probs = torch.rand(301, 7, generator=torch.Generator().manual_seed(0))
    probs /= probs.sum(dim=1, keepdim=True)
    at_once = compress(probs, 3)
    monkeypatch.setattr("overproof.answers.predictions._ROWS_COMPRESSED", 50)
    in_blocks = compress(probs, 3)
    for name in ("class_indices", "class_probs", "margin", "residual", "id_word"):
        assert torch.equal(getattr(at_once, name), getattr(in_blocks, name))
    assert len(compress(torch.empty(0, 3))) == 0
