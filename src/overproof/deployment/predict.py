"""Predict classes for files of examples with a trained student, in order and in pieces of limited size."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from overproof.data import Examples, Source, read
from overproof.data.classes import check_class_names
from overproof.data.columns import Frame, check_names
from overproof.data.find_files import Place, find_files
from overproof.data.inputs import NothingLeft
from overproof.data.open_source import OpenedSource
from overproof.data.read import open_pieces
from overproof.data.readers.csv_stream import open_csv_stream
from overproof.data.source import check_format
from overproof.data.wording import at_row, listed
from overproof.deployment.abstention import Abstention
from overproof.deployment.predictions_file import table_writer
from overproof.errors import InputError
from overproof.models import PlainTable, Student, TableEncoder, load_student
from overproof.models.importing import as_paths
from overproof.processes import HERE, Engine, Work
from overproof.progress import Progress, Silent
from overproof.storage.digests import content_digest

MAX_ROWS = 2**16
"""Most rows in memory at a time, of files that are read in pieces: CSV, Parquet and Arrow."""

ABSTAINED = "abstained"
"""The column that is true where the student abstains; the class is empty there."""

_TYPES = {
    "numbers": pa.float64(),
    "booleans": pa.bool_(),
    "strings": pa.string(),
    "dates": pa.timestamp("us"),
    # A column without values in the training data is ignored.
    None: pa.string(),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """A file of predictions that was written.

    Args:
        file: Its path.
        num_rows: Number of rows, one per example.
        num_answered: Number of rows with a class.
        seconds: Time from the first to the last row.
        columns: Its columns, in order.
        remarks: What is to be known of the rows of a table, in sentences: categories that training did not have, and
            missing values.
    """

    file: Path
    num_rows: int
    num_answered: int
    seconds: float
    columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def predict(
    student: Student,
    source: Source,
    file: Path,
    *,
    abstention: Abstention | None = None,
    spreadsheet_safe: bool = False,
    new_gaps: bool = True,
    progress: Progress | None = None,
    engine: Engine = HERE,
    saved: Path | None = None,
    allow_import: Iterable[str] | str = (),
) -> Predicted:
    """Write id, likeliest class and the probability of every class to a file, one row per example, in order.

    The id is the value of the source's id column, or without one the content id of the student's inputs, in hex. With
    an `abstention`, a column `abstained` marks the rows whose class is empty. Without one, `overproof.answers.files`
    can read the file, so that a student can be the teacher of the next.

    CSV with a header, Parquet, Arrow and image files are processed in pieces, whatever their size; 16 bytes per row are
    kept to find repeated ids. JSON lines and arrays are read in full.

    Args:
        student: The trained student.
        source: The examples; of a table only the columns that the student uses are read.
        file: `.parquet` or `.csv`; it appears when it is complete.
        abstention: The threshold below which the class is left empty.
        spreadsheet_safe: In a CSV file, put an apostrophe before ids and class names that a spreadsheet would run as a
            formula. It changes these values, so that the file no longer joins with the data by id.
        new_gaps: Whether a number or date may be missing in a column in which none was missing in training, where
            the source allows missing values; the student reads it as the column's mean.
        progress: Shows the number of rows done.
        engine: Where pieces are predicted: `overproof.scale.engine_on`.
        saved: The student's folder, from which another process loads it; not needed in this process.
        allow_import: Import paths that the user named for loading it.

    Raises:
        InputError: The extension is another one, the examples do not fit the student, or an id is repeated; no file is
            written then.
    """
    schema, reads = _schema(student, abstention), find_files(source.paths, "input").files
    work = Work(
        what="piece",
        here=partial(_answers, student, abstention, schema),
        elsewhere=lambda: _opening(saved, allow_import, abstention, schema),
    )
    with (
        table_writer(file, schema, spreadsheet_safe, reads) as write,
        (progress or Silent()).task("answers", None) as advance,
    ):
        about = _answered(student, source, new_gaps, partial(engine.map, work), write, lambda num: advance(num, ""))
    return replace(about, file=file, columns=tuple(schema.names))


def answers_in_memory(
    student: Student, source: Source, *, abstention: Abstention | None = None, new_gaps: bool = True
) -> tuple[pa.Table, tuple[str, ...]]:
    """The table that `predict` writes, and its remarks.

    Args:
        student: The trained student.
        source: A few examples.
        abstention: As for `predict`.
        new_gaps: As for `predict`.

    Raises:
        InputError: As for `predict`.
    """
    schema = _schema(student, abstention)
    tables, answer = list[pa.Table](), partial(_answers, student, abstention, schema)
    about = _answered(student, source, new_gaps, partial(map, answer), tables.append, lambda num: None)
    return pa.concat_tables(tables), about.remarks


def answers_to(student: Student, examples: Examples, *, abstention: Abstention | None = None) -> pa.Table:
    """The rows that `predict` writes for these examples.

    Args:
        student: The trained student.
        examples: What it reads.
        abstention: As for `predict`.

    Raises:
        InputError: The examples do not fit the student.
    """
    return _answers(student, abstention, _schema(student, abstention), examples).table


def _answered(
    student: Student,
    source: Source,
    new_gaps: bool,
    answer: Callable[[Iterator[Examples]], Iterable["_Piece"]],
    write: Callable[[pa.Table], Any],
    advance: Callable[[int], Any],
) -> Predicted:
    """Answer the examples piece by piece, and count."""
    began, seen, num_rows, num_answered = time.perf_counter(), list[np.ndarray](), 0, 0
    unknown: dict[str, tuple[int, str]] = {}
    missing: dict[str, tuple[int, str]] = {}

    def pieces() -> Iterator[Examples]:
        for examples in _pieces(student, source, new_gaps):
            if examples.keys is not None:
                # Of strings, which have other hashes in another process.
                seen.append(np.fromiter(map(hash, examples.keys.to_pylist()), np.int64, len(examples)))
            yield examples

    for piece in answer(pieces()):
        for name, (num, word) in piece.unknown.items():
            unknown[name] = unknown.get(name, (0, word))[0] + num, unknown.get(name, (0, word))[1]
        for name, (num, reading) in piece.missing.items():
            missing[name] = missing.get(name, (0, reading))[0] + num, reading
        write(piece.table)
        num_rows += len(piece.table)
        num_answered += piece.num_answered
        advance(num_rows)
    if num_rows == 0:
        raise InputError(f"{listed(source.paths)} has no rows to predict; at least one is needed.")
    if twice := _repeated(seen):
        raise InputError(
            f"{listed(source.paths)} has {twice} repeated ids in column {source.id!r}; the id of every row must be "
            f"unique."
        )
    return Predicted(
        file=Path(),
        num_rows=num_rows,
        num_answered=num_answered,
        seconds=time.perf_counter() - began,
        columns=(),
        remarks=tuple(
            f"Column {name!r} holds a category that the student does not know in {num} of {num_rows} rows, such as "
            f"{word!r}; it reads all of these alike."
            for name, (num, word) in unknown.items()
        )
        + tuple(
            f"A value is missing in column {name!r} in {num} of {num_rows} rows; the student reads it as {reading}."
            for name, (num, reading) in missing.items()
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """The predictions for some rows: a row each, how many have a class, and what is to be known of their columns."""

    table: pa.Table
    num_answered: int
    unknown: Mapping[str, tuple[int, str]]
    missing: Mapping[str, tuple[int, str]]


def _answers(student: Student, abstention: Abstention | None, schema: pa.Schema, examples: Examples) -> _Piece:
    """The predictions for some rows."""
    table, num_answered = _table(student, examples, student.probs(examples), abstention, schema)
    encoder = student.encoder if isinstance(student.encoder, TableEncoder) else None
    return _Piece(
        table=table,
        num_answered=num_answered,
        unknown={} if encoder is None else encoder.unknown(examples),
        missing={} if encoder is None else encoder.missing(examples),
    )


def _opening(
    saved: Path | None, allow_import: Iterable[str] | str, abstention: Abstention | None, schema: pa.Schema
) -> Callable[[], Callable[[Examples], _Piece]]:
    """What loads the student in another process, which must find the same files in its folder."""
    if saved is None:
        raise InputError("predict: another process needs the folder of the student (`saved`).")
    return partial(_loaded_elsewhere, saved, as_paths(allow_import), _digests(saved), abstention, schema)


def _loaded_elsewhere(
    saved: Path,
    allow_import: frozenset[str],
    digests: Mapping[str, str],
    abstention: Abstention | None,
    schema: pa.Schema,
) -> Callable[[Examples], _Piece]:
    if _digests(saved) != digests:
        raise InputError(
            f"The folder {str(saved)!r} on {socket.gethostname()} holds another student than where the command was "
            f"given: all nodes need the same files at this path."
        )
    return partial(_answers, load_student(saved, allow_import=allow_import), abstention, schema)


def _digests(folder: Path) -> dict[str, str]:
    return {each.name: content_digest(each) for each in sorted(folder.glob("*")) if each.is_file()}


def _repeated(seen: list[np.ndarray]) -> int:
    """Number of repeated hashes; sorted in place, because `np.unique` takes forty bytes for each."""
    hashes = np.concatenate([np.empty(0, np.int64), *seen])
    seen.clear()
    hashes.sort()
    return int(np.count_nonzero(hashes[1:] == hashes[:-1]))


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


def _pieces(student: Student, source: Source, new_gaps: bool) -> Iterator[Examples]:
    place = find_files(source.paths, "input")
    if place.family == "arrays":
        whole = only_read(read(source, role="input"), student)
        if not new_gaps:
            refuse_new_gap(student, whole)
        for rows in torch.arange(len(whole)).split(MAX_ROWS):
            yield whole.take(rows)
        return
    opened = _opened(student, source, place)
    for frame in opened.frames(MAX_ROWS):
        if not len(frame.rows):
            continue
        try:
            examples = opened.examples(frame)
        except NothingLeft:
            continue
        if not new_gaps:
            refuse_new_gap(student, examples, frame)
        yield examples


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


def _opened(student: Student, source: Source, place: Place) -> OpenedSource:
    """Open the files with the student's columns; of CSV only the first block is read: the student has the types."""
    names = _column_names(student)
    formats = {check_format(path, place.name) for path in place.files}
    if formats != {"csv"} or not source.header or student.kind == "image":
        opened = open_pieces(source, role="input")
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


def _schema(student: Student, abstention: Abstention | None) -> pa.Schema:
    check_class_names(student.class_names, "The student")
    fields = [("id", pa.large_string()), ("label", pa.string())]
    fields += [(ABSTAINED, pa.bool_())] if abstention is not None else []
    return pa.schema([*fields, *((name, pa.float32()) for name in student.class_names)])


def _table(
    student: Student, examples: Examples, probs: Tensor, abstention: Abstention | None, schema: pa.Schema
) -> tuple[pa.Table, int]:
    """The rows of a piece, and how many have a class."""
    confidence, place = probs.max(dim=1)
    answered = np.ones(len(probs), bool) if abstention is None else abstention.accepts(confidence.numpy())
    names = pa.array(student.class_names).take(pa.array(place.numpy(), mask=~answered))
    columns = [examples.keys if examples.keys is not None else _hex(examples.ids), names]
    columns += [pa.array(~answered)] if abstention is not None else []
    columns += [pa.array(column.numpy()) for column in probs.T.contiguous()]
    return pa.Table.from_arrays(columns, schema=schema), int(answered.sum())


def _hex(ids: np.ndarray) -> pa.Array:
    """Content ids as strings of 32 hexadecimal digits."""
    signs = ids.tobytes().hex().encode()
    stops = np.arange(0, len(signs) + 1, 32, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(stops), pa.py_buffer(signs))
