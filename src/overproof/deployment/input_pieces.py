"""The rows of files as a trained student reads them, in pieces of limited size, and what of them is not read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import torch

from overproof.data import Examples, Source, read
from overproof.data.columns import Frame, check_names
from overproof.data.find_files import Place, find_files
from overproof.data.inputs import NothingLeft
from overproof.data.open_source import OpenedSource
from overproof.data.read import open_pieces
from overproof.data.readers.csv_stream import open_csv_stream
from overproof.data.readers.svmlight import largest_feature
from overproof.data.source import check_format, format_of
from overproof.data.wording import at_row, listed
from overproof.errors import InputError
from overproof.models import PlainTable, Student, TableEncoder

MAX_ROWS = 2**16
"""Most rows in memory at a time, of files that are read in pieces: CSV, Parquet and Arrow."""

_TYPES = {
    "numbers": pa.float64(),
    "booleans": pa.bool_(),
    "strings": pa.string(),
    "dates": pa.timestamp("us"),
    # A column without values in the training data is ignored.
    None: pa.string(),
}


def only_read(examples: Examples, student: Student) -> Examples:
    """Tables without the columns that the student does not use, such as a label."""
    names = _column_names(student)
    if not names or examples.kind != "table":
        return examples
    return examples.only([name for name in names if name in examples.column_names])


def _column_names(student: Student) -> list[str]:
    encoder = student.encoder
    if isinstance(encoder, TableEncoder):
        return [column.name for column in encoder.columns]
    return list(encoder.columns) if isinstance(encoder, PlainTable) else []


def pieces_of(
    student: Student, source: Source, new_gaps: bool
) -> Iterator[tuple[Examples | None, int, tuple[str, ...]]]:
    """The examples of a source, in order.

    Args:
        student: The student, whose columns are read.
        source: The examples.
        new_gaps: As for `overproof.deployment.predict.predict`.

    Returns:
        Piece by piece the examples (None where no row is left), how many rows of it lack an input and are left out, and
        the columns of a table that the student does not use.

    Raises:
        InputError: The files do not fit the student.
    """
    place = find_files(source.paths, "input")
    if place.family == "arrays":
        given = read(source, role="input")
        whole = only_read(given, student)
        if not new_gaps:
            refuse_new_gap(student, whole)
        unread = _unread(student, source, given.column_names if given.kind == "table" else ())
        for number, rows in enumerate(torch.arange(len(whole)).split(MAX_ROWS)):
            yield whole.take(rows), 0 if number else given.dropped, unread
        return
    opened = _opened(student, source, place)
    unread = _unread(student, source, opened.rows[0].columns)
    for frame in opened.frames(MAX_ROWS):
        if not len(frame.rows):
            continue
        try:
            examples = opened.examples(frame)
        except NothingLeft:
            yield None, len(frame.rows), unread
            continue
        if not new_gaps:
            refuse_new_gap(student, examples, frame)
        yield examples, examples.dropped, unread


def _unread(student: Student, source: Source, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table that neither the student reads nor the source names."""
    used = {*_column_names(student), *source.ignore, *source.where, source.id, source.label, source.group}
    known = student.kind == "table" and bool(_column_names(student))
    return tuple(name for name in columns if name not in used) if known else ()


def refuse_new_gap(student: Student, examples: Examples, frame: Frame | None = None) -> None:
    """Raise where a value is missing in a column in which none was missing in training.

    Args:
        student: The student.
        examples: Rows of the file.
        frame: Where they stand in it; None for those that are all of it.

    Raises:
        InputError: There is one.
    """
    gap = student.encoder.new_gap(examples) if isinstance(student.encoder, TableEncoder) else None
    if gap is not None:
        column, row = gap
        raise InputError(
            f"{examples.origin} has a missing value in column {column!r}, "
            f"{at_row(row) if frame is None else frame.at(row)}, where none was missing in training: fill it, or write "
            f"--missing allow, which reads it as the column's mean, or --missing drop, which leaves the row out."
        )


def _last_feature(names: Sequence[str]) -> int | None:
    """The largest number of the features f1, f2, … of a file of LIBSVM; None where other columns are among them."""
    numbers = [int(name[1:]) for name in names if re.fullmatch(r"f\d+", name)]
    return max(numbers) if numbers and len(numbers) == len(names) else None


def reaching(student: Student, source: Source, role: str) -> Source:
    """The source with the student's number of features, where its files of LIBSVM reach fewer: what is left out is 0.

    Args:
        student: The student.
        source: Its files.
        role: Their role, for error messages.

    Raises:
        InputError: There are no such files.
    """
    number = _last_feature(_column_names(student))
    place = find_files(source.paths, role)
    if number is None or source.num_features is not None or {format_of(path) for path in place.files} != {"svmlight"}:
        return source
    limit = source.max_unpacked_gb
    reached = [largest_feature(path, place.named(index), limit) for index, path in enumerate(place.files)]
    return replace(source, num_features=number) if max(reached) < number else source


def _opened(student: Student, source: Source, place: Place) -> OpenedSource:
    """Open the files with the student's columns; of CSV only the first block is read: the student has the types."""
    names = _column_names(student)
    formats = {check_format(path, place.name) for path in place.files}
    if formats != {"csv"} or not source.header or student.kind == "image":
        opened = open_pieces(reaching(student, source, "input"), role="input")
        if opened.kind == "table" and names and source.input is None:
            inputs = [name for name in names if name in opened.inputs]
            types = {name: kind for name, kind in opened.types.items() if name in inputs or name == source.id}
            opened = replace(opened, inputs=inputs, types=types)
        return opened
    encoder = student.encoder
    wanted: dict[str, pa.DataType] = dict.fromkeys(names, pa.float64()) or dict.fromkeys(source.inputs, pa.string())
    if isinstance(encoder, TableEncoder):
        wanted = {column.name: _TYPES[column.family] for column in encoder.columns}
    if source.id is not None:
        wanted[source.id] = pa.string()
    rows = [open_csv_stream(path, place.named(index), wanted) for index, path in enumerate(place.files)]
    for index, each in enumerate(rows):
        check_names(place.named(index), each.columns, source)
        if lacking := [name for name in names if name not in each.columns]:
            raise InputError(
                f"{place.named(index)} lacks the columns {listed(lacking)}; the student reads {listed(names)}."
            )
    first = dict(zip(rows[0].columns, rows[0].types, strict=True))
    return OpenedSource(
        source=source,
        place=place,
        rows=tuple(rows),
        kind=student.kind,
        inputs=names or list(source.inputs),
        types={name: first[name] for name in wanted},
        class_names=(),
        folder=None,
    )
