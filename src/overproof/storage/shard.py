"""One shard of a store: a Parquet file with page checksums that describes itself and can be verified alone.

Columns are fixed numbers of bytes a row, so what is read back is what was written, bit for bit. Every shard carries the
header of its store and a digest of its own decoded content: it can be trusted, or refused, without any other file.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.seeds import add_rows, digest, hasher

FORMAT = 1
"""The version of the layout on disk; a store of another version is refused."""

Ids = np.ndarray
"""[N], dtype "V16": the examples' content ids."""

Block = Mapping[str, NDArray[np.uint8]]
"""Rows as they are stored: for each column its bytes, [n, bytes a row]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreKey:
    """Everything that can change what is stored, as text: change any of it and it is another store.

    Args:
        teacher: The model that answers: a digest of its weights, or canonical JSON.
        data: The examples it predicted: `Examples.digest()`.
        transform: What is done to an example before the model sees it.
        code: Kind and number of the format, such as `answers 1` (`overproof.storage.keys`).
    """

    teacher: str
    data: str
    transform: str
    code: str

    @property
    def hex(self) -> str:
        """One fingerprint of the four parts, 32 hex digits."""
        return digest(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode())


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What all shards of a store have in common; every shard carries it, so a shard without a manifest explains itself.

    Args:
        kind: "answers" or "embeddings".
        key: What the rows were computed from.
        classes: Digest of the class names in order.
        ids: Digest of the examples' ids in order.
        num_rows: Rows in the whole store.
        rows_per_shard: Rows in every shard but perhaps the last.
    """

    kind: str
    key: StoreKey
    classes: str
    ids: str
    num_rows: int
    rows_per_shard: int

    def num_shards(self) -> int:
        """How many shards hold all rows: 10 rows in shards of 4 are 3 shards."""
        return -(-self.num_rows // self.rows_per_shard)

    def name(self, index: int) -> str:
        """The file of one shard, from its index and the key alone."""
        return f"{index:06d}-{self.key.hex[:12]}.parquet"

    def rows(self, index: int) -> slice:
        """The rows of one shard."""
        start = index * self.rows_per_shard
        return slice(start, min(start + self.rows_per_shard, self.num_rows))


def digest_of_names(class_names: tuple[str, ...]) -> str:
    """The digest of class names in order."""
    return digest(json.dumps(class_names, ensure_ascii=False).encode())


def difference_of_names(stored: tuple[str, ...], asked: tuple[str, ...]) -> str:
    """What is wrong between two different lists of class names: missing, extra or permuted.

    Example:
        >>> difference_of_names(("cat", "dog"), ("dog", "cat"))
        "the same names in another order (class 0 is 'cat' there and 'dog' here)"
        >>> difference_of_names(("cat", "dog"), ("cat", "cow"))
        "missing there: 'cow'; extra there: 'dog'"
    """
    missing = [name for name in asked if name not in stored]
    extra = [name for name in stored if name not in asked]
    parts = [
        f"{word} there: {', '.join(repr(name) for name in names[:5])}{' …' if len(names) > 5 else ''}"
        for word, names in (("missing", missing), ("extra", extra))
        if names
    ]
    if parts:
        return "; ".join(parts)
    if len(stored) != len(asked):
        return f"a name occurs twice in one of them ({len(stored)} names there, {len(asked)} here)"
    place = next(index for index in range(len(stored)) if stored[index] != asked[index])
    return f"the same names in another order (class {place} is {stored[place]!r} there and {asked[place]!r} here)"


def digest_of_ids(ids: Ids) -> str:
    """The digest of examples' ids in order."""
    found = hasher()
    add_rows(found, ids)
    return found.hexdigest()


def _content_digest(facts: Mapping[str, Any], columns: Block) -> str:
    content = hasher(json.dumps(facts, sort_keys=True).encode())
    for name, column in columns.items():
        content.update(f"{name}:{column.shape[1]};".encode())
        content.update(np.ascontiguousarray(column).data)
    return content.hexdigest()


def encode_shard(header: Header, index: int, ids: Ids, block: Block) -> bytes:
    """The Parquet file of one shard: the same rows are always the same bytes (with one version of pyarrow)."""
    columns = {"id": np.ascontiguousarray(ids).view(np.uint8).reshape(-1, 16), **block}
    facts = {"format": FORMAT, "index": index, **asdict(header)}
    arrays, schema = [], []
    for name, column in columns.items():
        width = pa.binary(column.shape[1])
        buffer = pa.py_buffer(np.ascontiguousarray(column).tobytes())
        arrays.append(pa.FixedSizeBinaryArray.from_buffers(width, len(column), [None, buffer]))
        schema.append(pa.field(name, width, nullable=False))
    sink = pa.BufferOutputStream()
    # zstd 1 saves a third of the bytes; higher levels take up to ten times as long to save 2 % more.
    with pq.ParquetWriter(
        sink,
        pa.schema(schema),
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        write_page_checksum=True,
    ) as writer:
        writer.write_table(pa.table(arrays, schema=pa.schema(schema)), row_group_size=len(ids))
        described = json.dumps({**facts, "content": _content_digest(facts, columns)}, sort_keys=True)
        writer.add_key_value_metadata({"overproof": described})
    return bytes(sink.getvalue())


def decode_shard(data: bytes, path: Path) -> tuple[Header, int, Ids, Block]:
    """`encode_shard` undone: header, index, ids and columns.

    Raises:
        InputError: The bytes are damaged or of another format; it names `path`.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        facts = json.loads(file.metadata.metadata[b"overproof"])
        if facts["format"] != FORMAT:
            raise InputError(f"{path} has format {facts['format']}, and this overproof reads format {FORMAT} only.")
        written = facts.pop("content")
        table = file.read(use_threads=False)
        columns = {name: _bytes_of(table.column(name)) for name in table.column_names}
        if written != _content_digest(facts, columns):
            raise ValueError("its content does not match its digest")
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0].rstrip(".")
        raise InputError(f"{path} is damaged ({reason}): delete this file and run again.") from error
    index, key = facts["index"], StoreKey(**facts["key"])
    header = Header(**{field.name: facts[field.name] for field in fields(Header)} | {"key": key})
    return header, index, columns.pop("id").reshape(-1).view("V16"), columns


def _bytes_of(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    width = column.type.byte_width
    parts = [
        np.frombuffer(part.buffers()[1], np.uint8, count=len(part) * width, offset=part.offset * width)
        for part in column.chunks
    ]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(-1, width)
