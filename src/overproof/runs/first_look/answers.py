"""What a file of a teacher's answers holds: which of its columns joins with which of the data, and its words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers import names
from overproof.answers.form import Asked
from overproof.answers.names import plain
from overproof.answers.opened import Seen, opened
from overproof.answers.tables import as_text, read_table
from overproof.answers.tools import AUTO, check_format
from overproof.answers.words import plain_word
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.runs.first_look.columns import ColumnFacts, facts_of
from overproof.runs.first_look.files import FileFacts

_NEARLY = 0.95
_ENOUGH = 0.05
"""A column of which less than this share is found among the data's ids is not their id."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnswersFound:
    """A file of answers.

    Args:
        path: As it was typed.
        id: Its column of ids; empty where rows are aligned.
        data_id: The column of the data that it joins with; None without one where rows are aligned.
        label: Its column of class names; None where it holds probabilities.
        words: The classes that it names, with counts; empty for probabilities.
        num_rows: Its rows.
        num_joined: How many of them are of an example of the data.
    """

    path: str
    id: str
    data_id: str | None
    label: str | None
    words: Counter[str]
    num_rows: int
    num_joined: int

    @property
    def columns(self) -> dict[str, str]:
        """What `teacher.columns` must say."""
        label = {"label": self.label} if self.label is not None and plain(self.label) not in names.LABELS else {}
        return {**({} if self.id in ("id", "") else {"id": self.id}), **label}


def classes_in(path: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a file of answers names, as far as its columns show it; empty for lists of probabilities.

    Args:
        path: The file.
        said: What the user has said of the teacher.
    """
    table, seen = _opened(path, said)
    if seen.parsed is not None and seen.parsed.classes:
        return tuple(sorted(seen.parsed.classes))
    found = _label_of([facts_of(name, column) for name, column in _columns(table)])
    return () if found is None else found.values


def answers_found(
    path: str, files: Sequence[FileFacts], data_id: str | None, said: Mapping[str, Any], label: str | None = None
) -> AnswersFound:
    """What a file of answers holds, and how it is joined with the data.

    Args:
        path: The file.
        files: The data.
        data_id: The data's id column, where the user has named it.
        said: What the user has said of the teacher: `columns`, `format`, `align` and `classes` as in an experiment.
        label: The data's label column, which is no answer where the file is one of the data.

    Raises:
        InputError: No column of it is the id of a column of the data, or several may name its answers.
    """
    table, seen = _opened(path, said)
    columns: Mapping[str, str] = said.get("columns", {}) if seen.parsed is None else {}
    if said.get("align") == "rows":
        what = "label" if "label" in table.column_names else None
        return AnswersFound(
            path=path, id="", data_id=data_id, label=what, words=Counter(), num_rows=len(table), num_joined=len(table)
        )
    if seen.parsed is not None and seen.parsed.own_ids:
        raise InputError(f"{path}, an export of {seen.title}: {seen.parsed.own_ids}, here --set teacher.columns.id=….")
    if seen.parsed is not None and "id" not in table.column_names:
        raise InputError(
            f"{path} has no ids, as {seen.title} writes it; if its rows are those of the data in the same order, write "
            f"--align rows."
        )
    facts = [facts_of(name, column) for name, column in _columns(table)]
    keys = [each for each in facts if each.name == columns.get("id", each.name)]
    ids, own, joined = _joined(path, table, keys, files, data_id)
    own_file = any(Path(each.path) == Path(path) for each in files)
    free = [each for each in facts if each.name != ids and not (own_file and each.name == label)]
    if "label" in columns:
        free = [each for each in free if each.name == columns["label"]]
    answer = _label_of(free) if len(free) > 1 or "label" not in columns else free[0]
    likely = [each.name for each in free if each.may_be_label and each.family == "words"]
    if answer is None:
        classes = {plain_word(word) for each in files for word in _values(each.column(label))}
        fitting = [
            each for each in free if 2 * len({plain_word(word) for word in each.values} & classes) > len(classes)
        ]
        answer = fitting[0] if len(fitting) == 1 and classes else None
    if answer is None and len(likely) > 1:
        raise InputError(
            f"Which column of {path} is the answer? {listed(likely)}: write --set teacher.columns.label={likely[0]} or "
            f"another."
        )
    words: Counter[str] = Counter()
    if answer is not None:
        words.update(str(value) for value in as_text(table.column(answer.name)).to_pylist() if value is not None)
    return AnswersFound(
        path=path,
        id=said.get("columns", {}).get("id", ids) if seen.parsed is not None else ids,
        data_id=own,
        label=None if answer is None else answer.name,
        words=words,
        num_rows=len(table),
        num_joined=joined,
    )


def _values(column: ColumnFacts | None) -> tuple[str, ...]:
    return () if column is None else column.values


def _opened(path: str, said: Mapping[str, Any]) -> tuple[pa.Table, Seen]:
    """The file as it is; what the user says of the columns of a plain table changes it later."""
    asked = Asked(columns=said.get("columns", {}), classes=tuple(said.get("classes", ())))
    wanted = said.get("format", AUTO)
    check_format(wanted)
    table, seen = opened(Path(path).expanduser(), "id", asked, wanted)
    return (table if seen.parsed is not None else read_table(Path(path).expanduser(), "id")), seen


def _columns(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return [(name, table.column(name)) for name in table.column_names if not pa.types.is_nested(table[name].type)]


def _label_of(facts: Sequence[ColumnFacts]) -> ColumnFacts | None:
    """The column that names a class: by its usual names, else the only one that is an answer by its name."""
    usual = [each for each in facts if plain(each.name) in names.LABELS and each.family in ("words", "whole", "truth")]
    if usual:
        return usual[0]
    others = [each for each in facts if each.family == "words" and each.mean_words <= 4 and not each.unique]
    known = [each for each in others if names.is_answer(each.name)] or others
    return known[0] if len(known) == 1 else None


def _joined(
    path: str, table: pa.Table, facts: Sequence[ColumnFacts], files: Sequence[FileFacts], data_id: str | None
) -> tuple[str, str, int]:
    """The file's id column, the data's, and how many rows are joined."""
    tables = [each.table for each in files if each.table is not None]
    if not tables:
        raise InputError(
            f"{path}: answers are joined by an id column, and the data have no columns; give rows of data."
        )
    keys = [each for each in facts if each.family in ("words", "whole") and each.mean_words <= 1]
    own = [data_id] if data_id is not None else _ids_of_all(files)
    best: tuple[int, bool, str, str] = (0, False, "", "")
    for name in own:
        known = pa.chunked_array([chunk for each in tables for chunk in _text(each.column(name)).chunks])
        for key in keys:
            num = pc.sum(pc.is_in(_text(table.column(key.name)), value_set=known.combine_chunks())).as_py() or 0
            best = max(best, (num, plain(key.name) in ("id", plain(name)), key.name, name))
    if best[0] < max(_ENOUGH * min(len(table), sum(map(len, tables))), 1):
        have = listed(table.column_names)
        columns = listed(dict.fromkeys(name for each in files for name in (part.name for part in each.columns)))
        named = "" if data_id is None else f" for the data's {data_id!r}"
        rows = sum(map(len, tables))
        how = (
            f"its {rows} rows are as many as the data's: if they are in the same order, write --align rows"
            if rows == len(table) and not any(_repeated_in(each.name, files) for each in keys)
            else "write the answers with the data's id, and name that with --id"
        )
        raise InputError(
            f"{path} has no column of ids{named}: none of {have} has the values of a column of the data ({columns}) "
            f"that is different in every row{_almost(keys, files)}; {how}."
        )
    return best[2], best[3], best[0]


def _repeated_in(name: str, files: Sequence[FileFacts]) -> tuple[str, int] | None:
    """A value that several rows have in a column of the data which is different in nearly all; None without one."""
    found = [file.table.column(name) for file in files if file.table is not None and name in file.table.column_names]
    if not found or len(found) < len(files):
        return None
    column = pa.chunked_array([chunk for each in found for chunk in _text(each).chunks]).drop_null()
    counts = pc.value_counts(column)
    if not len(column) or len(counts) == len(column) or len(counts) < _NEARLY * len(column):
        return None
    numbers = counts.field("counts")
    place = pc.index(numbers, pc.max(numbers)).as_py()
    return counts.field("values")[place].as_py(), numbers[place].as_py()


def _almost(keys: Sequence[ColumnFacts], files: Sequence[FileFacts]) -> str:
    """That a column of the data would be the id, if it were different in every row."""
    for each in keys:
        if (found := _repeated_in(each.name, files)) is not None:
            return f" ({each.name!r} would be it, but {found[1]} rows of the data have {found[0]!r})"
    return ""


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        column = pc.cast(column, pa.int64(), safe=False)
    return column.cast(pa.large_string())


def _ids_of_all(files: Sequence[FileFacts]) -> list[str]:
    """Columns that every file of rows has, with a value of its own in every row."""
    of_rows = [each for each in files if each.columns]
    first, *others = of_rows
    return [
        each.name
        for each in first.columns
        if each.may_be_id
        and all((found := other.column(each.name)) is not None and found.may_be_id for other in others)
    ]
