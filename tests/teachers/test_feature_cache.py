"""A library of features: what one run asked, the next one reads."""

import numpy as np
import pytest
import torch

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.storage.shard import StoreKey
from overproof.teachers.feature_cache import gather

KEY = StoreKey(teacher="lengths", data="", transform="text", code="1")


class Asked:
    """Features of a text: its length and the number of times anybody was asked about it."""

    def __init__(self):
        self.texts: list[str] = []

    def __call__(self, some):
        self.texts += some.inputs.to_pylist()
        return torch.tensor([[float(len(text)), 1.0] for text in some.inputs.to_pylist()])


def texts(*numbers):
    return from_arrays(["x" * number for number in numbers])


def lengths(folder, examples, ask, key=KEY):
    ids, features = gather(folder, examples, key, ask)
    assert (np.sort(ids) == ids).all()
    place = np.searchsorted(ids, examples.ids.view("S16"))
    return features[torch.from_numpy(place), 0].tolist()


def test_every_example_is_asked_once_whichever_run_asks(tmp_path):
    ask = Asked()
    assert lengths(tmp_path, texts(3, 1, 2, 3), ask) == [3, 1, 2, 3]
    assert sorted(map(len, ask.texts)) == [1, 2, 3]
    assert lengths(tmp_path, texts(2, 5, 1, 4), ask) == [2, 5, 1, 4]
    assert sorted(map(len, ask.texts)) == [1, 2, 3, 4, 5]
    assert lengths(tmp_path, texts(5, 4, 3, 2, 1), ask) == [5, 4, 3, 2, 1]
    assert len(ask.texts) == 5
    assert len(list(tmp_path.iterdir())) == 2


def test_another_encoder_or_version_is_asked_anew(tmp_path):
    ask = Asked()
    for key in (
        KEY,
        StoreKey(teacher="other", data="", transform="text", code="1"),
        StoreKey(teacher="lengths", data="", transform="text", code="2"),
    ):
        lengths(tmp_path, texts(1, 2), ask, key)
    assert len(ask.texts) == 6


def test_a_damaged_store_is_refused(tmp_path):
    lengths(tmp_path, texts(1, 2), Asked())
    (shard,) = tmp_path.glob("*/*.parquet")
    shard.write_bytes(shard.read_bytes()[:-9] + b"123456789")
    with pytest.raises(InputError, match="damaged"):
        lengths(tmp_path, texts(1, 2), Asked())
