"""What every file of rows can do, whatever its format: name its columns, and give its rows in order, in pieces."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from overproof.data.readers.arrow_files import open_arrow, open_parquet
from overproof.data.readers.text_files import read_csv, read_json_lines
from overproof.data.source import Source, check_format


@runtime_checkable
class Rows(Protocol):
    """One file of rows, open."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns; repeated ones too, which the caller refuses."""
        ...

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column, decided by all rows."""
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
class Held:
    """Rows that are in memory already.

    Args:
        table: All of them.

    Example:
        >>> rows = Held(table=pa.table({"n": [1, 2, 3]}))
        >>> [len(piece) for piece in rows.tables(["n"], max_rows=2)]
        [2, 1]
    """

    table: pa.Table

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(self.table.column_names)

    @property
    def types(self) -> list[pa.DataType]:
        """The type of each column."""
        return list(self.table.schema.types)

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order."""
        chosen = self.table.select(list(columns))
        for start in range(0, len(chosen), max_rows or max(len(chosen), 1)):
            yield chosen.slice(start, max_rows)


def open_rows(path: Path, source: Source, name: str, strings: Collection[str] = ()) -> Rows:
    """Open a file of rows.

    Args:
        path: CSV, JSON lines, Parquet or Arrow.
        source: Says which column is what.
        name: What to call the file in errors.
        strings: Columns of a CSV file that are strings whatever they look like, as another file of the same source has
            words there.

    Raises:
        InputError: If the file cannot be read as what its name says.
    """
    match check_format(path, name):
        case "csv":
            return Held(table=read_csv(path, source, name, strings))
        case "jsonl":
            return Held(table=read_json_lines(path, source, name))
        case "parquet":
            return open_parquet(path, name)
        case _:
            return open_arrow(path, name)
