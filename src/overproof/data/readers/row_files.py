"""What every file of rows can do, whatever its format: name its columns, and give its rows in order, in pieces."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from overproof.data.readers.arrow_files import open_arrow, open_parquet
from overproof.data.readers.text_files import first_lines, read_csv, read_json_lines
from overproof.data.source import Source, check_format
from overproof.errors import InputError


@runtime_checkable
class RowFile(Protocol):
    """One file of rows, open."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns; repeated ones too, which the caller refuses."""
        ...

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column, decided by all rows."""
        ...

    @property
    def num_rows(self) -> int:
        """How many rows there are; about, where only the first were looked at."""
        ...

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order.

        Args:
            columns: Which, and in what order.
            max_rows: At most so many rows at a time; None for pieces of whatever size is fastest.

        Raises:
            InputError: If the file is damaged.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RowsInMemory:
    """Rows of a file that are in memory.

    Args:
        table: All of them, or the first.
        share: About which share of the file they are.

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
        """How many rows the file has."""
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
    """A file of rows that is read whole each time its rows are asked for, and not held in between.

    Args:
        read: Reads it.
        columns: The names of its columns.
        types: The type of each.
        num_rows: How many rows it has.
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
        path: CSV, JSON lines, Parquet or Arrow.
        source: Says which column is what.
        name: What to call the file in errors.
        strings: Columns of a CSV file that are strings whatever they look like, as another file of the same source has
            words there.
        keep: Whether a file that can only be read whole stays in memory until its rows are asked for.
        peek: Look at the first lines alone where the columns stand nowhere else.

    Raises:
        InputError: If the file cannot be read as what its name says.
    """
    form = check_format(path, name)
    if form == "parquet":
        return open_parquet(path, name)
    if form == "arrow":
        return open_arrow(path, name)

    def whole(data: bytes | None = None) -> pa.Table:
        return (
            read_csv(path, source, name, strings, data) if form == "csv" else read_json_lines(path, source, name, data)
        )

    if peek:
        data, share = first_lines(path, name)
        try:
            return RowsInMemory(table=whole(data), share=share)
        except InputError:
            if share == 1:
                raise
            # The cut may have fallen into a quoted cell; what is truly wrong is said when all of it is read.
            return RowsInMemory(
                table=whole(data[: data.find(b"\n") + 1]), share=len(data[: data.find(b"\n") + 1]) / len(data) * share
            )
    table = whole()
    if keep:
        return RowsInMemory(table=table)
    return RereadRows(
        read=whole, columns=tuple(table.column_names), types=list(table.schema.types), num_rows=table.num_rows
    )
