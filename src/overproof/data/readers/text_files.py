"""Reads CSV files as Arrow tables; the bytes of any file of text."""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pyarrow.lib import ArrowException

from overproof.data.readers.number_columns import CODE, numbers
from overproof.data.source import FLAG, Source
from overproof.data.wording import at_row, reason
from overproof.errors import InputError

LARGEST_BLOCK_BYTES = 2**30
"""Of one piece of a file that Arrow parses at a time."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How text in UTF-16 begins, as the shell of Windows writes it."""
PIECE_BYTES = 2**24
"""Compressed files are unpacked in pieces of this size."""

_MAYBE_CODE = re.compile(rb"(?:^|[,;|\t\n\"]) *0[0-9][0-9]")
_FROM_FLOATS = re.compile(r"-?(0|[1-9][0-9]*)[.]0")


def read_csv(
    path: Path, source: Source, name: str, strings: Collection[str] = (), data: bytes | None = None
) -> pa.Table:
    """All columns of a CSV (.csv, .dat) or tab-separated (.tsv) file, also compressed.

    The type of a column is inferred from all of its rows: whole numbers, true/false, numbers, dates and times in ISO
    8601, else strings. The text input (with `kind="text"`, or of several columns), the user's ids and
    categories are always read as strings, and so are codes: a column of whole numbers of which one has three digits or
    more and begins with a zero. An empty cell is null.

    Args:
        path: The file.
        source: The use of each column, and whether there is a header.
        name: Name of the file in error messages.
        strings: More columns to read as strings.
        data: The file's bytes, or those of its first lines; None reads all of them.

    Raises:
        InputError: If the file is not CSV in UTF-8, a row has more or fewer cells than the first, or a quote is open.
    """
    data = file_bytes(path, name, source.max_unpacked_gb) if data is None else data
    if b"\0" in data[:4096]:
        how = f"; save it as UTF-8{_recoded(data)}" if data[:2] in UTF_16 else "; a CSV file in UTF-8 is allowed"
        raise InputError(f"{name} is {'in UTF-16' if data[:2] in UTF_16 else 'not a text file'}{how}.")
    if not source.header:
        while data.startswith(b"@"):
            data = data.partition(b"\n")[2]
    if not data.strip():
        raise InputError(f"{name} is empty; at least one row is needed.")
    check_utf8(data, name)
    odd_rows: list[Any] = []

    def refuse(row: Any) -> str:
        odd_rows.append(row)
        return "error"

    text = source.inputs if source.kind == "text" or len(source.inputs) > 1 else ()
    spelled = {source.id, source.label, source.group, *text, *source.categories, *strings} - {None}
    if not source.header:
        # Arrow names them f0, f1, ...
        spelled |= {f"f{column.removeprefix('c')}" for column in spelled if column is not None}

    def parsed(spelled: Collection[str | None]) -> pa.Table:
        return pa.csv.read_csv(
            pa.BufferReader(data),
            # Large blocks, since no row may be longer than one; one thread, so that errors have the row number.
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=min(len(data) + 1, LARGEST_BLOCK_BYTES),
                autogenerate_column_names=not source.header,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator(table_head(data), path),
                newlines_in_values=True,
                invalid_row_handler=refuse,
                # In a file of one column an empty line is a row with an empty cell, as databases write it.
                ignore_empty_lines=not has_one_column(data, path),
            ),
            convert_options=pa.csv.ConvertOptions(column_types={column: pa.string() for column in spelled}),
        )

    try:
        table = parsed(spelled)
        if coded := _coded(table, parsed, data) if source.kind != "text" else set():
            spelled |= coded | {f"c{str(column).removeprefix('f')}" for column in coded if not source.header}
            table = parsed(spelled)
        if source.thousands or source.decimal != ".":
            # Arrow would read 1.234 as a fraction where the point separates thousands.
            table = parsed({*spelled, *(field.name for field in table.schema if not pa.types.is_temporal(field.type))})
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
    columns = [without_blanks(column) for column in table.columns]
    if source.label in table.column_names:
        place = table.column_names.index(source.label)
        columns[place] = _without_decimals(columns[place])
    table = pa.table(columns, names=table.column_names)
    return table if source.kind == "text" else numbers(table, source, name, spelled)


def file_bytes(path: Path, name: str, max_gb: float) -> bytes:
    """The bytes of a file, decompressed if it is gzip or zstd.

    Args:
        path: The file.
        name: Its name in error messages.
        max_gb: A compressed file may unpack to so many gigabytes.

    Raises:
        InputError: If it cannot be read, the compressed data are damaged or truncated, or it unpacks to more.
    """
    most, ending = int(max_gb * 1e9), path.name.lower()
    try:
        if ending.endswith(".zst"):
            with pa.input_stream(str(path), compression="zstd") as stream:
                data = _at_most(stream, most + 1)
        elif ending.endswith(".gz"):
            with gzip.open(path) as unpacked:
                data = _at_most(unpacked, most + 1)
        else:
            return path.read_bytes()
        if len(data) > most:
            raise InputError(
                f"{name} unpacks to more than {max_gb:g} GB; set `max_unpacked_gb` to more ({FLAG}), or unpack "
                f"the file first."
            )
        return data
    except (ArrowException, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be read ({reason(error)}); a whole file is needed.") from None


def _at_most(stream: Any, num_bytes: int) -> bytes:
    """The first bytes of a stream, read in pieces: one request would reserve memory for all of them."""
    parts, left = [], num_bytes
    while left and (part := stream.read(min(left, PIECE_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def first_lines(path: Path, name: str, num_bytes: int = 2**20) -> tuple[bytes, float]:
    """The first lines of a file, decompressed, and the estimated share of the file that they are; 1 if all of it.

    Args:
        path: The file.
        name: Name of the file in error messages.
        num_bytes: At most so many.

    Raises:
        InputError: If it cannot be read, or the compressed data are damaged.
    """
    ending = path.suffix.lower()
    try:
        with path.open("rb") as file:
            # A small buffer, so that its position in the file tells how much was decompressed.
            raw = io.BufferedReader(file.raw, 2**12)
            if ending == ".gz":
                data = gzip.GzipFile(fileobj=raw).read(num_bytes)
            elif ending == ".zst":
                data = pa.CompressedInputStream(pa.PythonFile(raw), "zstd").read(num_bytes)
            else:
                data = raw.read(num_bytes)
            if len(data) < num_bytes:
                return data, 1.0
            share = raw.tell() / path.stat().st_size
    except (ArrowException, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be read ({reason(error)}); a whole file is needed.") from None
    return data[: data.rfind(b"\n") + 1], min(share, 1.0)


def check_utf8(data: bytes, name: str) -> None:
    """Check that a file is UTF-8.

    Args:
        data: Its bytes.
        name: Its name in error messages.

    Raises:
        InputError: It is not; the message has the first line.
    """
    try:
        # Arrow validates without a Python string of several times the size of the file.
        pa.array([data], pa.large_binary()).cast(pa.large_string())
    except ArrowException:
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError(f"{name} is not UTF-8 in line {line}; save the file as UTF-8{_recoded(data)}.") from None


def _recoded(data: bytes) -> str:
    """The line that writes a file of text again as UTF-8."""
    coding = "UTF-16" if data[:2] in UTF_16 else "WINDOWS-1252"
    return f" (of {coding}: iconv -f {coding} -t UTF-8 FILE > NEW)"


def _check_quotes(table: pa.Table, data: bytes, name: str) -> None:
    """Reject an unclosed quote: Arrow would read the rest of the file as one cell."""
    last = table.column(table.num_columns - 1)
    if not len(last) or not pa.types.is_string(last.type):
        return
    if "\n" in (last[-1].as_py() or "") and not data.rstrip().endswith(b'"'):
        raise InputError(
            f"{name} opens a quote in {at_row(len(last) - 1)} that never closes; each needs a closing one."
        )


def table_head(data: bytes) -> str:
    """The first line of a CSV file, decompressed."""
    return data[: data.find(b"\n") if b"\n" in data else len(data)].decode(errors="replace").strip("\ufeff\r")


def separator(head: str, path: Path) -> str:
    """What separates the cells of a CSV file: commas, unless its first line has none and another mark.

    Args:
        head: Its first line. Every row must have as many cells, so that a mark which is part of a text is noticed.
        path: The file; .tsv has tabs.

    Example:
        >>> separator("id;text;label", Path("a.csv")), separator("id,text;note", Path("a.csv"))
        (';', ',')
    """
    if ".tsv" in path.name.lower():
        return "\t"
    return next((mark for mark in (",", ";", "\t", "|") if mark in head), ",")


def has_one_column(data: bytes, path: Path) -> bool:
    """Whether the first line of a CSV file, decompressed, holds no separator."""
    head = table_head(data)
    return separator(head, path) not in head


def _coded(table: pa.Table, parsed: Callable[[Collection[str | None]], pa.Table], data: bytes) -> set[str | None]:
    """The columns that were read as whole numbers and hold codes: some begin with a zero that a number would lose."""
    whole: list[str | None] = [field.name for field in table.schema if pa.types.is_integer(field.type)]
    if not whole or not _MAYBE_CODE.search(data):
        return set()
    words = parsed(whole)
    return {name for name in whole if pc.any(pc.match_substring_regex(words.column(name), CODE)).as_py()}


def _without_decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers that pandas wrote as floats, because some cells are empty, without their ".0"."""
    known = pc.unique(column).drop_null().to_pylist()
    if column.null_count and known and all(_FROM_FLOATS.fullmatch(word) for word in known):
        return pc.utf8_slice_codeunits(column, 0, -2)
    return column


def without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null for the empty string, which is how CSV writes an empty cell."""
    if not pa.types.is_string(column.type):
        return column
    return pc.if_else(pc.equal(column, ""), None, column)
