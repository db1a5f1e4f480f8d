"""Reads Parquet and Arrow files as Arrow tables."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from pyarrow.lib import ArrowException

from overproof.data.frames import plain_type, with_plain_types
from overproof.data.readers.arrow_sizes import unpacked_bytes
from overproof.data.source import FLAG, MAX_UNPACKED_GB
from overproof.data.wording import listed, reason
from overproof.errors import InputError

_DAMAGE = (ArrowException, OSError, ValueError)
_WIDTH = {"BOOLEAN": 0, "INT64": 8, "DOUBLE": 8, "INT96": 8}
"""Bytes of a value in memory by its type in the file, where they are not 4."""
_UNNAMED_INDEX = "__index_level_"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ParquetRows:
    """A Parquet file, read column by column and optionally in batches.

    Args:
        file: The open file.
        columns: The names of its columns.
        name: Name of the file in error messages.
        max_gb: Compressed columns that are read whole may unpack to so many gigabytes together.
    """

    file: pa.parquet.ParquetFile
    columns: tuple[str, ...]
    name: str
    max_gb: float = MAX_UNPACKED_GB

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column."""
        return [plain_type(field.type) for field in self.schema if field.name in self.columns]

    @property
    def schema(self) -> pa.Schema:
        """All columns of the file, and its metadata."""
        return self.file.schema_arrow

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return int(self.file.metadata.num_rows)

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order."""
        if max_rows is None:
            self._check_size(columns)
            yield read_parquet(self.file, columns, self.name)
            return
        try:
            for batch in self.file.iter_batches(max_rows, columns=list(columns)):
                table = pa.Table.from_batches([batch]).select(list(columns))
                table.validate(full=True)
                yield with_plain_types(table)
        except _DAMAGE as error:
            raise InputError(
                f"{self.name} is a damaged Parquet file ({reason(error)}); a whole one is needed."
            ) from None

    def _check_size(self, columns: Sequence[str]) -> None:
        """Refuse compressed columns that unpack to too much, by the file's metadata: nothing is unpacked for that."""
        try:
            unpacked = self._unpacked_bytes(set(columns))
        except _DAMAGE as error:
            raise InputError(
                f"{self.name} is a damaged Parquet file ({reason(error)}); a whole one is needed."
            ) from None
        if unpacked > self.max_gb * 1e9:
            raise InputError(
                f"{self.name} unpacks to {unpacked / 1e9:.3g} GB ({listed(columns)}), and {self.max_gb:g} are allowed; "
                f"set `max_unpacked_gb` to more ({FLAG})."
            )

    def _unpacked_bytes(self, wanted: Collection[str]) -> int:
        """The size of compressed columns when unpacked; raises where a column's name in the metadata is not UTF-8.

        What a file says of single columns is read only where it matters, because pyarrow ends the process on some
        damaged descriptions of columns: for lists, and in files whose columns are together above the limit.
        """
        metadata, schema = self.file.metadata, self.file.schema_arrow
        flat = not any(pa.types.is_nested(schema.field(name).type) for name in wanted if name in schema.names)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        all_columns = sum(max(group.total_byte_size, group.num_rows * 8 * len(schema.names)) for group in groups)
        if flat and all_columns <= self.max_gb * 1e9:
            return all_columns
        unpacked = 0
        for group in groups:
            for place in range(group.num_columns):
                chunk = group.column(place)
                # Nested columns are "name.list.element".
                if chunk.path_in_schema not in wanted and chunk.path_in_schema.split(".")[0] not in wanted:
                    continue
                # Runs and dictionaries shorten the pages too, which unpack to at least this for every value.
                size = max(chunk.total_uncompressed_size, chunk.num_values * _WIDTH.get(chunk.physical_type, 4))
                unpacked += size if size > chunk.total_compressed_size else 0
        return unpacked


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ArrowRows:
    """An Arrow file (Feather, or the stream that Hugging Face data sets are saved as), mapped into memory.

    Args:
        path: The file.
        schema: All of its columns.
        columns: The names of those that are read.
        name: Name of the file in error messages.
        max_gb: Compressed batches that are read together may unpack to so many gigabytes.
    """

    path: Path
    schema: pa.Schema
    columns: tuple[str, ...]
    name: str
    max_gb: float = MAX_UNPACKED_GB

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column."""
        return [plain_type(field.type) for field in self.schema if field.name in self.columns]

    @property
    def num_rows(self) -> int:
        """Number of rows, from the headers of the batches. A damaged file raises when its rows are read."""
        count = 0
        with suppress(*_DAMAGE), pa.memory_map(str(self.path)) as file:
            for batch in _batches(file):
                count += batch.num_rows
        return count

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order; at most `max_rows` at a time."""
        if max_rows is None:
            with pa.memory_map(str(self.path)) as file:
                _check_unpacked(sum(unpacked_bytes(file)), self.name, self.max_gb, "")
        try:
            with pa.memory_map(str(self.path)) as file:
                for batch in _batches(file):
                    whole = pa.Table.from_batches([batch]).select(list(columns))
                    whole.validate(full=True)
                    whole = with_plain_types(whole)
                    for start in range(0, len(whole), max_rows or max(len(whole), 1)):
                        yield whole.slice(start, max_rows)
        except _DAMAGE as error:
            raise InputError(f"{self.name} is a damaged Arrow file ({reason(error)}); a whole one is needed.") from None


def open_arrow(path: Path, name: str, named: Collection[str | None] = (), max_gb: float = MAX_UNPACKED_GB) -> ArrowRows:
    """An Arrow file and its columns.

    Args:
        path: The file.
        name: Name of the file in error messages.
        named: Columns that the user names; an index of pandas is read only if it is among them.
        max_gb: Compressed batches that are read together may unpack to so many gigabytes, and each of them alone.

    Raises:
        InputError: If the file is not Arrow, or a batch of it unpacks to more.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{name} is empty; an Arrow file is needed.")
    try:
        with pa.memory_map(str(path)) as file:
            schema = _opened(file).schema
        with pa.memory_map(str(path)) as file:
            largest = max(unpacked_bytes(file), default=0)
        # Names of columns that are not UTF-8 raise here.
        columns = _without_index(schema, named)
    except _DAMAGE as error:
        raise InputError(f"{name} is not a readable Arrow file ({reason(error)}); a whole one is needed.") from None
    _check_unpacked(largest, name, max_gb, "a batch of ")
    return ArrowRows(path=path, schema=schema, name=name, columns=columns, max_gb=max_gb)


def _check_unpacked(num_bytes: int, name: str, max_gb: float, what: str) -> None:
    if num_bytes > max_gb * 1e9:
        raise InputError(
            f"{what}{name} unpacks to {num_bytes / 1e9:.3g} GB, and {max_gb:g} are allowed; set `max_unpacked_gb` to "
            f"more ({FLAG})."
        )


def _without_index(schema: pa.Schema, named: Collection[str | None]) -> tuple[str, ...]:
    """The columns without the row index that pandas saved: those that its metadata names, and `__index_level_...`."""
    index = named_index(schema)
    return tuple(
        name for name in schema.names if name in named or not (name in index or name.startswith(_UNNAMED_INDEX))
    )


def schema_of(path: Path) -> pa.Schema:
    """The columns of a Parquet or Arrow file, with its metadata; none of a file that cannot be read."""
    with suppress(*_DAMAGE):
        if ".parquet" in path.name.lower():
            return pa.parquet.read_schema(path)
        with pa.memory_map(str(path)) as file:
            return _opened(file).schema
    return pa.schema([])


def named_index(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that are the named row index of a pandas frame, by the file's metadata."""
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        saved = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        words = [column for column in saved if isinstance(column, str) and column in schema.names]
        return tuple(word for word in words if not word.startswith(_UNNAMED_INDEX))
    return ()


def class_names_in(schema: pa.Schema, name: str) -> Mapping[str, tuple[str, ...]]:
    """The class names of each column of class numbers, from the metadata that Hugging Face `datasets` writes.

    Args:
        schema: Of a Parquet or Arrow file.
        name: Name of the file in error messages.

    Raises:
        InputError: If the names of a column are repeated.
    """
    features: Mapping[str, object] = {}
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
        features = dict(json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"])
    named: dict[str, tuple[str, ...]] = {}
    for column, feature in features.items():
        words = feature.get("names") if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" else None
        if not isinstance(words, list) or not words:
            continue
        named[column] = tuple(map(str, words))
        if len(set(named[column])) < len(words):
            raise InputError(
                f"{name} has the class names {listed(named[column])} for column {column!r} in its metadata; every "
                f"class needs a name of its own."
            )
    return named


def _batches(file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    reader = _opened(file)
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
    else:
        yield from reader


def _opened(file: pa.NativeFile) -> pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader:
    magic = file.read(6)
    file.seek(0)
    return pa.ipc.open_file(file) if magic == b"ARROW1" else pa.ipc.open_stream(file)


def open_parquet(
    path: Path, name: str, named: Collection[str | None] = (), max_gb: float = MAX_UNPACKED_GB
) -> ParquetRows:
    """A Parquet file and its columns, without the row index that pandas may have saved.

    Args:
        path: The file.
        name: Name of the file in error messages.
        named: Columns that the user names; an index of pandas is read only if it is among them.
        max_gb: Compressed columns that are read whole may unpack to so many gigabytes together.

    Raises:
        InputError: If the file is not Parquet.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{name} is empty; a Parquet file is needed.")
    try:
        file = pa.parquet.ParquetFile(path, page_checksum_verification=True)
        names = _without_index(file.schema_arrow, named)
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} is not a readable Parquet file ({reason(error)}); a whole one is needed.") from None
    return ParquetRows(file=file, columns=names, name=name, max_gb=max_gb)


def read_parquet(file: pa.parquet.ParquetFile, columns: Sequence[str], name: str) -> pa.Table:
    """These columns of an open Parquet file, validated against their types.

    Raises:
        InputError: If a page is damaged.
    """
    try:
        # The file selects by prefix ("a" also selects "a.b"), hence the second selection.
        table = file.read(columns=list(columns)).select(list(columns))
        table.validate(full=True)
        table = with_plain_types(table)
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} is a damaged Parquet file ({reason(error)}); a whole one is needed.") from None
    return table
