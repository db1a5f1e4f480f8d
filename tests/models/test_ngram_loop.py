"""The compiled loop finds the n-grams of the NumPy code: the same buckets of every text, whatever it holds."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overproof.models import ngram_hashes, ngrams
from overproof.models.ngrams import Ngrams

pytest.importorskip("numba", reason="the extra `fast`")
from overproof.models import ngram_loop

TEXTS = [
    "",
    " ",
    "so good!",
    "so good",
    "a",
    "...",
    "Straße STRASSE ﬁn",
    "漢字kana かな",
    "a\0b",
    "é e\u0301",
    "x_1 \t\n y",
    "a a a a",
]
LENGTHS = st.none() | st.tuples(st.integers(1, 3), st.integers(0, 3)).map(lambda each: (each[0], sum(each)))


@given(
    texts=st.lists(
        st.sampled_from(TEXTS) | st.text("ab !ß漢\u0301\u200b\n", max_size=30) | st.text(max_size=20), max_size=6
    ),
    words=LENGTHS,
    characters=LENGTHS,
    buckets=st.sampled_from([2, 3, 63, 64, 65, 4096, 4097, 2**17]),
    normalization=st.sampled_from(["casefold", "lower"]),
)
def test_the_loop_finds_the_buckets_of_the_numpy_code(texts, words, characters, buckets, normalization):
    expected = ngram_hashes.encode(texts, words, characters, buckets, normalization)
    found = ngram_loop.encode(texts, words, characters, buckets, normalization)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_it_is_used_where_there_is_much_to_encode(monkeypatch):
    made = Ngrams(words=(1, 2), characters=(3, 5), buckets=2**17)
    texts = pa.array(["so good ! " * 100] * 100)
    expected = made.encode(texts)
    used = []
    monkeypatch.setattr(ngram_loop, "encode", lambda *given: used.append(1) or ngram_hashes.encode(*given))
    monkeypatch.setattr(ngrams, "_num_characters", 0)
    monkeypatch.setattr(ngrams, "WORTH_COMPILING", 250_000)
    for num_calls in (False, False, True, True):
        used.clear()
        assert (made.encode(texts).values == expected.values).all()
        assert bool(used) is num_calls
    used.clear()
    Ngrams(words=(1, 1), characters=None, buckets=2**23).encode(texts)
    assert not used, "bitmaps of so many buckets would not fit the cache"
    monkeypatch.setattr(ngrams, "find_spec", lambda name: None)
    made.encode(texts)
    assert not used, "numba is not installed"
