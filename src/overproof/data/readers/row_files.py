"""The interface of a file of rows, whatever its format (column names, types, rows in pieces), and how one is opened."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from overproof.data.readers.arff import read_arff
from overproof.data.readers.arrow_files import open_arrow, open_parquet
from overproof.data.readers.database import read_database
from overproof.data.readers.json_lines import read_json_lines
from overproof.data.readers.json_lists import is_json_list
from overproof.data.readers.mds import read_mds
from overproof.data.readers.svmlight import read_svmlight
from overproof.data.readers.text_files import first_lines, read_csv
from overproof.data.readers.web_dataset import open_tar
from overproof.data.source import Source, check_format
from overproof.errors import InputError

_BY_LINES = ("csv", "jsonl")
"""Formats of which the first lines are a file."""


@runtime_checkable
class RowFile(Protocol):
    """One open file of rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, with repeated ones, which the caller rejects."""
        ...

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column, inferred from all rows."""
        ...

    @property
    def num_rows(self) -> int:
        """Number of rows; an estimate where only the first lines were read."""
        ...

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order.

        Args:
            columns: Their names, in the order wanted.
            max_rows: At most so many rows at a time; None lets the reader choose.

        Raises:
            InputError: If the file is damaged.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RowsInMemory:
    """Rows of a file that are in memory.

    Args:
        table: All of them, or the first.
        share: Estimated share of the file that they are.

    Example:
        >>> rows = RowsInMemory(table=pa.table({"n": [1, 2, 3]}))
        >>> [len(piece) for piece in rows.tables(["n"], max_rows=2)]
        [2, 1]
    """

    table: pa.Table
    share: float = 1.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(self.table.column_names)

    @property
    def num_rows(self) -> int:
        """Number of rows of the file."""
        return round(len(self.table) / self.share)

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column."""
        return list(self.table.schema.types)

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order."""
        chosen = self.table.select(list(columns))
        for start in range(0, len(chosen), max_rows or max(len(chosen), 1)):
            yield chosen.slice(start, max_rows)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RereadRows:
    """A file of rows that is read whole each time its rows are needed, and not kept in memory in between.

    Args:
        read: Reads it.
        columns: The names of its columns.
        types: The type of each.
        num_rows: Number of rows.
    """

    read: Callable[[], pa.Table]
    columns: tuple[str, ...]
    types: list[pa.DataType]
    num_rows: int

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order."""
        yield from RowsInMemory(table=self.read()).tables(columns, max_rows)


def open_rows(
    path: Path, source: Source, name: str, strings: Collection[str] = (), *, keep: bool = True, peek: bool = False
) -> RowFile:
    """Open a file of rows.

    Args:
        path: CSV, JSON, ARFF, LIBSVM, Parquet, Arrow, SQLite, DuckDB or a shard of WebDataset or MDS.
        source: The use of each column.
        name: Name of the file in error messages.
        strings: Columns of a CSV file to read as strings, because another file of the same source has strings there.
        keep: Whether a file that can only be read whole stays in memory until its rows are needed.
        peek: Read only the first lines of formats that do not store their columns.

    Raises:
        InputError: If the file cannot be read in the format of its name.
    """
    form = check_format(path, name)
    if form == "parquet":
        return open_parquet(path, name, source.named, source.max_unpacked_gb)
    if form == "arrow":
        return open_arrow(path, name, source.named, source.max_unpacked_gb)
    if form == "tar":
        return open_tar(path, source, name)

    def whole(data: bytes | None = None) -> pa.Table:
        match form:
            case "csv":
                return read_csv(path, source, name, strings, data)
            case "arff":
                return read_arff(path, source, name)
            case "svmlight":
                return read_svmlight(path, source, name)
            case "mds":
                return read_mds(path, source, name)
            case "database":
                return read_database(path, source, name)
        return read_json_lines(path, source, name, data)

    if peek and form in _BY_LINES and not (form == "jsonl" and is_json_list(path, name)):
        data, share = first_lines(path, name)
        try:
            return RowsInMemory(table=whole(data), share=share)
        except InputError:
            if share == 1:
                raise
            # The cut may be inside a quoted cell; a real error is raised when the whole file is read.
            return RowsInMemory(
                table=whole(data[: data.find(b"\n") + 1]), share=len(data[: data.find(b"\n") + 1]) / len(data) * share
            )
    table = whole()
    if keep:
        return RowsInMemory(table=table)
    return RereadRows(
        read=whole, columns=tuple(table.column_names), types=list(table.schema.types), num_rows=table.num_rows
    )
