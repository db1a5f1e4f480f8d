"""Content ids: the same image, text or table row has the same id in any file, order or format.

An id is the BLAKE2b-128 hash of a header with the kind of the row, followed by the row's canonical bytes. Labels and
the user's own ids are not part of it. Two different rows among a billion share an id with probability below 2e-21.
"""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from overproof import seeds

ID = np.dtype("V16")
"""NumPy's type of an id: sixteen bytes."""

_CELL_BYTES = 17
_BLOCK_ROWS = 65_536
_INTEGER, _REAL, _BOOLEAN, _STRING, _MOMENT = range(1, 6)


def image_ids(images: UInt8[Tensor, "N C H W"]) -> np.ndarray:
    """Ids of images: header (channels, height, width), then the pixels, channel by channel.

    Args:
        images: [N, C, H, W], uint8.

    Returns:
        [N], dtype V16.
    """
    header = b"image" + struct.pack("<3I", *images.shape[1:])
    return _hashed(header, images.contiguous().numpy().reshape(len(images), -1))


def text_ids(texts: pa.Array) -> np.ndarray:
    """Ids of texts: their UTF-8 bytes, unchanged (no normalisation of case, space or accents).

    Args:
        texts: [N], strings without nulls.

    Returns:
        [N], dtype V16.
    """
    return _hashed(b"text", texts.cast(pa.large_binary()).to_numpy(zero_copy_only=False))


def table_ids(table: pa.Table) -> np.ndarray:
    """Ids of table rows: header (sorted column names), then one canonical cell per column in that order.

    A number is written by its value, so 3 and 3.0 are the same cell whatever the type of their columns: a row keeps its
    id if it is read from two CSV files, one of which has only whole numbers. Null and NaN are the same missing value.
    The order of rows and columns, chunks and dictionary encoding do not matter.

    Args:
        table: N rows of numbers, booleans, strings and points in time (microseconds).

    Returns:
        [N], dtype V16.
    """
    names = sorted(table.column_names)
    header = b"table" + b"".join(struct.pack("<I", len(name.encode())) + name.encode() for name in names)
    # In blocks, because every canonical cell takes 17 bytes.
    blocks = [
        _hashed(header, np.concatenate([_cells(_combined(block.column(name))) for name in names], axis=1))
        for block in (table.slice(start, _BLOCK_ROWS) for start in range(0, len(table), _BLOCK_ROWS))
    ]
    return np.concatenate([np.empty(0, ID), *blocks])


def digest(kind: str, ids: np.ndarray) -> str:
    """Hash of a whole data set: hex BLAKE2b-128 of its kind and its ids in order.

    Args:
        kind: "image", "text" or "table".
        ids: [N], dtype V16.
    """
    found = seeds.hasher(kind.encode() + b"\0")
    seeds.add_rows(found, ids)
    return found.hexdigest()


def digest_of_sets(*ids: np.ndarray) -> str:
    """Hash of several data sets: hex BLAKE2b-128 of their ids in order.

    Args:
        ids: [N], dtype V16, of each set.
    """
    return seeds.digest(b"".join(each.tobytes() for each in ids))


def _hashed(header: bytes, rows: Iterable[Any]) -> np.ndarray:
    start = seeds.hasher(header)
    digests = bytearray()
    for row in rows:
        state = start.copy()
        state.update(row)
        digests += state.digest()
    return np.frombuffer(bytes(digests), ID)


def _combined(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _cells(column: pa.Array) -> UInt8[np.ndarray, "N 17"]:
    """Canonical bytes of a column's values: a tag, then the value itself, or the hash of a string."""
    cells = np.zeros((len(column), _CELL_BYTES), np.uint8)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return cells
    present = pc.is_valid(column).to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(column.type):
        cells[:, 0] = _BOOLEAN
        cells[:, 1] = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    elif pa.types.is_timestamp(column.type):
        cells[:, 0] = _MOMENT
        cells[:, 1:9] = _bytes_of(pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), 0).to_numpy())
    elif pa.types.is_integer(column.type):
        whole = pc.fill_null(column, 0).to_numpy()
        cells[:, 0] = _INTEGER
        # The sign has its own byte: -1 and 2**64 - 1 have the same eight bytes.
        cells[:, 1:9] = _bytes_of(whole.astype(np.uint64))
        cells[:, 9] = whole < 0
    elif pa.types.is_floating(column.type):
        real = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()
        present = ~np.isnan(real)
        whole = present & (np.abs(real) < 2.0**63)
        whole[whole] = np.floor(real[whole]) == real[whole]
        cells[:, 0] = np.where(whole, _INTEGER, _REAL)
        cells[:, 1:9] = _bytes_of(real)
        cells[whole, 1:9] = _bytes_of(real[whole].astype(np.int64))
        cells[whole, 9] = real[whole] < 0
    else:
        encoded = column.cast(pa.large_string()).dictionary_encode()
        digests = _hashed(b"", encoded.dictionary.cast(pa.large_binary()).to_numpy(zero_copy_only=False))
        cells[:, 0] = _STRING
        which = encoded.indices.fill_null(0).to_numpy()
        if len(digests):
            cells[:, 1:] = digests.view(np.uint8).reshape(-1, 16)[which]
    cells[~present] = 0
    return cells


def _bytes_of(values: NDArray[np.generic]) -> UInt8[np.ndarray, "N 8"]:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(-1, 8)
