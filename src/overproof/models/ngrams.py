"""Texts as sets of hashed n-grams, in blocks (`overproof.models.ngram_hashes` gives tokens and hash)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from overproof.models.inputs import Ragged
from overproof.models.ngram_hashes import Normalization, encode

WORTH_COMPILING = 2**23
"""Characters that this process has had to encode before numba is imported: NumPy takes about one second for them."""

_num_characters = 0
# What is computed of so many characters fits the processor's cache; 2**18 took 1.1 times as long.
_CHUNK_CHARACTERS = 2**15


@dataclass(frozen=True, kw_only=True, slots=True)
class Ngrams:
    """Which n-grams, and the number of buckets.

    Args:
        words: Shortest and longest word n-gram; None for no words.
        characters: Shortest and longest character n-gram; None for no characters.
        buckets: Size of the embedding table, including bucket 0 for padding; in 2..2**31.
        normalization: `casefold` or `lower`.

    Example:
        >>> ngrams = Ngrams(words=(1, 2), characters=None, buckets=2**18)
        >>> ngrams.encode(pa.array(["so good", "", "so"])).offsets.tolist()
        [0, 3, 3, 4]
    """

    words: tuple[int, int] | None
    characters: tuple[int, int] | None
    buckets: int
    normalization: Normalization = "casefold"

    def encode(self, texts: pa.Array) -> Ragged:
        """The sorted set of buckets of every text.

        Args:
            texts: [N] strings without nulls.
        """
        values, lengths = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
        encoded = _compiled_or_numpy(int(pc.sum(pc.utf8_length(texts)).as_py() or 0), self.buckets)
        for chunk in _chunks(texts):
            chunk_values, chunk_lengths = encoded(
                chunk.to_pylist(), self.words, self.characters, self.buckets, self.normalization
            )
            values.append(chunk_values)
            lengths.append(chunk_lengths)
        offsets = np.cumsum(np.concatenate(lengths))
        return Ragged(values=torch.from_numpy(np.concatenate(values)), offsets=torch.from_numpy(offsets))


def _compiled_or_numpy(num_characters: int, buckets: int) -> Callable[..., Any]:
    """The faster of the two, with the same result, once this process encodes so much that compiling is worth it."""
    global _num_characters
    _num_characters += num_characters
    if _num_characters < WORTH_COMPILING or find_spec("numba") is None:
        return encode
    from overproof.models import ngram_loop

    return ngram_loop.encode if buckets <= ngram_loop.MOST_BUCKETS else encode


def _chunks(texts: pa.Array) -> Iterator[pa.Array]:
    ends = np.cumsum(pc.utf8_length(texts).to_numpy(zero_copy_only=False), dtype=np.int64)
    start = 0
    while start < len(texts):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK_CHARACTERS, side="right")), start + 1)
        yield texts.slice(start, stop - start)
        start = stop
