"""Texts as sets of hashed n-grams, in blocks (`overproof.models.ngram_hashes` gives tokens and hash)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from overproof.models.inputs import Ragged
from overproof.models.ngram_hashes import Normalization, encode

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
        for chunk in _chunks(texts):
            chunk_values, chunk_lengths = encode(
                chunk.to_pylist(), self.words, self.characters, self.buckets, self.normalization
            )
            values.append(chunk_values)
            lengths.append(chunk_lengths)
        offsets = np.cumsum(np.concatenate(lengths))
        return Ragged(values=torch.from_numpy(np.concatenate(values)), offsets=torch.from_numpy(offsets))


def _chunks(texts: pa.Array) -> Iterator[pa.Array]:
    ends = np.cumsum(pc.utf8_length(texts).to_numpy(zero_copy_only=False), dtype=np.int64)
    start = 0
    while start < len(texts):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK_CHARACTERS, side="right")), start + 1)
        yield texts.slice(start, stop - start)
        start = stop
