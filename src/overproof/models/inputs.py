"""Encoded examples, from which batches are taken: dense or ragged, in memory or on disk, whole or joined."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F


@runtime_checkable
class Inputs(Protocol):
    """N encoded examples; `take` returns a batch for a module's `forward`."""

    def __len__(self) -> int: ...

    def take(self, rows: Int[Tensor, "B"]) -> Tensor:
        """The batch of these rows, the first axis being [B]."""
        ...

    def to(self, device: torch.device) -> "Inputs":
        """The same inputs on another device."""
        ...


@runtime_checkable
class Batches(Protocol):
    """`Inputs`, or sets of features whose batches are also sets of features: the data of the training loop."""

    def __len__(self) -> int: ...

    def take(self, rows: Int[Tensor, "B"]) -> "Tensor | Ragged":
        """The batch of these rows."""
        ...

    def to(self, device: torch.device) -> "Batches":
        """The same on another device."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dense:
    """Examples of one shape.

    Args:
        values: [N, ...], any type; images stay uint8.

    Example:
        >>> Dense(values=torch.tensor([[1.0], [2.0], [3.0]])).take(torch.tensor([2, 0])).tolist()
        [[3.0], [1.0]]
    """

    values: Shaped[Tensor, "N ..."]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Int[Tensor, "B"]) -> Shaped[Tensor, "B ..."]:
        """The values of these rows."""
        # Several times faster than indexing for wide rows.
        return self.values.index_select(0, rows)

    def to(self, device: torch.device) -> "Dense":
        """The same inputs on another device."""
        return Dense(values=self.values.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ragged:
    """Examples that are sets of features of different sizes, concatenated.

    Args:
        values: [T], features of all examples, in 1..2**31 - 1; 0 is reserved for padding.
        offsets: [N + 1], the start of each example; the last is T.
        scale: [N], by what the weights of each example's features are multiplied, where that is known.

    Example:
        >>> values = torch.tensor([7, 8, 9], dtype=torch.int32)
        >>> Ragged(values=values, offsets=torch.tensor([0, 1, 3])).take(torch.tensor([0, 1])).tolist()
        [[7, 0], [8, 9]]
    """

    values: Int32[Tensor, "T"]
    offsets: Int64[Tensor, "N_plus_1"]
    scale: Float32[Tensor, "N"] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Int[Tensor, "B"]) -> Int64[Tensor, "B L"]:
        """The features of these rows, padded with 0 to the longest of them (and to at least one)."""
        part = self.part(rows)
        lengths = part.offsets.diff()
        longest = max(int(lengths.max()), 1) if len(rows) else 1
        padded = torch.zeros(len(rows), longest, dtype=torch.int64, device=lengths.device)
        inside = torch.arange(longest, device=lengths.device) < lengths.unsqueeze(1)
        return padded.masked_scatter_(inside, part.values.long())

    def part(self, rows: Int[Tensor, "B"]) -> "Ragged":
        """The batch of these rows without padding, which for long texts has a third of the numbers.

        Example:
            >>> values = torch.tensor([7, 8, 9], dtype=torch.int32)
            >>> Ragged(values=values, offsets=torch.tensor([0, 1, 3])).part(torch.tensor([1, 0])).values.tolist()
            [8, 9, 7]
        """
        starts, stops = self.offsets.index_select(0, rows), self.offsets.index_select(0, rows + 1)
        lengths = stops - starts
        if not len(rows):
            return Ragged(values=self.values[:0], offsets=_offsets(lengths))
        if self.values.device.type == "cpu":
            # A copy of whole examples is four times as fast as one feature by feature.
            values, ends = self.values.numpy(), zip(starts.tolist(), stops.tolist(), strict=True)
            together = torch.from_numpy(np.concatenate([values[start:stop] for start, stop in ends]))
            return Ragged(values=together, offsets=_offsets(lengths))
        offsets = _offsets(lengths)
        # Feature number f of a row is at the start of the row plus f.
        shift = (starts - offsets[:-1]).repeat_interleave(lengths)
        place = torch.arange(int(offsets[-1]), device=shift.device).add_(shift)
        return Ragged(values=self.values.index_select(0, place), offsets=offsets)

    def per_feature(self, values: Shaped[Tensor, "N ..."]) -> Shaped[Tensor, "T ..."]:
        """What each feature's example has."""
        lengths = self.offsets.diff()
        if values.device.type == "cpu":
            # NumPy's is ten times as fast.
            return torch.from_numpy(np.repeat(values.numpy(), lengths.numpy(), axis=0))
        return values.repeat_interleave(lengths, dim=0)

    def to(self, device: torch.device) -> "Ragged":
        """The same inputs on another device."""
        values, offsets = self.values.to(device), self.offsets.to(device)
        return self if values is self.values else Ragged(values=values, offsets=offsets)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placed:
    """A selection of rows from a shared set of inputs.

    Args:
        inputs: The set.
        place: [N], the row of each example in it.
    """

    inputs: Inputs
    place: Int64[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: Int[Tensor, "B"]) -> Tensor:
        """The batch of these rows."""
        return self.inputs.take(self.place.index_select(0, rows))

    def to(self, device: torch.device) -> "Placed":
        """The same on another device."""
        return replace(self, inputs=self.inputs.to(device), place=self.place.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnDisk:
    """Inputs in memory-mapped arrays, of which only batches are moved to a device.

    Args:
        inputs: Tensors over memory-mapped arrays.
        device: Device of the batches.
    """

    inputs: Dense | Ragged
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Int[Tensor, "B"]) -> Tensor:
        """The batch of these rows, read from disk."""
        return self.inputs.take(rows.cpu()).to(self.device)

    def to(self, device: torch.device) -> "OnDisk":
        """The same with another device for batches."""
        return replace(self, device=device)


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined:
    """The concatenation of several sets of inputs, without a copy.

    Args:
        parts: At least one, all from the same encoder.

    Example:
        >>> parts = [Dense(values=torch.tensor([[1.0]])), Dense(values=torch.tensor([[2.0], [3.0]]))]
        >>> Joined(parts=tuple(parts)).take(torch.tensor([2, 0])).tolist()
        [[3.0], [1.0]]
    """

    parts: tuple[Inputs, ...]

    @cached_property
    def _stops(self) -> Tensor:
        return torch.tensor([len(part) for part in self.parts]).cumsum(0)

    def __len__(self) -> int:
        return int(self._stops[-1])

    def take(self, rows: Int[Tensor, "B"]) -> Tensor:
        """The batch of these rows; sets of features are padded with 0 to the longest of them."""
        places, own = self._owners(rows)
        pieces = [part.take(some) for part, some in zip(self.parts, own, strict=True)]
        rest = [max(sizes) for sizes in zip(*(piece.shape[1:] for piece in pieces), strict=True)]
        # Whole rows are copied, at most twice, which is much faster than a scatter of single numbers.
        together = torch.cat(
            [
                piece if list(piece.shape[1:]) == rest else F.pad(piece, (0, rest[0] - piece.shape[1]))
                for piece in pieces
            ]
        )
        place = torch.cat(places)
        return together if _rise(place) else together.index_select(0, place.argsort())

    def part(self, rows: Int[Tensor, "B"]) -> Ragged:
        """The batch of these rows of sets of features, without padding."""
        places, own = self._owners(rows)
        place = torch.cat(places)
        together = _end_to_end([part_of(part, some) for part, some in zip(self.parts, own, strict=True)])
        return together if _rise(place) else together.part(place.argsort())

    def _owners(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """For each set: the positions of its rows in the batch, and their row numbers in the set."""
        stops = self._stops.to(rows.device)
        owner = torch.bucketize(rows, stops, right=True)
        places = [(owner == number).nonzero()[:, 0] for number in range(len(self.parts))]
        starts = [stop - len(part) for part, stop in zip(self.parts, stops, strict=True)]
        return places, [rows[place] - start for place, start in zip(places, starts, strict=True)]

    def to(self, device: torch.device) -> "Joined":
        """The same inputs on another device."""
        return Joined(parts=tuple(part.to(device) for part in self.parts))


def join(parts: Sequence[Inputs]) -> Dense | Ragged | Joined:
    """The concatenation of all parts: copied if all of them are in memory, otherwise a view.

    Args:
        parts: At least one, all from the same encoder.

    Example:
        >>> part = Dense(values=torch.zeros(2, 3))
        >>> len(join([part, part]))
        4
    """
    dense = [part for part in parts if isinstance(part, Dense)]
    if len(dense) == len(parts):
        return Dense(values=torch.cat([part.values for part in dense]))
    ragged = [part for part in parts if isinstance(part, Ragged)]
    if len(ragged) < len(parts):
        return Joined(parts=tuple(parts))
    return _end_to_end(ragged)


def _end_to_end(parts: Sequence[Ragged]) -> Ragged:
    lengths = torch.cat([part.offsets.diff() for part in parts])
    return Ragged(values=torch.cat([part.values for part in parts]), offsets=_offsets(lengths))


def _offsets(lengths: Tensor) -> Tensor:
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


def _rise(place: Tensor) -> bool:
    return bool((place[1:] > place[:-1]).all())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unpadded:
    """Sets of features whose batches are `Ragged` instead of padded, for a module that reads those.

    Args:
        inputs: Sets of features, in memory or on disk.
        scale: [N], as of `Ragged`; None where it is not known.
    """

    inputs: Inputs
    scale: Float32[Tensor, "N"] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Int[Tensor, "B"]) -> Ragged:
        """The batch of these rows."""
        part = part_of(self.inputs, rows)
        return part if self.scale is None else replace(part, scale=self.scale.index_select(0, rows))

    def to(self, device: torch.device) -> "Unpadded":
        """The same inputs on another device."""
        scale = None if self.scale is None else self.scale.to(device)
        return Unpadded(inputs=self.inputs.to(device), scale=scale)


def is_on_disk(inputs: Inputs) -> bool:
    """Whether a part of some inputs is read from disk with each batch."""
    if isinstance(inputs, Joined):
        return any(is_on_disk(part) for part in inputs.parts)
    return is_on_disk(inputs.inputs) if isinstance(inputs, Placed) else isinstance(inputs, OnDisk)


def part_of(inputs: Inputs, rows: Int[Tensor, "B"]) -> Ragged:
    """The batch of these rows of sets of features, in memory or on disk, without padding."""
    if isinstance(inputs, Ragged | Joined):
        return inputs.part(rows)
    if isinstance(inputs, Placed):
        return part_of(inputs.inputs, inputs.place.index_select(0, rows))
    if isinstance(inputs, OnDisk):
        return part_of(inputs.inputs, rows.cpu()).to(inputs.device)
    padded = inputs.take(rows)
    inside = padded > 0
    return Ragged(values=padded[inside].int(), offsets=_offsets(inside.sum(dim=1)))
