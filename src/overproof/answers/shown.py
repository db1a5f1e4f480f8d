"""How a file of answers is read, to be looked at before it is used: format, classes, first rows, what is left out."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.cells import without_lists
from overproof.answers.files import names_in, read_answers
from overproof.answers.names import is_answer
from overproof.answers.opened import HowRead, text_of
from overproof.answers.parsed import ParsedFiles
from overproof.answers.shapes import canonical
from overproof.answers.tables import as_text, is_binary
from overproof.answers.tools import AUTO, check_format
from overproof.answers.unanswered import lacking
from overproof.answers.votes import has_votes
from overproof.answers.words import folded, plain_word
from overproof.data.columns import is_string
from overproof.data.labels import OFTEN_UNLABELLED
from overproof.data.wording import listed
from overproof.errors import InputError

NUM_SHOWN = 5
"""Rows that are shown."""

_MOST_CLASSES = 32
_IN_FILE = "in the file"
_ANOTHER = "(another class)"
"""In place of the classes that a file of one class does not name."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shown:
    """How a file of answers is read.

    Args:
        path: The file.
        reading: Its format, what is left out, and notes.
        ids: Where the ids come from, or why there are none.
        columns: The columns or keys of the file, where it has some.
        kind: What the rows hold, in words.
        classes: The classes, in order.
        num_rows: How many examples have an answer.
        rows: The first of them: `id`, `label`, and `probs` by class (the likeliest of many).
        write: What has to stand under `teacher` for it to be read, in lines of YAML.
    """

    path: Path
    reading: HowRead
    ids: str
    columns: tuple[str, ...]
    kind: str
    classes: tuple[str, ...]
    num_rows: int
    rows: tuple[dict[str, Any], ...]
    write: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "file": str(self.path),
            "format": self.reading.seen.format,
            "tool": self.reading.seen.title or None,
            "why": self.reading.seen.why,
            "columns": list(self.columns),
            "ids": self.ids,
            "kind": self.kind,
            "classes": list(self.classes),
            "num_rows": self.num_rows,
            "rows": list(self.rows),
            "left_out": dict(self.reading.left_out),
            "notes": list(self.reading.notes),
            "write": list(self.write),
        }


def shown(path: Path, *, classes: tuple[str, ...] = (), wanted: str = AUTO, by_rows: bool = False) -> Shown:
    """How a file of answers is read.

    Args:
        path: The file.
        classes: The classes of the data, in order; () takes those that the file names.
        wanted: Its format, or `auto`.
        by_rows: Whether its rows are to be aligned with those of the data.

    Raises:
        InputError: It cannot be read; or it has ids, and rows are to be aligned.
    """
    check_format(wanted)
    files = ParsedFiles(format=wanted, numbered=True)
    given = classes
    seen = files.seen(path, "id", given)
    table = files.table(path, "id", given)
    if not len(table):
        raise InputError(f"{path} has no rows with an answer; a file of answers needs some.")
    names = classes or _named(path, files, table)
    canonical = files.canonical(path, "id", names)
    ids = as_text(canonical.column("id"))
    votes = has_votes(canonical) and not set(names) <= set(canonical.column_names)
    ids = ids.unique() if votes else ids
    lacks = lacking([path], ids, names, parsed=files)
    answers = read_answers(path, ids, names, source=str(path), unanswered="none", parsed=files)
    reading = files.reading(path, "id", names)
    left_out = Counter(dict(reading.left_out))
    left_out.update({f"{word!r} is no class" if word else "the answer is empty": n for word, n in lacks.words.items()})
    has = np.flatnonzero(~lacks.mask)
    first = answers.probs()[has[:NUM_SHOWN]].numpy()
    rows = tuple(_row(ids[int(row)].as_py(), first[place], names) for place, row in enumerate(has[:NUM_SHOWN]))
    own, numbered = _ids(path, files, given)
    if by_rows and not numbered and own == _IN_FILE:
        raise InputError(f"{path} has ids, by which it is joined; leave --align out.")
    notes = list(seen.parsed.notes if seen.parsed is not None else ()) + [
        each for each in files.spelling(path, "id", names).sentences(str(path))
    ]
    if files.in_order(path, "id", names) and not given:
        notes.append("The file does not name its classes; --classes gives their names in order.")
    if not given and (odd := [word for word in lacks.words if word.lower() in OFTEN_UNLABELLED]):
        notes.append(f"{listed(odd)} may mean no class, and is taken for none; --classes names it if it is one.")
    if _ANOTHER in names:
        notes.append("The file names one class; --classes gives all.")
    write = [f"format: {wanted}"] if wanted != AUTO else []
    likely = _likely_ids(path, files) if numbered and not by_rows else None
    if likely is not None:
        notes.append(f"The values of {likely!r} all differ: if they are ids of the data, name the column as below.")
        named = likely if likely.isidentifier() else json.dumps(likely, ensure_ascii=False)
        write += [f"columns: {{id: {named}}}"]
    elif numbered:
        write += ["align: rows"]
    return Shown(
        path=path,
        reading=HowRead(seen=seen, left_out=dict(left_out), notes=tuple(notes)),
        ids=own,
        columns=_columns(path),
        kind=_kind(canonical, names, votes),
        classes=tuple(name for name in names if name != _ANOTHER),
        num_rows=len(has),
        rows=rows,
        write=tuple(write),
    )


def _named(path: Path, files: ParsedFiles, table: pa.Table) -> tuple[str, ...]:
    parsed = files.seen(path, "id", ()).parsed
    if parsed is not None and parsed.classes:
        return tuple(sorted(parsed.classes))
    whole = table if parsed is not None else canonical(path, table, "id", ())
    counts = _words(whole)
    # Columns of that name are the classes, each by itself.
    if not counts or (parsed is None and set(names_in(path, table, "id")) <= set(whole.column_names)):
        return names_in(path, table, "id")
    # Whoever reads the file with the classes of the data reads the spellings of one as one.
    named = {plain_word(word): word for word in folded(counts)}
    found = tuple(named[each] for each in without_lists(tuple(named)))
    known = tuple(word for word in found if word.lower() not in OFTEN_UNLABELLED)
    found = known or found
    return found if len(found) > 1 else (*found, _ANOTHER)


def _words(table: pa.Table) -> Counter[str]:
    """The words that name classes in the rows of a table, counted; empty where its columns or places do."""
    name = next((each for each in ("top_classes", "labels", "label") if each in table.column_names), None)
    if name is None or {"probs", "logprobs"} & set(table.column_names):
        return Counter()
    column = table.column(name)
    if pa.types.is_nested(column.type):
        column = pc.list_flatten(column)
    counted = pc.value_counts(as_text(column).drop_null())
    return Counter({each["values"]: each["counts"] for each in counted.to_pylist()})


def _row(key: str, probs: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    order = np.argsort(-probs, kind="stable")
    kept = range(len(names)) if len(names) <= _MOST_CLASSES else order[:NUM_SHOWN]
    by_class = {names[int(place)]: round(float(probs[place]), 4) for place in kept if names[int(place)] != _ANOTHER}
    return {"id": key, "label": names[int(order[0])], "probs": by_class}


def _ids(path: Path, files: ParsedFiles, classes: tuple[str, ...]) -> tuple[str, bool]:
    """Where the ids come from, and whether there are none."""
    seen = files.seen(path, "id", classes)
    plain = ParsedFiles(format=files.format)
    table = plain.table(path, "id", classes)
    if seen.parsed is not None and seen.parsed.own_ids:
        return f"not yours: {seen.parsed.own_ids}", False
    if "id" in table.column_names:
        return _IN_FILE, False
    if seen.parsed is not None and seen.parsed.rows is not None:
        return "none; the rows are numbered in the file", True
    return "none; rows are numbered here from 0", True


def _likely_ids(path: Path, files: ParsedFiles) -> str | None:
    """The first column of texts or whole numbers that is no answer and has another value in every row."""
    if is_binary(path) or text_of(path, 2**20).header:
        table = ParsedFiles(format=files.format).table(path, "id", ())
        for name in table.column_names:
            column, kind = table.column(name), table.schema.field(name).type
            named = pa.types.is_integer(kind) or is_string(kind)
            if named and not is_answer(name) and len(table) > 1 and len(column.drop_null().unique()) == len(table):
                return name
    return None


def _columns(path: Path) -> tuple[str, ...]:
    if is_binary(path):
        return tuple(ParsedFiles().table(path, "id").column_names)
    text = text_of(path, 2**20)
    if text.is_json:
        objects = [each for each in text.first_values if isinstance(each, dict)]
        return tuple(dict.fromkeys(name for each in objects for name in each))
    header = tuple(text.header)
    # Lines of numbers or pairs have no names.
    named = (len(header) > 1 and any(is_answer(name) for name in header)) or "id" in header or "task" in header
    return header if named or "inst#" in header else ()


def _kind(table: pa.Table, names: tuple[str, ...], votes: bool) -> str:
    columns = set(table.column_names)
    if votes:
        return "votes"
    if set(names) <= columns or {"probs", "logprobs"} & columns:
        return "probabilities of all classes"
    if "top_classes" in columns:
        return "probabilities of the likeliest classes"
    return "a class and its probability" if {"confidence", "logprob"} & columns else "a class"


def described(found: Shown) -> list[str]:
    """How a file is read, in lines for people.

    Args:
        found: What `shown` made.
    """
    seen = found.reading.seen
    tool = f" ({seen.title})" if seen.title else ""
    lines = [f"{found.path}: format {seen.format}{tool}: {seen.why}."]
    lines += [f"columns   {listed(found.columns, limit=20)}"] if found.columns else []
    lines += [f"ids       {found.ids}", f"answers   {found.num_rows}, each {found.kind}"]
    lines += [f"classes   {listed(found.classes, limit=20)}"]
    for row in found.rows:
        probs = ", ".join(f"{name} {prob:.4g}" for name, prob in row["probs"].items())
        lines.append(f"  {row['id']}: {row['label']}  ({probs})")
    lines += [f"left out  {num}: {why}" for why, num in found.reading.left_out.items()]
    lines += [f"note      {note}" for note in found.reading.notes]
    lines += [f"write     {line}  (under `teacher`)" for line in found.write]
    return lines
