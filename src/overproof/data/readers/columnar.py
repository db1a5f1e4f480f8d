"""CSV and Parquet files as Arrow tables."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from pyarrow.lib import ArrowException

from overproof.data.source import Source
from overproof.data.wording import at_row, reason
from overproof.errors import InputError

_LARGEST_BLOCK_BYTES = 2**30


def read_csv(path: Path, source: Source, name: str) -> pa.Table:
    """All columns of a CSV (.csv, .dat) or tab-separated (.tsv) file, also gzipped.

    A column's type is decided by all of its rows: whole numbers, true/false, numbers, else strings. The text input
    (with `kind="text"`) and the user's ids are strings whatever they look like. An empty cell is null.

    Args:
        path: The file.
        source: Says which column is what, and whether there is a header.
        name: What to call the file in errors.

    Raises:
        InputError: If the file is not CSV in UTF-8, a row has more or fewer cells than the first, or a quote is open.
    """
    data = file_bytes(path, name)
    if b"\0" in data[:4096]:
        raise InputError(f"{name} is not a text file; a CSV file in UTF-8 is allowed.")
    if not source.header:
        while data.startswith(b"@"):
            data = data.partition(b"\n")[2]
    if not data.strip():
        raise InputError(f"{name} is empty; at least one row is needed.")
    _check_utf8(data, name)
    odd_rows: list[Any] = []

    def refuse(row: Any) -> str:
        odd_rows.append(row)
        return "error"

    strings = {source.id, source.input if source.kind == "text" else None} - {None}
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            # Wide blocks, since no row may be wider than one; one thread, so that errors know the row.
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=min(len(data) + 1, _LARGEST_BLOCK_BYTES),
                autogenerate_column_names=not source.header,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter="\t" if ".tsv" in path.name.lower() else ",",
                newlines_in_values=True,
                invalid_row_handler=refuse,
            ),
            convert_options=pa.csv.ConvertOptions(column_types={column: pa.string() for column in strings}),
        )
    except (ArrowException, ValueError) as error:
        if odd_rows:
            odd = odd_rows[0]
            raise InputError(
                f"{name} has {odd.actual_columns} cells in {at_row(odd.number - 1 - source.header)}; every row must "
                f"have {odd.expected_columns} like the first."
            ) from None
        raise InputError(f"{name} cannot be read as CSV ({reason(error)}); CSV in UTF-8 is allowed.") from None
    if not source.header:
        table = table.rename_columns([f"c{column}" for column in range(table.num_columns)])
    elif "" in table.column_names and "" not in source.ignore:
        raise InputError(
            f"{name} has no name for column {table.column_names.index('')}, as when an index was saved too; name every "
            f"column, or set `ignore` to ['']."
        )
    _check_quotes(table, data, name)
    return pa.table([_without_blanks(column) for column in table.columns], names=table.column_names)


def open_parquet(path: Path, name: str) -> tuple[pa.parquet.ParquetFile, list[str]]:
    """An open Parquet file and the names of its columns, without the row index that pandas may have saved.

    Raises:
        InputError: If the file is not Parquet.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{name} is empty; a Parquet file is needed.")
    try:
        file = pa.parquet.ParquetFile(path, page_checksum_verification=True)
        names = [column for column in file.schema_arrow.names if not column.startswith("__index_level_")]
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} is not a readable Parquet file ({reason(error)}); a whole one is needed.") from None
    return file, names


def read_parquet(file: pa.parquet.ParquetFile, columns: Sequence[str], name: str) -> pa.Table:
    """These columns of an open Parquet file, checked to hold what their types say.

    Raises:
        InputError: If a page is damaged.
    """
    try:
        # The file selects by prefix ("a" also brings "a.b"), hence the second selection.
        table = file.read(columns=list(columns)).select(list(columns))
        table.validate(full=True)
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} is a damaged Parquet file ({reason(error)}); a whole one is needed.") from None
    return table


def file_bytes(path: Path, name: str) -> bytes:
    """A file's bytes, unpacked when it is gzipped.

    Raises:
        InputError: If it cannot be read, or the gzip is damaged or truncated.
    """
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be read ({reason(error)}); a whole file is needed.") from None


def _check_utf8(data: bytes, name: str) -> None:
    try:
        # Arrow validates without building a Python string several times the size of the file.
        pa.array([data], pa.large_binary()).cast(pa.large_string())
    except ArrowException:
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError(f"{name} is not UTF-8 in line {line}; save the file as UTF-8.") from None


def _check_quotes(table: pa.Table, data: bytes, name: str) -> None:
    """Refuse a quote that never closes: the reader would take the rest of the file for one cell."""
    last = table.column(table.num_columns - 1)
    if not len(last) or not pa.types.is_string(last.type):
        return
    if "\n" in (last[-1].as_py() or "") and not data.rstrip().endswith(b'"'):
        raise InputError(
            f"{name} opens a quote in {at_row(len(last) - 1)} that never closes; each needs a closing one."
        )


def _without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null for the empty string: CSV has no other way to leave a cell empty."""
    if not pa.types.is_string(column.type):
        return column
    return pc.if_else(pc.equal(column, ""), None, column)
