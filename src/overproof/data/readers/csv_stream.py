"""Reads a CSV file block by block, with column types known in advance: prediction on files larger than memory."""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from pyarrow.lib import ArrowException

from overproof.data.readers.text_files import has_one_column, separator, table_head, without_blanks
from overproof.data.wording import at_row, reason
from overproof.errors import InputError

BLOCK_BYTES = 2**21
"""Bytes parsed at a time; no row may be longer. Arrow reads up to 32 blocks ahead."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CsvStream:
    """A CSV file with a header, of which only the first block has been read.

    Args:
        path: The file.
        name: Name of the file in error messages.
        columns: The names of its columns.
        types: Type of each column: the requested one, or that of the first block.
        num_rows: Estimated number of rows, from the first block; a lower bound for a compressed file.
    """

    path: Path
    name: str
    columns: tuple[str, ...]
    types: list[pa.DataType]
    num_rows: int

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in order; the last column is always read, to detect an open quote.

        Args:
            columns: Their names, in the order wanted.
            max_rows: At most so many rows at a time.

        Raises:
            InputError: A row has more or fewer cells than the first, a value is not of its column's type, a quote is
                open, or the text is not UTF-8.
        """
        last, watched = self.columns[-1], _Watched(self.path)
        types = dict(zip(self.columns, self.types, strict=True))
        wanted = list(dict.fromkeys([*columns, last]))
        done, table = 0, None
        for batch in self._batches(watched, {name: types[name] for name in wanted}, wanted):
            table = pa.Table.from_batches([batch])
            kept = pa.table([without_blanks(table.column(name)) for name in columns], names=list(columns))
            for start in range(0, len(kept), max_rows or max(len(kept), 1)):
                yield kept.slice(start, max_rows)
            done += len(kept)
        if table is not None and len(table) and "\n" in str(table.column(last)[-1].as_py()) and not watched.ends_quoted:
            raise InputError(
                f"{self.name} opens a quote in {at_row(done - 1)} that never closes; each needs a closing one."
            )

    def _batches(
        self, watched: "_Watched", types: Mapping[str, pa.DataType], columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        odd_rows: list[Any] = []
        done = 0
        try:
            for batch in _opened(watched, self.path, types, columns, odd_rows):
                yield batch
                done += len(batch)
        except (ArrowException, ValueError) as error:
            raise InputError(_sentence(self.name, error, odd_rows, done)) from None


def open_csv_stream(path: Path, name: str, types: Mapping[str, pa.DataType]) -> CsvStream:
    """Open a CSV (.csv, .dat) or tab-separated (.tsv) file with a header, also compressed, to be read block by block.

    Args:
        path: The file.
        name: Name of the file in error messages.
        types: Requested types by column; for dates the type found in the first block is used.

    Raises:
        InputError: The file is empty, or not CSV in UTF-8.
    """
    odd_rows: list[Any] = []
    try:
        reader = _opened(_Watched(path), path, {}, (), odd_rows)
        seen, first = reader.schema, next((len(batch) for batch in reader), 0)
    except (ArrowException, ValueError, OSError) as error:
        raise InputError(_sentence(name, error, odd_rows, 0)) from None
    found = []
    for field in seen:
        wanted = types.get(field.name, field.type)
        found.append(field.type if pa.types.is_temporal(wanted) and pa.types.is_temporal(field.type) else wanted)
    about = round(first * max(path.stat().st_size / BLOCK_BYTES, 1.0))
    return CsvStream(path=path, name=name, columns=tuple(seen.names), types=found, num_rows=about)


class _Watched:
    """A file that keeps the last bytes read from it, and raises a UnicodeDecodeError where it is not UTF-8."""

    def __init__(self, path: Path) -> None:
        self._file = pa.input_stream(str(path), compression="detect")
        with pa.input_stream(str(path), compression="detect") as file:
            self.first_bytes: bytes = file.read(2**16)
        self._tail = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.closed = False

    @property
    def ends_quoted(self) -> bool:
        """Whether the last character read so far, ignoring space, is a quote."""
        return self._tail.rstrip().endswith(b'"')

    def read(self, num_bytes: int = -1) -> bytes:
        data: bytes = self._file.read(num_bytes if num_bytes >= 0 else None)
        self._tail = (self._tail + data)[-256:]
        # Here, because Arrow prints a traceback where it cannot show a row to `invalid_row_handler`.
        self._decoder.decode(data)
        return data

    def close(self) -> None:
        self._file.close()
        self.closed = True


def _opened(
    watched: _Watched, path: Path, types: Mapping[str, pa.DataType], columns: Sequence[str], odd_rows: list[Any]
) -> Any:
    def refuse(row: Any) -> str:
        odd_rows.append(row)
        return "error"

    return pa.csv.open_csv(
        pa.PythonFile(watched, mode="r"),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=pa.csv.ParseOptions(
            delimiter=separator(table_head(watched.first_bytes), path),
            newlines_in_values=True,
            invalid_row_handler=refuse,
            ignore_empty_lines=not has_one_column(watched.first_bytes, path),
        ),
        convert_options=pa.csv.ConvertOptions(column_types=dict(types), include_columns=list(columns) or None),
    )


def _sentence(name: str, error: Exception, odd_rows: Sequence[Any], done: int) -> str:
    message = " ".join(str(error).split())
    if odd_rows:
        odd = odd_rows[0]
        where = f"after row {done}" if odd.number is None else at_row(odd.number - 2)
        return (
            f"{name} has {odd.actual_columns} cells {where}; every row must have {odd.expected_columns} like the first."
        )
    if found := re.search(r"CSV conversion error to (\w+): invalid value '(.*)'", message):
        row = re.search(r"Row #(\d+)", message)
        where = f"after row {done}" if row is None else f"in {at_row(int(row[1]) - 2)}"
        return f"{name} has {found[2]!r} {where}; the student needs values of type {found[1]}."
    if "straddling" in message:
        return f"{name} has a row or an open quote of over {BLOCK_BYTES:,} bytes after row {done}; split it."
    if "Empty CSV file" in message:
        return f"{name} is empty; at least one row is needed."
    return f"{name} cannot be read as CSV ({reason(error)}); CSV in UTF-8 is allowed."
