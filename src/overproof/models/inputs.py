"""Encoded examples as a module reads them: tensors, taken by row without a Python loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, Int32, Int64, Shaped
from torch import Tensor


@runtime_checkable
class Inputs(Protocol):
    """N encoded examples; `take` gives what a module's `forward` gets."""

    def __len__(self) -> int: ...

    def take(self, rows: Int[Tensor, "B"]) -> Tensor:
        """The batch of these rows, the first axis being [B]."""
        ...

    def to(self, device: torch.device) -> "Inputs":
        """The same inputs on another device."""
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
        # Several times faster than indexing, for rows of many numbers.
        return self.values.index_select(0, rows)

    def to(self, device: torch.device) -> "Dense":
        """The same inputs on another device."""
        return Dense(values=self.values.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ragged:
    """Examples that are sets of features, each of another size, laid end to end.

    Args:
        values: [T], features of all examples, in 1..2**31 - 1; 0 is kept for padding.
        offsets: [N + 1], where each example starts; the last is T.

    Example:
        >>> values = torch.tensor([7, 8, 9], dtype=torch.int32)
        >>> Ragged(values=values, offsets=torch.tensor([0, 1, 3])).take(torch.tensor([0, 1])).tolist()
        [[7, 0], [8, 9]]
    """

    values: Int32[Tensor, "T"]
    offsets: Int64[Tensor, "N_plus_1"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Int[Tensor, "B"]) -> Int64[Tensor, "B L"]:
        """The features of these rows, each padded with 0 to the longest among them (and to one at least)."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        longest = max(int(lengths.max()), 1) if len(rows) else 1
        position = torch.arange(longest, device=lengths.device)
        inside = position < lengths.unsqueeze(1)
        where = (starts.unsqueeze(1) + position).masked_fill_(~inside, 0)
        if not len(self.values):
            return where
        return self.values.index_select(0, where.reshape(-1)).reshape(where.shape).masked_fill_(~inside, 0).long()

    def to(self, device: torch.device) -> "Ragged":
        """The same inputs on another device."""
        return Ragged(values=self.values.to(device), offsets=self.offsets.to(device))


def join(parts: Sequence[Inputs]) -> Dense | Ragged:
    """The examples of all parts, in order, as one.

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
    assert len(ragged) == len(parts), "parts of one kind only"
    lengths = torch.cat([part.offsets.diff() for part in ragged])
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return Ragged(values=torch.cat([part.values for part in ragged]), offsets=offsets)


def as_matrix(inputs: Inputs, rows: Int[Tensor, "B"]) -> Any:
    """Some examples as one matrix, for estimators that know nothing of ours.

    Args:
        inputs: Encoded examples.
        rows: [B], which of them.

    Returns:
        A float32 array [B, D], flattened, bytes scaled to [0, 1]; for sets of features a scipy sparse matrix in which
        each example has length one and rare features weigh more (tf-idf without the tf, counted over all of `inputs`).

    Example:
        >>> two = Ragged(values=torch.tensor([1, 2], dtype=torch.int32), offsets=torch.tensor([0, 1, 2]))
        >>> as_matrix(two, torch.tensor([1])).toarray().tolist()
        [[0.0, 0.0, 1.0]]
    """
    from scipy.sparse import csr_array

    if not isinstance(inputs, Ragged):
        values = inputs.take(rows)
        flat = values.flatten(1).float().numpy()
        return flat / 255 if values.dtype == torch.uint8 else flat
    width = int(inputs.values.max()) + 1 if len(inputs.values) else 1
    num_with = np.bincount(inputs.values.numpy(), minlength=width)
    idf = (np.log((1 + len(inputs)) / (1 + num_with)) + 1).astype(np.float32)
    features = inputs.take(rows).numpy()
    counts = (features > 0).sum(axis=1)
    columns = features[features > 0]
    data = idf[columns]
    where = np.repeat(np.arange(len(rows)), counts)
    length = np.sqrt(np.bincount(where, data.astype(np.float64) ** 2, minlength=len(rows))).astype(np.float32)
    return csr_array((data / length[where], columns, np.concatenate([[0], counts.cumsum()])), shape=(len(rows), width))
