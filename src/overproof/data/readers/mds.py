"""Reads folders of MosaicML Streaming (MDS): `index.json`, and shards of rows whose columns have an encoding each.

Source: github.com/mosaicml/streaming (`streaming.base.format`), whose reader decodes the rows.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from overproof.data.readers.arrays import DAMAGE
from overproof.data.source import FLAG, Source
from overproof.data.wording import at_row, listed, reason
from overproof.errors import InputError

INDEX = "index.json"
"""The file beside the shards that names them in the order of their rows."""

_IMAGES = ("bytes", "jpeg", "png")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(_IMAGES, pa.large_binary()),
    "str": pa.large_string(),
    **{word: pa.type_for_alias(word) for word in _INTEGERS},
    **dict.fromkeys(("int", "str_int"), pa.int64()),
    **dict.fromkeys(("float16", "float32"), pa.float32()),
    **dict.fromkeys(("float64", "str_float", "str_decimal"), pa.float64()),
}
"""The encodings that are read. None of them runs code: `pkl` would."""
_CODECS = {"zstd": "zstd", "gz": "gzip", "bz2": "bz2", "br": "brotli"}
_PACKAGE = "mosaicml-streaming"


def shards_of(folder: Path, name: str) -> list[Path]:
    """The shards of a folder in the order of their rows; of each the unpacked file, where there is one.

    Args:
        folder: Contains `index.json`.
        name: Name of the data in error messages.

    Raises:
        InputError: `index.json` is damaged or of another format, a column has an encoding that is not read, or a shard
            is not in the folder.
    """
    found = []
    for entry in _entries(folder / INDEX, name):
        words = [info["basename"] for info in (entry["raw_data"], entry["zip_data"]) if info is not None]
        there = [file for word in words if (file := folder / word).is_file()]
        if not there:
            raise InputError(
                f"{name} has no file {listed(words)}, which its {INDEX} names; copy all shards into the folder first."
            )
        found.append(there[0])
    return found


def read_mds(path: Path, source: Source, name: str) -> pa.Table:
    """All rows of a shard: texts, numbers, and images as the bytes of their file.

    Args:
        path: The shard, also compressed, beside its `index.json`.
        source: The limit of bytes.
        name: Name of the shard in error messages.

    Raises:
        InputError: The shard or `index.json` is damaged, or they do not belong together; a column has an encoding that
            is not read; the package mosaicml-streaming is not installed; too many bytes.
    """
    if not path.with_name(INDEX).is_file():
        raise InputError(f"{name} has no {INDEX} beside it, which says how its rows are written; copy it there.")
    entry = next((each for each in _entries(path.with_name(INDEX), name) if path.name in _names(each)), None)
    if entry is None:
        raise InputError(f"{name} is not named in the {INDEX} beside it; a whole folder of shards is needed.")
    try:
        from streaming.base.format import reader_from_json
        from streaming.base.hashing import get_hash, is_hash
    except Exception as error:
        why = "" if isinstance(error, ImportError) else f" ({reason(error)})"
        raise InputError(
            f"{name} is a shard of MosaicML Streaming (MDS): pip install {_PACKAGE} to read it here{why}; or "
            f"write Parquet where it is: `import pyarrow as pa, pyarrow.parquet as pq, streaming; pq.write_table("
            f"pa.Table.from_pylist(list(streaming.LocalDataset(local={str(path.parent)!r}))), 'rows.parquet')`."
        ) from None
    data = _unpacked(path, entry, source, name)
    for word, digest in entry["raw_data"].get("hashes", {}).items():
        if not is_hash(word):
            raise InputError(f"{name} has a checksum of the kind {word!r}, which {_PACKAGE} does not know.")
        if get_hash(word, data) != digest:
            raise InputError(f"{name} has another {word} than its {INDEX} says; it is damaged: copy it again.")
    try:
        rows = _rows(data, entry)
        # The files of images are kept as they are, and decoded with all others.
        plain = ["bytes" if word in _IMAGES else word for word in entry["column_encodings"]]
        reader = reader_from_json(str(path.parent), None, {**entry, "column_encodings": plain})
        values = [reader.decode_sample(row) for row in rows]
        return pa.table({column: _column(values, column, word) for column, word in _columns(entry).items()})
    except (*DAMAGE, AssertionError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{name} is no shard of MDS, or damaged ({reason(error)}); copy it again.") from None


def _column(values: list[dict[str, Any]], column: str, encoding: str) -> pa.Array:
    kind = _TYPES[encoding]
    number = float if pa.types.is_floating(kind) else int if pa.types.is_integer(kind) else None
    return pa.array([each[column] if number is None else number(each[column]) for each in values], kind)


def _columns(entry: dict[str, Any]) -> dict[str, str]:
    """The encoding of each column."""
    return dict(zip(entry["column_names"], entry["column_encodings"], strict=True))


def _names(entry: dict[str, Any]) -> list[str]:
    return [info["basename"] for info in (entry["raw_data"], entry["zip_data"]) if info is not None]


def _entries(path: Path, name: str) -> list[dict[str, Any]]:
    """What `index.json` says of each shard, checked before anything of a shard is read."""
    try:
        content = json.loads(path.read_bytes())
        entries = [{"zip_data": None, "compression": None, **each} for each in content["shards"]]
        for entry in entries:
            if content["version"] != 2 or entry["version"] != 2 or entry["format"] != "mds":
                raise InputError(
                    f"{name} is written in format {entry['format']!r} of version {entry['version']!r} by its {INDEX}; "
                    f"'mds' of version 2 is read."
                )
            whole = isinstance(entry["samples"], int) and len(entry["column_sizes"]) == len(entry["column_names"])
            infos = [info for info in (entry["raw_data"], entry["zip_data"]) if info is not None]
            names = [info["basename"] for info in infos if isinstance(info["bytes"], int)]
            if not whole or entry["raw_data"] is None or len(names) < len(infos):
                raise ValueError("a shard is not described whole")
            if odd := [word for word in names if Path(word).name != word or ".mds" not in word]:
                raise InputError(
                    f"{name} names the shard {odd[0]!r} in its {INDEX}; a file beside it is read: name the folder that "
                    f"holds the shards."
                )
            _check_encodings(_columns(entry), name)
            if len(_columns(entry)) < len(entry["column_names"]):
                raise ValueError("a column is named twice")
        if not entries:
            raise ValueError("no shard is named")
    except InputError:
        raise
    except (*DAMAGE, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: {INDEX} is damaged ({reason(error)}); that of {_PACKAGE} is needed.") from None
    return entries


def _check_encodings(columns: dict[str, str], name: str) -> None:
    for column, word in columns.items():
        if word == "pkl":
            raise InputError(
                f"{name} has pickles in column {column!r} (encoding 'pkl'), which can run code when they are read, and "
                f"are not; write the shards again without it, as text or numbers."
            )
        if word not in _TYPES:
            raise InputError(
                f"{name} has the encoding {word!r} in column {column!r}; write the shards again with one of "
                f"{listed(_TYPES, limit=len(_TYPES))}."
            )


def _unpacked(path: Path, entry: dict[str, Any], source: Source, name: str) -> bytes:
    """The bytes of a shard, as many as `index.json` says."""
    size: int = entry["raw_data"]["bytes"]
    if size > source.max_unpacked_gb * 1e9:
        raise InputError(
            f"{name} has {size / 1e9:.3g} GB, and {source.max_unpacked_gb:g} are allowed; set `max_unpacked_gb` to "
            f"more ({FLAG})."
        )
    codec = None
    if path.name != entry["raw_data"]["basename"]:
        codec = _CODECS.get(str(entry["compression"]).partition(":")[0])
        if codec is None:
            raise InputError(
                f"{name} is compressed with {entry['compression']!r}; {listed(_CODECS)} are read: unpack it, or "
                f"write it again."
            )
    try:
        with path.open("rb") as file:
            data: bytes = (pa.CompressedInputStream(pa.PythonFile(file), codec) if codec else file).read(size + 1)
    except (*DAMAGE, pa.ArrowException) as error:
        raise InputError(f"{name} cannot be unpacked ({reason(error)}); copy it again.") from None
    if len(data) != size:
        more = "more than " if len(data) > size else f"{len(data)} of "
        raise InputError(f"{name} has {more}the {size} bytes that its {INDEX} says; it is damaged: copy it again.")
    return data


def _rows(data: bytes, entry: dict[str, Any]) -> list[bytes]:
    """The bytes of each row, in order; a shard that is not as `index.json` says is an error."""
    num = int(np.frombuffer(data, "<u4", 1)[0])
    starts = np.frombuffer(data, "<u4", num + 1, 4).astype(np.int64)
    if num != entry["samples"] or starts[0] < 4 * (num + 2) or np.any(np.diff(starts) < 0) or starts[-1] != len(data):
        raise ValueError(f"its rows are not the {entry['samples']} of {INDEX}")
    written = json.loads(data[4 * (num + 2) : starts[0]])
    # The options in the shard are those in the index, so that its content alone decides how it is read.
    if odd := [word for word in ("column_names", "column_encodings", "column_sizes") if written[word] != entry[word]]:
        raise ValueError(f"{odd[0]} differ from those of {INDEX}")
    rows = [data[start:end] for start, end in pairwise(starts)]
    fixed = sum(size for size in entry["column_sizes"] if size)
    num_free = sum(not size for size in entry["column_sizes"])
    for index, row in enumerate(rows):
        # The package's reader cuts values that go beyond the end of a row.
        if fixed + 4 * num_free + int(np.frombuffer(row, "<u4", num_free).sum(dtype=np.int64)) != len(row):
            raise ValueError(f"{at_row(index)} is not as long as its values")
    return rows
