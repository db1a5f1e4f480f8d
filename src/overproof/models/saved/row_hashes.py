"""What rows are recognised by: keyed hashes of what a student reads of them."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import Examples
from overproof.data.ids import text_ids
from overproof.models.encoders import EmbeddingEncoder, Encoder
from overproof.models.inputs import Inputs, Joined, OnDisk, Placed, Ragged, part_of
from overproof.models.saved.near_rows import Grid, fitted_grid, is_numeric, near_words, sample_of
from overproof.seeds import add_rows

_BITS, _AT_A_TIME, _NUMBERS_AT_A_TIME = 40, 2**14, 2**22

Words = NDArray[np.int64]
"""[N], hashes in 0..2**40 - 1."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RowHashes:
    """What N examples are recognised by.

    Args:
        exact: [N], of what the student reads of each.
        near: [N], of the cells that its numbers are in; empty for others than rows of numbers.
        grid: Of these cells; None where `near` is empty for the kind of examples.
    """

    exact: Words
    near: Words
    grid: Grid | None


def key_of(ids: Iterable[NDArray[Any]]) -> bytes:
    """The key for some data, from their content ids.

    Args:
        ids: Of each role.
    """
    state = hashlib.blake2b(b"seen rows", digest_size=16)
    for each in ids:
        add_rows(state, each)
    return state.digest()


def hashes(key: bytes, encoder: Encoder, examples: Examples, grid: Grid | None = None) -> RowHashes:
    """What some examples are recognised by.

    Args:
        key: The key.
        encoder: The student's.
        examples: N examples.
        grid: From `grid_of`; without one, copies with fewer digits are not looked for.

    Raises:
        InputError: They do not fit the student.
    """
    nothing = np.empty(0, np.int64)
    parts = [
        hashes_of(key, encoder, encoder.encode(part), np.empty(0), grid=grid)
        if not isinstance(encoder, EmbeddingEncoder)
        else hashes_of(key, encoder, None, text_ids(part.inputs))
        for part in examples.parts()
    ]
    return RowHashes(
        exact=np.concatenate([nothing, *(each.exact for each in parts)]),
        near=np.concatenate([nothing, *(each.near for each in parts)]),
        grid=grid,
    )


def hashes_of(
    key: bytes,
    encoder: Encoder,
    inputs: Inputs | None,
    ids: NDArray[Any],
    place: Int64[Tensor, "N"] | None = None,
    grid: Grid | None = None,
) -> RowHashes:
    """What examples are recognised by that are encoded already.

    Args:
        key: The key.
        encoder: Which encoded them.
        inputs: The encoded examples; not read for a frozen encoder.
        ids: [N], their content ids; read only for a frozen encoder.
        place: [N], their rows of the inputs; None takes all in order.
        grid: As for `hashes`.
    """
    state = hashlib.blake2b(digest_size=8, key=key)
    exact, near = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    if isinstance(encoder, EmbeddingEncoder):
        exact.append(_hashed(state, np.ascontiguousarray(ids).view(np.uint8).reshape(-1, 16)))
    else:
        assert inputs is not None
        rows = torch.arange(len(inputs)) if place is None else place
        for some in rows.split(_AT_A_TIME) if len(rows) else ():
            if grid is not None and grid.precision:
                pieces = some.split(max(_NUMBERS_AT_A_TIME // max(len(grid.steps), 1), 1))
                near += [near_words(key, grid, encoder, numbers_in(inputs, piece)) for piece in pieces]
            if _is_ragged(inputs):
                part = part_of(inputs, some)
                features, ends = part.values.numpy(), part.offsets.tolist()
                exact.append(_hashed(state, [features[start:stop] for start, stop in pairwise(ends)]))
            else:
                batch = inputs.take(some)
                # So that -0.0 is 0.0.
                batch = batch + 0.0 if batch.is_floating_point() else batch
                exact.append(_hashed(state, batch.contiguous().numpy().view(np.uint8).reshape(len(some), -1)))
    return RowHashes(exact=np.concatenate(exact), near=np.concatenate(near), grid=grid)


def grid_of(encoder: Encoder, inputs: Inputs) -> Grid | None:
    """The grid for the rows of a list; None for others than rows of numbers.

    Args:
        encoder: Which encoded them.
        inputs: The encoded examples.
    """
    if not is_numeric(encoder):
        return None
    num_columns = math.prod(encoder.input_shape)
    sample = torch.from_numpy(sample_of(len(inputs), num_columns))
    rows = numbers_in(inputs, sample) if len(sample) else np.empty((0, num_columns))
    return fitted_grid(encoder, rows, len(inputs))


def numbers_in(inputs: Inputs, rows: Int64[Tensor, "n"]) -> Float64[np.ndarray, "n D"]:
    """Encoded rows of numbers.

    Args:
        inputs: The encoded examples.
        rows: Which.
    """
    found: Float64[np.ndarray, "n D"] = inputs.take(rows).double().reshape(len(rows), -1).numpy()
    return found


def _hashed(state: "hashlib.blake2b", rows: Iterable[Any]) -> Words:
    found = bytearray()
    for row in rows:
        own = state.copy()
        own.update(row)
        found += own.digest()
    return (np.frombuffer(found, "<u8") >> np.uint64(64 - _BITS)).astype(np.int64)


def _is_ragged(inputs: Inputs) -> bool:
    if isinstance(inputs, Joined):
        return _is_ragged(inputs.parts[0])
    if isinstance(inputs, Placed | OnDisk):
        return _is_ragged(inputs.inputs)
    return isinstance(inputs, Ragged)
