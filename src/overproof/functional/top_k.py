"""Selects the rows with the highest scores, exactly, from arrays larger than memory; the selectors are built on it.

A column is anything with a length that returns NumPy arrays for slices and row numbers: an array, a memory map, or
numbers computed when read. Memory grows with the number of selected rows, not with the number of rows read.

1. A threshold for every class, slightly too low, is estimated from a sample.
2. One pass keeps the rows above their class's threshold and counts those equal to it.
3. The kept rows are cut to the quota by a partial sort. If ties *at* the threshold must be cut, a second pass takes
   those whose ids have the smallest hashes. If the threshold was too high, the pass is repeated with a lower one.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from overproof.errors import InputError
from overproof.seeds import hasher

BLOCK_ROWS = 2**16
"""Rows read at once: few enough that a block stays in the processor's cache while it is read several times."""

SAMPLE_ROWS = 2**16
"""Rows in the sample; more where there are very many classes."""

SAMPLE_ROWS_PER_CLASS = 1024

DEVIATIONS = 5.0
"""A threshold is first set too low by so many standard deviations of the sample, so that one pass is nearly always
enough."""

DENSE = 8
"""A block is processed row by row if fewer than one of so many rows are kept, and as a whole otherwise."""

RowIndices = NDArray[np.int64]
Words = NDArray[np.uint64]


@runtime_checkable
class NumericColumn(Protocol):
    """One number a row."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> NDArray[Any]: ...


def highest(
    score: NumericColumn,
    quotas: NDArray[np.int64],
    order: NumericColumn,
    group: NumericColumn | None = None,
    *,
    origin: str = "score",
) -> RowIndices:
    """The row numbers of the highest scores, of every class as many as its quota, in ascending order.

    Rows with equal scores are taken in the order of `order`, then by row number.

    Args:
        score: [N], real numbers.
        quotas: [K], number of rows of each class; there must be at least so many.
        order: [N], unsigned 64-bit hashes that break ties.
        group: [N], the class of every row, 0..K-1; None if K is 1.
        origin: Name of the scores in error messages.

    Raises:
        InputError: A score is NaN.
    """
    sampled = _sampled_rows(len(score), len(quotas))
    samples = _by_class(score[sampled], None if group is None else group[sampled], len(quotas))
    chosen, pending, slack = [], quotas > 0, 1.0
    while pending.any():
        limits = _limits(samples, quotas, len(score) / len(sampled), pending, slack)
        above, on_limit = _above(score, group, limits, origin)
        enough = np.array([len(rows) for rows, _ in above]) + on_limit >= quotas
        wanted = np.zeros_like(quotas)
        for index in np.flatnonzero(pending & enough):
            rows, values = above[index]
            missing = quotas[index] - len(rows)
            if missing > 0:
                wanted[index] = missing
            else:
                rows = rows[_cut(values, rows, int(quotas[index]), order)]
            chosen.append(rows)
        if wanted.any():
            chosen.append(_first_tied(score, group, limits, wanted, on_limit, order))
        pending = pending & ~enough
        slack *= 4
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def lowest(order: NumericColumn, budget: int) -> RowIndices:
    """The row numbers of the smallest 64-bit hashes, in ascending order; of equal ones the first.

    Args:
        order: [N], unsigned 64-bit hashes.
        budget: Number of rows, in 0..N.
    """
    return highest(_Reversed(order), np.array([budget]), order)


class _Reversed:
    def __init__(self, order: NumericColumn) -> None:
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, rows: Any) -> Words:
        return ~self.order[rows]


def numbers(values: Any) -> NumericColumn:
    """An array, a memory map or a tensor as a column; half precision is widened block by block."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    array = np.asarray(values)  # also of a memory map, whose slices are slower
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    return _Widened(array) if array.dtype == np.float16 else array


class _Widened:
    """Half precision converted to single, which processors compare faster."""

    def __init__(self, values: NDArray[np.float16]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        return self.values[rows].astype(np.float32)


class Hashed:
    """A 64-bit hash of every id, computed when read: a random order of the rows that does not depend on the file's.

    Args:
        ids: [N], content ids (`Examples.ids`), whole numbers, or texts; None uses the row numbers.
        num_rows: N.
        seed: Each seed gives another order.
    """

    def __init__(self, ids: Any, num_rows: int, seed: int = 0) -> None:
        self.words = None if ids is None else words_of(ids)
        self.num_rows = num_rows
        self.seed = mixed(np.array([seed], np.int64).view(np.uint64))

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, rows: Any) -> Words:
        if self.words is not None:
            words = self.words[rows]
        elif isinstance(rows, slice):
            words = np.arange(*rows.indices(self.num_rows), dtype=np.int64)
        else:
            words = rows
        return mixed(words.view(np.uint64) ^ self.seed)


def words_of(ids: Any) -> NDArray[np.int64]:
    """One 64-bit integer for every id.

    For content ids, which are hashes, their first eight bytes (without a copy; also from hex). Whole numbers are used
    unchanged; for anything else it is a hash of the text.

    Args:
        ids: [N].
    """
    if isinstance(ids, Tensor):
        ids = ids.detach().cpu().numpy()
    if isinstance(ids, np.ndarray) and ids.dtype == "V16":
        return np.ascontiguousarray(ids).view("<i8")[::2]
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        return ids.astype(np.int64, copy=False)
    texts = [str(each) for each in (ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else ids)]
    return np.array([_word(text) for text in texts], np.int64)


def _word(text: str) -> int:
    if len(text) == 32:
        try:
            return int.from_bytes(bytes.fromhex(text)[:8], "little", signed=True)
        except ValueError:
            pass
    return int.from_bytes(hasher(text.encode(), num_bytes=8).digest(), "little", signed=True)


def mixed(words: Words) -> Words:
    """The finaliser of splitmix64: a bijection, so different words never share a hash."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    shifted = words >> np.uint64(30)
    words ^= shifted
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= np.right_shift(words, np.uint64(27), out=shifted)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= np.right_shift(words, np.uint64(31), out=shifted)
    return words


# The steps ----------------------------------------------------------------------------------------------------------


def _blocks(num_rows: int) -> Iterator[slice]:
    for start in range(0, num_rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, num_rows))


def _sampled_rows(num_rows: int, num_classes: int) -> RowIndices:
    """One random row from each of many equal intervals: like a random sample, and better if the scores are sorted."""
    size = min(num_rows, max(SAMPLE_ROWS, SAMPLE_ROWS_PER_CLASS * num_classes))
    places = (np.arange(size) + np.random.default_rng(0).random(size)) * (num_rows / max(size, 1))
    return places.astype(np.int64).clip(max=max(num_rows - 1, 0))


def _by_class(values: NDArray[Any], classes: NDArray[Any] | None, num_classes: int) -> list[NDArray[Any]]:
    """The values of each class, in descending order."""
    if classes is None:
        return [np.sort(values)[::-1]]
    order = np.lexsort((values, classes))
    ends = np.searchsorted(classes[order], np.arange(num_classes + 1))
    return [values[order[start:end]][::-1] for start, end in pairwise(ends)]


def _limits(
    samples: list[NDArray[Any]],
    quotas: NDArray[np.int64],
    rows_per_sample: float,
    pending: NDArray[np.bool_],
    slack: float,
) -> NDArray[Any]:
    """For each class an estimated threshold with slightly more rows above it than the quota.

    Minus infinity if the sample is too small: that is cheap, because the class is then rare, or nearly all of it is
    selected.
    """
    dtype = samples[0].dtype
    least, most = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    limits = np.full(len(quotas), least, dtype)
    limits[~pending] = most
    for index in np.flatnonzero(pending):
        rank = quotas[index] / rows_per_sample
        rank = int(rank + slack * DEVIATIONS * (1 + rank**0.5)) + 1
        if rank < len(samples[index]):
            limits[index] = samples[index][rank]
    return limits


def _above(
    score: NumericColumn, group: NumericColumn | None, limits: NDArray[Any], origin: str
) -> tuple[list[tuple[RowIndices, NDArray[Any]]], NDArray[np.int64]]:
    """For each class the rows above its limit with their scores, and the number of rows equal to it."""
    on_limit = np.zeros(len(limits), np.int64)
    kept: list[tuple[RowIndices, NDArray[Any], NDArray[Any]]] = []
    for block in _blocks(len(score)):
        values = score[block]
        refuse_nan(values, block.start, origin)
        classes: Any = 0 if group is None else group[block]
        limit = limits[classes]
        reached = values >= limit
        if np.count_nonzero(reached) > len(values) // DENSE:
            above = values > limit
            on_limit += _counts(classes, reached ^ above, len(limits))
            places = np.flatnonzero(above)
        else:
            places = np.flatnonzero(reached)
            above = values[places] > (limit if group is None else limit[places])
            on_limit += _counts(classes if group is None else classes[places], ~above, len(limits))
            places = places[above]
        kept.append((places + block.start, values[places], places[:0] if group is None else classes[places]))
    rows, values, classes = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    if group is None:
        return [(rows, values)], on_limit
    order = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[order], np.arange(len(limits) + 1))
    parts = [order[start:end] for start, end in pairwise(ends)]
    return [(rows[part], values[part]) for part in parts], on_limit


def _counts(classes: Any, chosen: NDArray[np.bool_], num_classes: int) -> NDArray[np.int64]:
    """Number of chosen rows by class; `classes` is 0 if there is only one."""
    if num_classes == 1:
        return np.array([np.count_nonzero(chosen)])
    return np.bincount(classes[chosen], minlength=num_classes)


def _cut(values: NDArray[Any], rows: RowIndices, quota: int, order: NumericColumn) -> RowIndices:
    """Positions of the highest values among some rows, ascending; ties are broken by `order`."""
    if len(rows) == quota:
        return np.arange(quota)
    last = np.partition(values, len(values) - quota)[len(values) - quota]
    surely, tied = np.flatnonzero(values > last), np.flatnonzero(values == last)
    first = np.argsort(order[rows[tied]], kind="stable")[: quota - len(surely)]
    return np.concatenate([surely, tied[first]])


def _first_tied(
    score: NumericColumn,
    group: NumericColumn | None,
    limits: NDArray[Any],
    wanted: NDArray[np.int64],
    on_limit: NDArray[np.int64],
    order: NumericColumn,
) -> RowIndices:
    """Of the rows equal to their class's limit, as many as wanted, by smallest hash."""
    chosen, slack = [], 1.0
    while wanted.any():
        # Hashes are uniform, so the threshold follows from the counts.
        share = (wanted + slack * DEVIATIONS * (1 + np.sqrt(wanted))) / np.maximum(on_limit, 1)
        heights = np.array([min(int(each * 2**64), 2**64 - 1) for each in share.tolist()], np.uint64)
        kept = []
        for block in _blocks(len(score)):
            classes: Any = 0 if group is None else group[block]
            tied = score[block] == limits[classes]
            if group is not None:
                tied &= wanted[classes] > 0
            if np.count_nonzero(tied) > len(tied) // DENSE:
                hashes = order[block]
                low = np.flatnonzero((hashes <= heights[classes]) & tied)
                hashes, places = hashes[low], low
            else:
                places = np.flatnonzero(tied)
                hashes = order[places + block.start]
                low = np.flatnonzero(hashes <= heights[classes if group is None else classes[places]])
                hashes, places = hashes[low], places[low]
            kept.append((places + block.start, hashes, np.broadcast_to(classes, len(tied))[places]))
        rows, hashes, classes = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        for index in np.flatnonzero(wanted):
            mine = np.flatnonzero(classes == index)
            if len(mine) >= wanted[index]:
                first = np.argsort(hashes[mine], kind="stable")[: wanted[index]]
                chosen.append(rows[mine[first]])
                wanted[index] = 0
        slack *= 4
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def refuse_nan(values: NDArray[Any], start: int, origin: str) -> None:
    """Check that a block of scores, which starts at row `start`, has no NaN.

    Raises:
        InputError: It has one; the message has its row.
    """
    if values.dtype.kind != "f" or len(values) == 0:
        return
    with np.errstate(invalid="ignore"):
        highest_value = values.max()  # NaN if any is
    if highest_value != highest_value:
        row = start + int(np.argmax(np.isnan(values)))
        raise InputError(f"{origin}, row {row} (counted from 0): the score is NaN; every row needs a number.")
