"""Inputs that stay on disk: images, texts or table rows in memory-mapped arrays, read when they are needed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.storage.arrays import Arrays, release

InMemory: TypeAlias = Tensor | pa.Array | pa.Table
"""Images uint8 [N, C, H, W], texts as large_string [N], or a table of N rows."""

IDS = "ids"
_PIXELS, _TEXT = "pixels", "text"


def arrays_of(inputs: InMemory, *, gaps: bool) -> dict[str, NDArray[Any]]:
    """Some rows as arrays that can be concatenated with those of other rows of the same types.

    Args:
        inputs: Images become `pixels`; texts `text.bytes` and `text.lengths`; column number i of a table `i.values`,
            or `i.bytes` and `i.lengths` where it holds strings.
        gaps: Whether values may be missing; each column of a table then also has `i.missing`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(inputs, Tensor):
        return {_PIXELS: inputs.numpy()}
    if not isinstance(inputs, pa.Table):
        return strings_of(_TEXT, inputs)
    for index, chunked in enumerate(inputs.columns):
        column = _whole(chunked)
        if gaps:
            arrays[f"{index}.missing"] = column.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_large_string(column.type):
            arrays |= strings_of(str(index), pc.fill_null(column, ""))
        elif not pa.types.is_null(column.type):
            raw = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column.view(_raw(column.type))
            arrays[f"{index}.values"] = pc.fill_null(raw, 0).to_numpy()
    return arrays


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MappedInputs:
    """N examples on disk: a selection of the M rows that a run uses, out of the F rows of the file.

    Args:
        arrays: From `arrays_of`, for all F rows, and `ids` [F, 16], the content id of each.
        types: The columns of a table by name, in order; empty for images and texts.
        used: [M], ascending: the rows of the file that the run uses. What is computed once for all of them, such as
            their encoding, is computed in this order.
        rows: [N], in 0..M-1, into `used`.
    """

    arrays: Arrays
    types: Mapping[str, pa.DataType]
    used: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """All images of the file, [F, C, H, W]."""
        return self.arrays[_PIXELS]

    def take(self, picked: NDArray[np.int64]) -> "MappedInputs":
        """The examples at these positions; nothing is read."""
        return replace(self, rows=self.rows[picked])

    def only(self, names: list[str]) -> "MappedInputs":
        """Some columns of a table."""
        # Arrays are named by the number of their column.
        arrays, places = {IDS: self.arrays[IDS]}, list(self.types)
        for index, name in enumerate(names):
            for suffix in ("values", "bytes", "lengths", "offsets", "missing"):
                if (found := f"{places.index(name)}.{suffix}") in self.arrays:
                    arrays[f"{index}.{suffix}"] = self.arrays[found]
        return replace(self, arrays=arrays, types={name: self.types[name] for name in names})

    def settled(self) -> "MappedInputs":
        """The same rows, which become all that the run uses of the file."""
        if np.array_equal(self.rows, np.arange(len(self.used))):
            return self
        used, rows = np.unique(self.used[self.rows], return_inverse=True)
        return replace(self, used=used, rows=rows)

    def read(self) -> InMemory:
        """All of them, read into memory."""
        rows = self.used[self.rows]
        if _PIXELS in self.arrays:
            return torch.from_numpy(np.asarray(self.arrays[_PIXELS][rows]))
        if not self.types:
            return self._strings(_TEXT, rows)
        return pa.table({name: self._column(str(place), rows) for place, name in enumerate(self.types)})

    def used_ids(self, rows: slice) -> NDArray[Any]:
        """The content ids of some of the M rows that the run uses."""
        return self.arrays[IDS][self.used[rows]].view("V16").reshape(-1)

    def release(self) -> None:
        """Release the page cache that a pass over the arrays has filled."""
        release(self.arrays)

    def _column(self, place: str, rows: NDArray[np.int64]) -> pa.Array:
        kind = list(self.types.values())[int(place)]
        missing = self.arrays[f"{place}.missing"][rows].astype(bool) if f"{place}.missing" in self.arrays else None
        if pa.types.is_null(kind):
            return pa.nulls(len(rows))
        if pa.types.is_large_string(kind):
            words = self._strings(place, rows)
            return words if missing is None else pc.if_else(pa.array(missing), pa.scalar(None, words.type), words)
        raw = pa.array(np.asarray(self.arrays[f"{place}.values"][rows]), mask=missing)
        return raw.cast(kind) if pa.types.is_boolean(kind) else raw.view(kind)

    def _strings(self, place: str, rows: NDArray[np.int64]) -> pa.Array:
        offsets, data = self.arrays[f"{place}.offsets"], self.arrays[f"{place}.bytes"]
        whole = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
        return whole.take(pa.array(rows))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChainedInputs:
    """N rows of several concatenated sets, some of them on disk; nothing is read or copied before `read`.

    Args:
        parts: The sets.
        rows: [N], row numbers in the concatenation.
    """

    parts: tuple[InMemory | MappedInputs, ...]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, picked: NDArray[np.int64]) -> "ChainedInputs":
        """The examples at these positions; nothing is read."""
        return replace(self, rows=self.rows[picked])

    def read(self) -> InMemory:
        """All of them, read into memory."""
        stops = np.cumsum([len(part) for part in self.parts])
        owner = np.searchsorted(stops, self.rows, side="right")
        order = np.argsort(owner, kind="stable")
        pieces = [
            _taken(part, self.rows[order[owner[order] == number]] - (stop - len(part)))
            for number, (part, stop) in enumerate(zip(self.parts, stops, strict=True))
        ]
        back = np.argsort(order)
        if isinstance(pieces[0], Tensor):
            return torch.cat(pieces)[torch.from_numpy(back)]
        if isinstance(pieces[0], pa.Table):
            return pa.concat_tables(pieces, promote_options="permissive").take(pa.array(back)).combine_chunks()
        return pa.concat_arrays(pieces).take(pa.array(back))


def _taken(part: InMemory | MappedInputs, rows: NDArray[np.int64]) -> InMemory:
    if isinstance(part, MappedInputs):
        return part.take(rows).read()
    return part[torch.from_numpy(rows)] if isinstance(part, Tensor) else part.take(pa.array(rows))


def mapped(arrays: Arrays, types: Mapping[str, pa.DataType]) -> MappedInputs:
    """All rows of arrays on disk.

    Args:
        arrays: From `arrays_of`, for all rows, and `ids`.
        types: The columns of a table by name.
    """
    offsets = {
        name.replace("lengths", "offsets"): offsets_of(lengths)
        for name, lengths in arrays.items()
        if name.endswith("lengths")
    }
    everything = np.arange(len(arrays[IDS]))
    return MappedInputs(arrays={**arrays, **offsets}, types=types, used=everything, rows=everything)


def strings_of(place: str, words: pa.Array) -> dict[str, NDArray[Any]]:
    """Strings [N] without nulls as `place.bytes` and `place.lengths`."""
    words = words.cast(pa.large_string())
    offsets = np.frombuffer(words.buffers()[1], np.int64, count=len(words) + 1, offset=8 * words.offset)
    data = words.buffers()[2]
    whole = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return {f"{place}.bytes": whole[offsets[0] : offsets[-1]], f"{place}.lengths": np.diff(offsets)}


def strings_in(arrays: Arrays, place: str) -> pa.Array:
    """The inverse of `strings_of`, without a copy."""
    lengths, data = arrays[f"{place}.lengths"], arrays[f"{place}.bytes"]
    return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets_of(lengths)), pa.py_buffer(data))


def offsets_of(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """[N + 1], the start of each of N pieces of these lengths, the last one being their sum."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, dtype=np.int64, out=offsets[1:])
    return offsets


def _raw(kind: pa.DataType) -> pa.DataType:
    """The number type of the same width, for NumPy."""
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return kind
    return {4: pa.int32(), 8: pa.int64()}[kind.byte_width]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined
