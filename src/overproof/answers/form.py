"""What the description of a tool's file is: how its beginning looks, and how its text becomes a table of answers."""

import gc
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from overproof.answers.cell_values import csv_rows
from overproof.errors import InputError

MOST_HEAD_ROWS = 20
"""A file is recognised by so many of its first lines or objects."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Asked:
    """What is said of a file beside its content.

    Args:
        columns: Names of its columns by what they are read as, as in `teacher.columns`.
        classes: The classes in the order in which the tool numbers them, as in `teacher.classes`.
        class_names: The run's classes; () where only the file names them.
        answer_from: Which of a label and probabilities beside it is the answer.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    answer_from: str = ""

    @property
    def in_order(self) -> tuple[str, ...]:
        """The classes by their number, for a tool that writes numbers alone; () where they are unknown."""
        return self.classes or self.class_names


class Text:
    """The text of a file: its lines, its cells, or its JSON values.

    Args:
        path: The file.
        content: All of it, decoded.
    """

    def __init__(self, path: Path, content: str):
        self.path = path
        self.content = content

    @cached_property
    def lines(self) -> list[str]:
        """Its lines without their ends, and without the empty ones after the last."""
        lines = self.content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        return lines

    @cached_property
    def is_json(self) -> bool:
        """Whether it begins like JSON."""
        return self.content.lstrip()[:1] in ("[", "{")

    @cached_property
    def is_array(self) -> bool:
        """Whether it is one JSON array, and not a list on each line."""
        begin = self.content.lstrip()
        if not begin.startswith("["):
            return False
        first = begin.partition("\n")[0].strip()
        try:
            value, end = json.JSONDecoder().raw_decode(first)
        except (ValueError, RecursionError):
            return True
        # A line that is a list is a row where others follow it.
        return end == len(first) and not begin[len(first) :].strip() and not _is_row(value)

    @cached_property
    def first_values(self) -> list[Any]:
        """The first JSON values, of the array or of the lines; none where it is no JSON."""
        if not self.is_json:
            return []
        found, decoder = list[Any](), json.JSONDecoder()
        begin = self.content[: 2**22]
        if not self.is_array:
            for line in begin.split("\n", MOST_HEAD_ROWS)[:MOST_HEAD_ROWS]:
                try:
                    found += [json.loads(line)] if line.strip() else []
                except (ValueError, RecursionError):
                    return []
            return found
        place = begin.index("[") + 1
        while len(found) < MOST_HEAD_ROWS:
            while place < len(begin) and begin[place] in " \t\r\n,":
                place += 1
            try:
                value, place = decoder.raw_decode(begin, place)
            except (ValueError, RecursionError):
                break
            found.append(value)
        return found

    @property
    def first_object(self) -> dict[str, Any]:
        """The first JSON value where it is an object; {} where it is none."""
        first = self.first_values[0] if self.first_values else None
        return first if isinstance(first, dict) else {}

    def values(self) -> list[Any]:
        """All JSON values, of the array or of the lines.

        Raises:
            InputError: It is no JSON.
        """
        if self.is_array:
            try:
                found = json.loads(self.content, object_pairs_hook=_keys_once)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.path} cannot be read as JSON ({error}); a whole array is needed.") from None
            assert isinstance(found, list)
            return found
        values = []
        for number, line in enumerate(self.lines):
            if not line.strip():
                continue
            try:
                values.append(json.loads(line, object_pairs_hook=_keys_once))
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{self.path}, line {number + 1}: it cannot be read as JSON ({error}); JSON lines hold one whole "
                    f"value each."
                ) from None
        return values

    @cached_property
    def mark(self) -> str:
        """What stands between the cells of its first line: a comma, or a tab where there are more of them."""
        first = self.lines[0] if self.lines else ""
        return "\t" if first.count("\t") > first.count(",") else ","

    @cached_property
    def header(self) -> list[str]:
        """The cells of its first line."""
        return next(iter(csv_rows(self.lines[:1], mark=self.mark, most=1)), [])

    @cached_property
    def first_rows(self) -> list[list[str]]:
        """The cells of its next lines."""
        begin = "\n".join(self.lines[: MOST_HEAD_ROWS + 1])
        return csv_rows(io.StringIO(begin), mark=self.mark)[1:]

    def check_header(self, *names: str) -> None:
        """Reject a file whose first line has not these names.

        Args:
            names: They.

        Raises:
            InputError: One is not there, or a name is there twice.
        """
        lacking = [name for name in names if name not in self.header]
        twice = [name for name in self.header if name and self.header.count(name) > 1]
        if lacking or twice:
            what = f"no column {lacking[0]!r}" if lacking else f"more than one column {twice[0]!r}"
            raise InputError(f"{self.path} has {what}; its columns are {', '.join(self.header)[:200]}.")

    def rows(self, width: int) -> list[list[str]]:
        """The cells of all lines after the first.

        Args:
            width: How many each must have.

        Raises:
            InputError: A row has more or fewer.
        """
        rows = csv_rows(io.StringIO("\n".join(self.lines)), mark=self.mark)[1:]
        for number, row in enumerate(rows):
            if len(row) != width:
                self.refuse(number, f"it has {len(row)} cells; the line of names has {width}")
        return rows

    def refuse(self, row: int, what: str) -> NoReturn:
        """Reject the file for one of its rows.

        Args:
            row: Its number, from 0.
            what: What is wrong, and what is allowed.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.path}, row {row} (counted from 0): {what}.")

    def number(self, row: int, word: str) -> float:
        """A word of a row as a number.

        Args:
            row: The row's number, for errors.
            word: What stands there.

        Raises:
            InputError: It is none.
        """
        try:
            return float(word)
        except ValueError:
            self.refuse(row, f"{word[:80]!r} stands where a number must")


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        ValueError: A key occurs twice; which value is meant is not said.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} occurs twice in an object")
    return found


def _is_row(value: Any) -> bool:
    """Whether a list is the answer to one example, as a pipeline gives it with `top_k`, and not all of a file.

    Its classes differ, and their scores sum to one.
    """
    scored = [each for each in value if isinstance(each, dict) and set(each) == {"label", "score"}]
    if len(scored) < max(len(value), 2) or not all(isinstance(each["score"], float | int) for each in scored):
        return False
    distinct = len({str(each["label"]) for each in scored}) == len(scored)
    return distinct and abs(sum(each["score"] for each in scored) - 1) < 1e-3


@contextmanager
def many_objects() -> Iterator[None]:
    """While millions of small objects are made that all stay, Python does not look for cycles among them.

    It would look at all of them again and again: half of the time that a large file of JSON took.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parsed:
    """A tool's file as a table of answers.

    Args:
        table: Columns of the names that `overproof.answers.formats` and `overproof.answers.shapes` know; `id` where
            rows have one.
        classes: The columns that are classes by name.
        named: Whether `table` names classes in another way: in `label`, `labels` or `top_classes`.
        in_order: Whether classes follow from their place alone, so that their order must fit the labels.
        left_out: How many rows are no answers, by why.
        notes: What is to be known of how it was read, in sentences.
        own_ids: Why its ids may not be the user's, and what to write; empty where they are.
        rows: Without ids the row of the data that each row is of, where they are not one for one and in order.
        num_rows: Without ids how many rows of the data there are; None for as many as `table` has.
    """

    table: pa.Table
    classes: tuple[str, ...] = ()
    named: bool = False
    in_order: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    own_ids: str = ""
    rows: tuple[int, ...] | None = None
    num_rows: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool, and what its file is.

    Args:
        name: As in `teacher.format`.
        title: Its name for people.
        version: The versions whose files were read, or "by public description".
        writes: What it writes, and by which call.
        read_as: How that is read.
        trap: What goes wrong without it.
        looks_like: By what the beginning of a file is recognised, in words; None where it is not.
        read: Makes the table.
        columns: What `teacher.columns` may name in it; with anything else the file is a plain table.
    """

    name: str
    title: str
    version: str
    writes: str
    read_as: str
    trap: str
    looks_like: Callable[[Text], str | None]
    read: Callable[[Text, Asked], Parsed]
    columns: frozenset[str] = frozenset()


def word_of(value: Any) -> str | None:
    """A JSON value as the name of a class; None for null.

    Example:
        >>> [word_of(value) for value in ("pos", 1, 2.0, True, None)]
        ['pos', '1', '2', 'true', None]
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def text_table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A table of columns of words, numbers and lists, whose empty columns are words.

    Args:
        columns: Values by name.
    """
    arrays = {}
    for name, values in columns.items():
        values = list(values)
        made = pa.array(values, pa.list_(pa.string())) if name == "top_classes" and not values else pa.array(values)
        arrays[name] = made.cast(pa.string()) if pa.types.is_null(made.type) else made
    return pa.table(arrays)


def records_table(path: Path, records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """JSON objects as a table of all their keys, words and whole numbers in one column as words.

    Args:
        path: The file, for errors.
        records: The objects.

    Raises:
        InputError: A key holds values of several kinds.
    """
    names = dict.fromkeys(name for record in records for name in record)
    arrays = {}
    for name in names:
        values = [record.get(name) for record in records]
        if name in ("id", "label") or {type(value) for value in values} >= {str, int}:
            values = [word_of(value) if isinstance(value, str | int | float | None) else value for value in values]
        try:
            arrays[name] = pa.array(values)
        except UnicodeEncodeError:
            raise InputError(
                f"{path}: {name!r} holds half of a surrogate pair, as of a symbol that was cut in two; text in Unicode "
                f"is needed."
            ) from None
        except (pa.ArrowException, OverflowError) as error:
            what = (str(error).splitlines() or ["it does not fit"])[0].rstrip(".")
            raise InputError(f"{path}: {name!r} holds values of several kinds ({what}); one kind is allowed.") from None
    return pa.table(arrays)


def counted_reasons(left_out: Counter[str]) -> dict[str, int]:
    """Reasons that occurred, in order."""
    return {why: num for why, num in sorted(left_out.items()) if num}
