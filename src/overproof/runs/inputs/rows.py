"""What is remembered of the single rows of an input, so that an error can name those that changed.

Of each row the hashes of key, input and label (or answer) are kept, sixteen bytes. They decide nothing (`record`
compares the content of files); where a file has more rows, or is not held in memory, the error names the file alone.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overproof.answers.files import ParsedFiles
from overproof.data import Examples
from overproof.data.wording import counted
from overproof.seeds import hasher

MOST_ROWS = 50_000
"""Rows of an input that are remembered; of a longer one none is."""

_ROW = np.dtype([("key", "V8"), ("content", "V4"), ("label", "V4")])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InputRows:
    """The rows of an input.

    Args:
        noun: What the mark stands for: "labels" or "answers".
        rows: [N], for each row its key, content and mark, hashed.
        name: The name of a row in errors, from its number; None where it is read from a record.
    """

    noun: str
    rows: np.ndarray
    name: Callable[[int], str] | None = None

    def as_text(self) -> dict[str, str]:
        """Plain data for JSON."""
        return {"noun": self.noun, "rows": base64.b64encode(self.rows.tobytes()).decode()}


def rows_from(text: dict[str, str]) -> InputRows:
    """What `InputRows.as_text` gave."""
    return InputRows(noun=text["noun"], rows=np.frombuffer(base64.b64decode(text["rows"]), _ROW))


def rows_of_examples(examples: Examples) -> InputRows | None:
    """The rows of a data file; None where there are too many of them or they are on disk.

    Args:
        examples: As they were read.
    """
    if examples.mapped is not None or not 0 < len(examples) <= MOST_ROWS:
        return None
    ids = [bytes(each) for each in examples.ids.tolist()]
    keys = None if examples.keys is None else list(map(str, examples.keys.to_pylist()))
    names = [*examples.class_names, ""]
    labels = [names[index] for index in examples.label.tolist()]
    rows = _rows(ids if keys is None else keys, ids, labels)

    def name(row: int) -> str:
        return f"row {row}" if keys is None else f"id {keys[row]!r}"

    return InputRows(noun="labels", rows=rows, name=name)


def rows_of_answers(path: Path, files: ParsedFiles) -> InputRows | None:
    """The rows of a file of answers; None where there are too many of them or it has no ids.

    Args:
        path: The file.
        files: Cache of parsed files.

    Raises:
        InputError: It cannot be read.
    """
    table = files.table(path, "id")
    if not 0 < len(table) <= MOST_ROWS or "id" not in table.column_names:
        return None
    keys = list(map(str, table.column("id").to_pylist()))
    others = table.drop_columns(["id"])
    marks = [repr(values) for values in zip(*(column.to_pylist() for column in others.columns), strict=True)]
    rows = _rows(keys, [b""] * len(keys), marks or [""] * len(keys))
    return InputRows(noun="answers", rows=rows, name=lambda row: f"id {keys[row]!r}")


def difference(before: InputRows, now: InputRows) -> str:
    """What changed between two readings of an input, in words; empty where no row differs.

    Args:
        before: As recorded.
        now: As it is now, with names.
    """
    assert now.name is not None
    where = {key.tobytes(): row for row, key in enumerate(before.rows["key"])}
    # Of a key that stands in several rows the last row counts on both sides.
    here = {key.tobytes(): row for row, key in enumerate(now.rows["key"])}
    shared = [(where[key], row) for key, row in here.items() if key in where]
    marked = [row for old, row in shared if before.rows["label"][old] != now.rows["label"][row]]
    edited = [row for old, row in shared if before.rows["content"][old] != now.rows["content"][row]]
    new = [row for key, row in here.items() if key not in where]
    gone = len(where.keys() - here.keys())
    total, parts = len(now.rows), list[str]()
    if marked:
        noun = now.noun if len(marked) > 1 else now.noun[:-1]
        verb = "differs" if len(marked) == 1 else "differ"
        parts.append(f"{len(marked)} {noun} of {total} rows {verb}, first {now.name(min(marked))}")
    if edited:
        verb = "differs" if len(edited) == 1 else "differ"
        parts.append(f"the input of {len(edited)} of {total} rows {verb}, first {now.name(min(edited))}")
    if new or gone:
        first = f", first {now.name(min(new))}" if new else ""
        parts.append(f"{counted(len(new), 'row is', 'rows are')} new and {counted(gone, 'is', 'are')} gone{first}")
    if not parts and before.rows.tobytes() != now.rows.tobytes():
        parts.append("its rows are in another order")
    return "; ".join(parts)


def _rows(keys: list[str] | list[bytes], contents: list[bytes], marks: list[str]) -> np.ndarray:
    rows = np.empty(len(keys), _ROW)
    rows["key"] = _hashed([each if isinstance(each, bytes) else each.encode("utf-8", "replace") for each in keys], 8)
    rows["content"] = _hashed(contents, 4)
    rows["label"] = _hashed([mark.encode("utf-8", "replace") for mark in marks], 4)
    return rows


def _hashed(values: list[bytes], num_bytes: int) -> np.ndarray:
    joined = b"".join(hasher(value, num_bytes=num_bytes).digest() for value in values)
    return np.frombuffer(joined, np.dtype(f"V{num_bytes}"))
