"""Predict classes for files of examples with a trained student, in order and in pieces of limited size."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from overproof.data import Examples, Source
from overproof.data.classes import check_class_names
from overproof.data.find_files import find_files
from overproof.data.wording import counted, listed
from overproof.deployment.abstention import Abstention
from overproof.deployment.input_pieces import pieces_of
from overproof.deployment.predictions_file import table_writer
from overproof.errors import InputError
from overproof.models import Student, TableEncoder, load_student
from overproof.models.importing import as_paths
from overproof.processes import HERE, Engine, Work
from overproof.progress import Progress, Silent
from overproof.storage.digests import content_digest

ABSTAINED = "abstained"
"""The column that is true where the student abstains; the class is empty there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """A file of predictions that was written.

    Args:
        file: Its path.
        num_rows: Number of rows, one per example.
        num_answered: Number of rows with a class.
        seconds: Time from the first to the last row.
        columns: Its columns, in order.
        remarks: What is to be known of the rows, in sentences: how many were left out because an input is missing,
            columns of a table that the student does not use, categories that training did not have, and missing values.
        num_dropped: Number of rows that were left out because an input is missing (`missing: drop`).
    """

    file: Path
    num_rows: int
    num_answered: int
    seconds: float
    columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    num_dropped: int = 0


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
    num_dropped, unread = 0, list[str]()

    def pieces() -> Iterator[Examples]:
        nonlocal num_dropped
        for examples, dropped, columns in pieces_of(student, source, new_gaps):
            num_dropped += dropped
            unread[:] = columns
            if examples is None:
                continue
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
        lacking = f" that have an input: all {num_dropped} lack one and are left out" if num_dropped else " to predict"
        raise InputError(f"{listed(source.paths)} has no rows{lacking}; at least one is needed.")
    if twice := _repeated(seen):
        raise InputError(
            f"{listed(source.paths)} has {counted(twice, 'repeated id')} in column {source.id!r}; the id of every row "
            f"must be unique."
        )
    return Predicted(
        file=Path(),
        num_rows=num_rows,
        num_answered=num_answered,
        seconds=time.perf_counter() - began,
        columns=(),
        num_dropped=num_dropped,
        remarks=(
            *_of_dropped(num_dropped, num_rows),
            *_of_unread(unread),
            *(
                f"Column {name!r} holds a category that the student does not know in {num} of {num_rows} rows, such as "
                f"{word!r}; it reads all of these alike."
                for name, (num, word) in unknown.items()
            ),
            *(
                f"A value is missing in column {name!r} in {num} of {num_rows} rows; the student reads it as {reading}."
                for name, (num, reading) in missing.items()
            ),
        ),
    )


def _of_dropped(num: int, num_rows: int) -> list[str]:
    if not num:
        return []
    return [
        f"{num} of {num + num_rows} rows lack an input and are left out (`missing: drop`); they have no prediction."
    ]


def _of_unread(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    several = len(names) > 1
    return [
        f"{len(names)} column{'s are' if several else ' is'} not read, as the student does not use "
        f"{'them' if several else 'it'}: {listed(names)}."
    ]


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
