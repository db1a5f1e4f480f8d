"""Finds labelled rows that are nearly copies of each other, as several rows of one author, patient or template are.

Only what hardly occurs by chance counts: texts of five words or more that share half of their sequences of three words,
table rows whose numbers are nearly equal in so many directions that no two rows should be, and small sets of table rows
that are far from all others (`sets_apart`). Images are not searched.
"""

import re

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.data.examples import Examples
from overproof.data.labelled.sets_apart import sets_apart
from overproof.data.repeats import repeats_in

MOST = 5_000
"""So many examples are searched, the first ones: a few seconds."""
SHARED = 0.5
"""Share of the sequences of three words in either of two texts that nearly equal texts have in common."""
SKETCH = 16
"""Texts are first compared by so many of their sequences, those of the smallest hashes."""
SHARED_OF_SKETCH = 3
"""So many of these they must have in common; texts that share half of all have about eleven."""
MOST_TEXTS_OF_A_SEQUENCE = 50
"""A sequence of more texts than this is a common phrase."""
TOLERANCE = 0.02
"""Numbers that differ by no more than this share of their column's standard deviation are nearly equal."""
MOST_BY_CHANCE = 0.1
"""Rows of a table are searched if no more pairs than this are expected to be nearly equal by chance."""
FEWEST_NUMBERS = 3
"""Columns of many different numbers that a table must have."""
FEWEST_SETS = 5
"""Sets apart from all other rows that a table must have; fewer are clusters."""

Pairs = NDArray[np.int64]


def near_copies(examples: Examples) -> list[Int64[Tensor, "_"]]:
    """Sets of examples of different content that are nearly equal to each other, and in no common group.

    Args:
        examples: N examples, of which the first `MOST` are searched.

    Returns:
        The rows of each set, ascending, at least two.

    Example:
        >>> from overproof.data import from_arrays
        >>> texts = ["it is a good film to see", "so it goes on and on in the end", "It is a good film to see!"]
        >>> [rows.tolist() for rows in near_copies(from_arrays(texts))]
        [[0, 2]]
    """
    repeats = repeats_in(examples)
    rows = repeats.once[:MOST]
    some = examples.take(rows)
    if some.kind == "text":
        pairs = _near_texts(some.inputs)
    elif some.kind == "table":
        pairs = _near_rows(some.inputs, some.label.numpy())
    else:
        return []
    group = repeats.group[rows].numpy()
    pairs = pairs[group[pairs[:, 0]] != group[pairs[:, 1]]]
    found = _sets(pairs, len(rows))
    names, sizes = np.unique(found, return_counts=True)
    return [rows[torch.from_numpy(np.flatnonzero(found == name))] for name in names[sizes > 1]]


def _sets(pairs: Pairs, num: int) -> NDArray[np.int64]:
    """The least row that each of some rows is connected with by pairs."""
    found = np.arange(num)
    while len(pairs):
        least = np.minimum(found[pairs[:, 0]], found[pairs[:, 1]])
        before = found.copy()
        np.minimum.at(found, pairs.reshape(-1), np.repeat(least, 2))
        found = found[found]
        if np.array_equal(before, found):
            break
    return found


def _near_texts(texts: pa.Array) -> Pairs:
    """Pairs of texts that share half of their sequences of three words."""
    words = [re.findall(r"\w+", text.casefold()) for text in texts.to_pylist()]
    vocabulary: dict[str, int] = {}
    sets = [_sequences(np.array([vocabulary.setdefault(word, len(vocabulary)) for word in each])) for each in words]
    sketches = [each[:SKETCH] for each in sets]
    owner = np.repeat(np.arange(len(sets)), [len(each) for each in sketches])
    pairs = _sharing(np.concatenate([np.empty(0, np.uint64), *sketches]), owner, SHARED_OF_SKETCH)
    kept = []
    for first, second in pairs.tolist():
        smaller, larger = sorted((len(sets[first]), len(sets[second])))
        if smaller < SHARED * larger:
            continue
        common = len(np.intersect1d(sets[first], sets[second], assume_unique=True))
        if common >= SHARED * (smaller + larger - common):
            kept.append((first, second))
    return np.array(kept, np.int64).reshape(-1, 2)


def _sequences(words: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hashes of the sequences of three words, ascending; none of a text of fewer than five words."""
    if len(words) < 5:
        return np.empty(0, np.uint64)
    numbers = words.astype(np.uint64) + np.uint64(1)
    mixed = _mixed(_mixed(_mixed(numbers[:-2]) + numbers[1:-1]) + numbers[2:])
    return np.unique(mixed)


def _sharing(values: NDArray[np.uint64], owner: NDArray[np.int64], fewest: int = 1) -> Pairs:
    """Pairs of owners that have so many values in common, of values that few have."""
    order = np.lexsort((owner, values))
    values, owner = values[order], owner[order]
    found = [np.empty((0, 2), np.int64)]
    for step in range(1, MOST_TEXTS_OF_A_SEQUENCE):
        same = values[step:] == values[:-step]
        if not same.any():
            break
        found.append(np.stack([owner[:-step][same], owner[step:][same]], axis=1))
    pairs, times = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return pairs[times >= fewest]


def _near_rows(table: pa.Table, label: NDArray[np.int64]) -> Pairs:
    """Pairs of rows whose numbers are nearly equal, that are equal in all columns but one, or in one set apart."""
    num = len(table)
    numbers, others = [], []
    for name in table.column_names:
        column = table.column(name)
        if (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and column.null_count == 0:
            values = column.cast(pa.float64()).to_numpy()
            if len(np.unique(values)) >= max(20, num / 10):
                numbers.append(values)
                continue
        encoded = _whole(column).dictionary_encode(null_encoding="encode")
        others.append(encoded.indices.to_numpy().astype(np.int64))
    if len(numbers) < FEWEST_NUMBERS:
        return np.empty((0, 2), np.int64)
    scaled = np.stack(numbers, axis=1)
    scaled = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0)
    other = np.stack(others, axis=1) if others else np.empty((num, 0), np.int64)
    return np.concatenate([_close(scaled, other), _equal_but_one(scaled, other), _apart(scaled, other, label)])


def _apart(scaled: NDArray[np.float64], other: NDArray[np.int64], label: NDArray[np.int64]) -> Pairs:
    """Pairs of rows of a set that is far from all others; a set that is a whole class is an easy class."""
    pairs = sets_apart(scaled)
    pairs = pairs[(other[pairs[:, 0]] == other[pairs[:, 1]]).all(axis=1)]
    found = _sets(pairs, len(scaled))
    least, most = np.full(len(found), len(label)), np.full(len(found), -1)
    np.minimum.at(least, found, label)
    np.maximum.at(most, found, label)
    sizes, of_class = np.bincount(found, minlength=len(found)), np.bincount(label + 1)
    whole = (least == most) & (most >= 0) & (sizes == of_class[most + 1])
    pairs = pairs[~whole[found[pairs[:, 0]]]]
    return pairs if len(np.unique(found[pairs[:, 0]])) >= FEWEST_SETS else pairs[:0]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _close(scaled: NDArray[np.float64], other: NDArray[np.int64]) -> Pairs:
    from scipy.spatial import KDTree

    nothing = np.empty((0, 2), np.int64)
    # Along their principal axes columns are uncorrelated, so that chances can be multiplied.
    _, _, axes = np.linalg.svd(scaled, full_matrices=False)
    turned = (scaled @ axes.T)[:, :10]
    radius = TOLERANCE * np.sqrt(scaled.shape[1])
    # The columns themselves as well: where most values of each are equal, the axes hide it.
    chances = (_chances(turned, radius), _chances(scaled, TOLERANCE))
    if max(_expected(each, len(turned)) for each in chances) > MOST_BY_CHANCE:
        return nothing
    pairs = KDTree(turned).query_pairs(radius, output_type="ndarray").astype(np.int64)
    if len(pairs) == 0:
        return nothing
    near = (np.abs(scaled[pairs[:, 0]] - scaled[pairs[:, 1]]) <= TOLERANCE).mean(axis=1) >= 0.9
    return pairs[near & (other[pairs[:, 0]] == other[pairs[:, 1]]).all(axis=1)]


def _chances(values: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """[D], the share of all pairs of rows that are within a radius of each other along each axis."""
    num = len(values)
    ranked = np.sort(values, axis=0).T
    within = [np.searchsorted(each, each + radius, side="right").sum() - num * (num + 1) / 2 for each in ranked]
    return np.array(within) / max(num * (num - 1) / 2, 1)


def _expected(chances: NDArray[np.float64], num: int) -> float:
    """How many pairs of rows are near each other along all axes if the axes are independent."""
    return float(np.prod(chances) * num * (num - 1) / 2)


def _equal_but_one(scaled: NDArray[np.float64], other: NDArray[np.int64]) -> Pairs:
    bits = np.concatenate([scaled.view(np.uint64), other.astype(np.uint64)], axis=1)
    places = np.arange(bits.shape[1], dtype=np.uint64)
    hashed = _mixed(_mixed(bits) + places)
    total, chances = hashed.sum(axis=1), _chances(scaled, 0.0)
    owner = np.arange(len(bits))
    found = [np.empty((0, 2), np.int64)]
    for place in range(bits.shape[1]):
        left = np.delete(chances, place) if place < len(chances) else chances
        if len(left) >= FEWEST_NUMBERS and _expected(left, len(bits)) <= MOST_BY_CHANCE:
            found.append(_sharing(total - hashed[:, place], owner))
    return np.unique(np.concatenate(found), axis=0)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
