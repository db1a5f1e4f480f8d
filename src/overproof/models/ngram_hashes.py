"""Converts texts to hashed n-grams, in whole batches: without a vocabulary and without a Python loop over words.

A text is normalised and split into tokens. `casefold` is Unicode's NFKC_Casefold: NFKC without invisible characters
(soft hyphens, zero-width spaces and joiners, variation selectors), full case folding (ß as ss, every sigma as σ), and
NFKC again; `lower` is NFKC and lower case, as in students saved by old versions. A token is a run of word characters
(letters, digits, `_` and combining marks), or a single character (an ideograph or kana, because these scripts have no
spaces between words, or any other symbol). Spaces and U+0000 only separate tokens. For texts without ideographs and
marks the tokens are those of the regular expression `\\w+|[^\\w\\s]`. The normalised text is its tokens, each followed
by one space, with one space before the first: " so good ! ".

    word n-gram        n consecutive tokens and the single spaces between them
    character n-gram   n consecutive characters of one token and the space on either side of it: " go", "goo", …

An n-gram c_0 … c_{n-1} of code points is hashed as

    h      = sum over i of (c_i + 1) * BASE**i                          modulo 2**64
    h      = h + SALT if it is a character n-gram                       modulo 2**64
    h      = mix(h): h ^= h >> 30; h *= MIX_1; h ^= h >> 27; h *= MIX_2; h ^= h >> 31       (splitmix64)
    bucket = 1 + (h >> 32) modulo (buckets - 1)

Bucket 0 is reserved for padding. A text becomes the sorted set of its buckets: n-grams are not counted.

Sources: the normalisation, The Unicode Standard, section 3.13, and its list of default ignorable code points; the
mixer, Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014); the hashing trick,
Weinberger et al., "Feature hashing for large scale multitask learning" (ICML 2009).

It needs NumPy and Python alone: `overproof.export` puts this file beside `score.py`, as `ngrams.py`.
"""

import functools
import re
import sys
import unicodedata
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BASE = 0x9E3779B97F4A7C15
"""Odd, so that its powers have inverses modulo 2**64 and every n-gram is a difference of two prefix sums."""
SALT = 0xD1B54A32D192ED03
MIX_1, MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

_MODULUS = 2**64
_BASE_INVERSE = pow(BASE, -1, _MODULUS)
SPACE, WORD, _ALONE = range(3)
_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)
# Hiragana and Katakana, CJK unified ideographs with extension A, compatibility ideographs, planes 2 and 3.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))

# Default_Ignorable_Code_Point: invisible characters, which would split a word.
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

Normalization = Literal["casefold", "lower"]

_Integers = NDArray[np.int64]
_Hashes = NDArray[np.uint64]


def encode(
    texts: list[str],
    words: tuple[int, int] | None,
    characters: tuple[int, int] | None,
    buckets: int,
    normalization: Normalization,
) -> tuple[NDArray[np.int32], _Integers]:
    """The sorted sets of buckets of some texts.

    Args:
        texts: N texts.
        words: Shortest and longest word n-gram; None for no words.
        characters: Shortest and longest character n-gram; None for no characters.
        buckets: Size of the embedding table, including bucket 0 for padding; in 2..2**31.
        normalization: `casefold` or `lower`.

    Returns:
        The buckets of all texts, text after text, and the number of each text's buckets, int64 [N].
    """
    stream, starts, stops, text_of = _tokenise(texts, normalization)
    prefix, inverse = _prefix_sums(stream)
    keys = [np.empty(0, np.uint64)]
    owner = text_of.astype(np.uint64) << _HALF
    for n in _lengths(words):
        last = text_of[n - 1 :]
        whole = np.flatnonzero(text_of[: len(last)] == last)
        left, right = starts[whole], stops[whole + n - 1]
        keys.append(owner[whole] | _bucket((prefix[right] - prefix[left]) * inverse[left], buckets))
    if characters is not None:
        # Every position except the last space belongs to one token: a character to its own, a space to the next.
        owner, space = np.repeat(owner, stops - starts + 1), stream == ord(" ")
        for n in _lengths(characters):
            num = max(len(owner) + min(n, 2) - n, 0)
            # A token and the spaces on either side have no space inside.
            inside = np.ones(num, bool)
            for place in range(1, n - 1):
                inside &= ~space[place : place + num]
            hashes = ((prefix[n : n + num] - prefix[:num]) * inverse[:num])[inside]
            keys.append(owner[:num][inside] | _bucket(hashes + np.uint64(SALT), buckets))
    key = np.concatenate(keys)
    key.sort()
    key = key[np.append(True, key[1:] != key[:-1])[: len(key)]]
    bounds = np.searchsorted(key, np.arange(len(texts) + 1, dtype=np.uint64) << _HALF)
    return (key & _LOW).astype(np.int32), np.diff(bounds)


def _lengths(shortest_and_longest: tuple[int, int] | None) -> range:
    return range(0) if shortest_and_longest is None else range(shortest_and_longest[0], shortest_and_longest[1] + 1)


def normalised(text: str, normalization: Normalization) -> str:
    """The normalised text.

    Args:
        text: Any text.
        normalization: `casefold` or `lower`.

    Example:
        >>> normalised("STRASSE Straße", "casefold"), normalised("STRASSE Straße", "lower")
        ('strasse strasse', 'strasse straße')
    """
    if text.isascii():
        return text.lower()
    if normalization == "lower":
        return unicodedata.normalize("NFKC", text).lower()
    folded = UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return unicodedata.normalize("NFKC", folded)


def _tokenise(texts: list[str], normalization: Normalization) -> tuple[_Hashes, _Integers, _Integers, _Integers]:
    """All tokens in one stream of code points, each followed by a space, with one space first.

    Returns:
        The stream; the start of each token in it and its end (the space); the number of the token's text.
    """
    separator = "\0"
    normal = separator.join([normalised(text, normalization).replace(separator, " ") for text in texts])
    codes: NDArray[np.uint8] | NDArray[np.uint32]
    if normal.isascii():
        codes = np.frombuffer(normal.encode(), np.uint8)
    else:
        codes = np.frombuffer(normal.encode("utf-32-le"), np.uint32)
    kind = character_kinds(128 if codes.dtype == np.uint8 else sys.maxunicode + 1)[codes]
    kept, word, starts_token = kind != SPACE, kind == WORD, kind == _ALONE
    starts_token[:1] |= word[:1]
    starts_token[1:] |= word[1:] & ~word[:-1]
    first = np.flatnonzero(starts_token)
    kept_before = np.cumsum(kept)
    # A token is preceded by the characters of those before it, and by a space for each of them and one for itself.
    starts = kept_before[first] + np.arange(len(first))
    size = int(kept_before[-1:].sum()) + len(first) + 1
    stops = np.append(starts[1:], size)[: len(first)] - 1
    stream, is_space = np.full(size, ord(" "), np.uint64), np.zeros(size, bool)
    is_space[0], is_space[stops] = True, True
    stream[~is_space] = codes[kept]
    return stream, starts, stops, np.searchsorted(np.flatnonzero(codes == 0), first)


@functools.cache
def character_kinds(num: int) -> NDArray[np.uint8]:
    """For each of the first code points: space, word character or single token, by the tables of the running Python."""
    kinds = np.full(num, _ALONE, np.uint8)
    for code in range(len(kinds)):
        character = chr(code)
        if character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M":
            kinds[code] = WORD
        elif character.isspace():
            kinds[code] = SPACE
    for first, last in _UNSPACED:
        kinds[first : last + 1] = _ALONE
    kinds[0] = SPACE
    return kinds


def _prefix_sums(stream: _Hashes) -> tuple[_Hashes, _Hashes]:
    """Sums of (code + 1) * BASE**position before each position, and BASE**-position, modulo 2**64."""
    # Powers are computed once for some size of streams.
    up, inverse = powers(1 << len(stream).bit_length())
    prefix = np.zeros(len(stream) + 1, np.uint64)
    np.cumsum((stream + np.uint64(1)) * up[: len(stream)], out=prefix[1:])
    return prefix, inverse[: len(stream) + 1]


@functools.lru_cache(maxsize=4)
def powers(num: int) -> tuple[_Hashes, _Hashes]:
    """The first powers of BASE and of its inverse, modulo 2**64.

    Args:
        num: How many, at least 1.
    """
    up, inverse = (np.full(num, base, np.uint64) for base in (BASE, _BASE_INVERSE))
    up[0] = inverse[0] = 1
    return np.cumprod(up), np.cumprod(inverse)


def _bucket(hashes: _Hashes, buckets: int) -> _Hashes:
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(MIX_1)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(MIX_2)
    high, divisor = (hashes ^ (hashes >> np.uint64(31))) >> _HALF, np.uint64(buckets - 1)
    # Division by one number is faster than the remainder.
    return high - high // divisor * divisor + np.uint64(1)
