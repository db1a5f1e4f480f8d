"""The n-grams of `overproof.models.ngram_hashes` in a loop that numba compiles: the same buckets, in less time.

NumPy writes every step for all n-grams to memory and sorts them; here a text's n-grams are marked in a bitmap, which is
then read in order. Compiling takes two seconds once; the result is kept beside this file, or in the user's cache.
"""

import inspect
import sys

import numpy as np
from numba import njit
from numpy.typing import NDArray

from overproof.models.ngram_hashes import (
    MIX_1,
    MIX_2,
    SALT,
    SPACE,
    WORD,
    Normalization,
    character_kinds,
    normalised,
    powers,
)

MOST_BUCKETS = 2**22
"""Of more, the bitmaps would no longer fit the processor's cache."""

_ONE, _SPACE = np.uint64(1), np.uint64(ord(" ") + 1)
_SALT, _MIX_1, _MIX_2 = np.uint64(SALT), np.uint64(MIX_1), np.uint64(MIX_2)
_DE_BRUIJN = 0x03F79D71B4CB0A89
_FACTOR = np.uint64(_DE_BRUIJN)
# The place of a lone bit, by the six highest bits of its product with a de Bruijn sequence.
_PLACE = np.empty(64, np.int64)
for _bit in range(64):
    _PLACE[(_DE_BRUIJN << _bit) % 2**64 >> 58] = _bit


def encode(
    texts: list[str],
    words: tuple[int, int] | None,
    characters: tuple[int, int] | None,
    buckets: int,
    normalization: Normalization,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The sorted sets of buckets of some texts: what `overproof.models.ngram_hashes.encode` returns.

    Args:
        texts: N texts.
        words: Shortest and longest word n-gram; None for no words.
        characters: Shortest and longest character n-gram; None for no characters.
        buckets: Size of the embedding table, at most `MOST_BUCKETS`.
        normalization: `casefold` or `lower`.
    """
    # U+0000 separates tokens, and here texts.
    normal = "\0".join([normalised(text, normalization).replace("\0", " ") for text in texts])
    plain = normal.isascii()
    codes = np.frombuffer(normal.encode("ascii" if plain else "utf-32-le"), np.uint8 if plain else np.uint32)
    up, down = powers(1 << (2 * len(codes) + 2).bit_length())
    marks = np.zeros(buckets // 64 + 1, np.uint64)
    return _sets(
        codes,
        character_kinds(128 if plain else sys.maxunicode + 1),
        len(texts),
        words or (1, 0),
        characters or (1, 0),
        np.uint64(buckets - 1),
        up,
        down,
        marks,
        np.zeros(len(marks) // 64 + 1, np.uint64),
    )


def _compiled(function):  # type: ignore[no-untyped-def]
    function = inspect.unwrap(function)  # checks of types cannot be compiled
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # no folder can be written
        return njit(function)


@_compiled
def _mark(code, divisor, marks, marked):  # type: ignore[no-untyped-def]
    """Mark the bucket of a polynomial, and in `marked` its word of the bitmap."""
    code = (code ^ (code >> np.uint64(30))) * _MIX_1
    code = (code ^ (code >> np.uint64(27))) * _MIX_2
    code = (code ^ (code >> np.uint64(31))) >> np.uint64(32)
    bucket = np.int64(np.uint32(code) % np.uint32(divisor)) + 1
    marks[bucket >> 6] |= _ONE << np.uint64(bucket & 63)
    marked[bucket >> 12] |= _ONE << np.uint64((bucket >> 6) & 63)


@_compiled
def _sets(codes, kinds, num, words, characters, divisor, up, down, marks, marked):  # type: ignore[no-untyped-def]
    """The buckets of each text in order, and how many it has; `marks` and `marked` are zeros, and are so at the end."""
    size = 2 * len(codes) + 3
    prefix, starts, stops = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
    kinds_of_ngrams = max(words[1] - words[0] + 1, 0) + max(characters[1] - characters[0] + 1, 0)
    found, lengths = np.empty(size * kinds_of_ngrams, np.int32), np.zeros(num, np.int64)
    at = filled = 0
    for text in range(num):
        # The tokens, each followed by a space, with one space first: sums of (code + 1) * BASE**position.
        prefix[0], prefix[1] = np.uint64(0), _SPACE
        end, tokens, inside = 1, 0, False
        while at < len(codes) and codes[at] != 0:
            kind = kinds[codes[at]]
            if inside and kind != WORD:
                stops[tokens - 1], inside = end, False
                prefix[end + 1] = prefix[end] + _SPACE * up[end]
                end += 1
            if kind != SPACE:
                if not inside:
                    starts[tokens], tokens = end, tokens + 1
                prefix[end + 1] = prefix[end] + (np.uint64(codes[at]) + _ONE) * up[end]
                end, inside = end + 1, True
                if kind != WORD:
                    stops[tokens - 1], inside = end, False
                    prefix[end + 1] = prefix[end] + _SPACE * up[end]
                    end += 1
            at += 1
        if inside:
            stops[tokens - 1] = end
            prefix[end + 1] = prefix[end] + _SPACE * up[end]
        at += 1
        for n in range(words[0], words[1] + 1):
            for first in range(tokens - n + 1):
                start = starts[first]
                _mark((prefix[stops[first + n - 1]] - prefix[start]) * down[start], divisor, marks, marked)
        for n in range(characters[0], characters[1] + 1):
            for token in range(tokens):
                for start in range(starts[token] - 1, stops[token] + 2 - n):
                    _mark((prefix[start + n] - prefix[start]) * down[start] + _SALT, divisor, marks, marked)
        before = filled
        for group in range(len(marked)):
            while marked[group]:
                word_bit = marked[group] & (~marked[group] + _ONE)
                marked[group] ^= word_bit
                word = (group << 6) + _PLACE[(word_bit * _FACTOR) >> np.uint64(58)]
                while marks[word]:
                    bit = marks[word] & (~marks[word] + _ONE)
                    marks[word] ^= bit
                    found[filled] = (word << 6) + _PLACE[(bit * _FACTOR) >> np.uint64(58)]
                    filled += 1
        lengths[text] = filled - before
    return found[:filled].copy(), lengths
