"""Columns other than the inputs: row filters (`where`), labels and the user's own ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from overproof.data.source import Source
from overproof.data.wording import at_row, listed, nearest
from overproof.errors import InputError

UNKNOWN = -1
"""The label index of an example whose label is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The rows of a file that are kept so far, with their row numbers in the file.

    Args:
        name: Name of the file in error messages: "pool (reviews.parquet)"; with several files, of all of them.
        table: [N rows], every column that is still needed.
        rows: [N], the row number in its file of each row of the table.
        files: The names of several files; () where there is one.
        file: [N], index into `files`; empty where there is one file.
        dropped: How many rows were left out because they lack an input.
    """

    name: str
    table: pa.Table
    rows: Int64[np.ndarray, "N"]
    files: tuple[str, ...] = ()
    file: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    dropped: int = 0

    def column(self, name: str) -> pa.Array:
        """One column as one array, without dictionary encoding."""
        combined = self.table.column(name).combine_chunks()
        column = combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

    def at(self, index: int | np.integer) -> str:
        """Describe row `index` of the table by its row number in the file, and the file where there are several."""
        return at_row(int(self.rows[index])) + self._within(index)

    def row(self, index: int | np.integer) -> str:
        """The same, shorter, for the second row in a message."""
        return f"row {self.rows[index]}" + self._within(index)

    def _within(self, index: int | np.integer) -> str:
        return f" of {self.files[self.file[index]]}" if self.files else ""

    def keep(self, mask: Bool[np.ndarray, "N"]) -> "Frame":
        """Keep the rows where the mask is true."""
        if mask.all():
            return self
        return replace(
            self,
            table=self.table.filter(pa.array(mask)),
            rows=self.rows[mask],
            file=self.file[mask] if self.files else self.file,
        )


def whole(name: str, table: pa.Table) -> Frame:
    """A frame of all rows of a file.

    Raises:
        InputError: If there are none.
    """
    if len(table) == 0:
        raise InputError(f"{name} has no rows; at least one is needed.")
    return Frame(name=name, table=table, rows=np.arange(len(table)))


def joined(name: str, frames: Sequence[Frame], files: tuple[str, ...]) -> Frame:
    """The frames of several files as one.

    Args:
        name: Name of all files together in error messages.
        frames: At least one per file, with the same columns of the same types.
        files: The name of each frame's file; () where there is one file.

    Raises:
        InputError: If there are no rows.
    """
    if not any(len(frame.rows) for frame in frames):
        raise InputError(f"{name} has no rows; at least one is needed.")
    table = pa.concat_tables([frame.table for frame in frames])
    rows = np.concatenate([frame.rows for frame in frames])
    if not files:
        return Frame(name=name, table=table, rows=rows)
    distinct = tuple(dict.fromkeys(files))
    file = np.repeat([distinct.index(each) for each in files], [len(frame.rows) for frame in frames]).astype(np.int32)
    return Frame(name=name, table=table, rows=rows, files=distinct, file=file)


def check_names(name: str, existing: Iterable[str], source: Source, *, what: str = "column") -> None:
    """Check that every column named in the source exists exactly once.

    Raises:
        InputError: If one is missing (with the nearest one and all that exist), repeated or used twice.
    """
    present = list(existing)
    wanted = {"label": source.label, "id": source.id, "group": source.group}
    named = [("input", word) for word in source.inputs]
    named += [(option, word) for option, word in wanted.items() if word is not None]
    lists = {"ignore": source.ignore, "categories": source.categories, "where": source.where}
    named += [(option, word) for option, words in lists.items() for word in words]
    for option, word in named:
        if word not in present:
            elsewhere = "; if only some files have it, write it there alone, as `group` in data.files.labelled"
            raise InputError(
                f"{name} has no {what} {word!r} for `{option}`{nearest(word, present)}; it has {listed(present)}"
                f"{elsewhere if option == 'group' else ''}."
            )
    if repeated := sorted({word for word in present if present.count(word) > 1}):
        raise InputError(f"{name} has more than one {what} called {listed(repeated)}; names must be unique.")


def where(frame: Frame, source: Source) -> Frame:
    """Keep the rows whose columns equal the values of `source.where`.

    Raises:
        InputError: If no row is left; the message lists the values that are present.
    """
    for name, value in source.where.items():
        mask = _equal(frame, name, value)
        if not mask.any():
            present = sorted(str(word) for word in pc.unique(frame.column(name)).slice(0, 1000).to_pylist())
            raise InputError(
                f"{frame.name} has no row left where column {name!r} is {value!r}; the values present are "
                f"{listed(present)}."
            )
        frame = frame.keep(mask)
    return frame


def chosen(frame: Frame, source: Source) -> Frame:
    """The same as `where` for one piece of a file, which may have no matching row."""
    for name, value in source.where.items():
        frame = frame.keep(_equal(frame, name, value))
    return frame


def _equal(frame: Frame, name: str, value: object) -> Bool[np.ndarray, "N"]:
    """Where a column equals a value; nowhere if the value does not fit the column's type."""
    column = frame.column(name)
    spelled = str(value).lower() if isinstance(value, bool) else str(value)
    try:
        equal = pc.equal(column, pa.scalar(spelled).cast(column.type))
    except (pa.ArrowException, ValueError):
        equal = pa.repeat(False, len(column))
    mask: np.ndarray = pc.fill_null(equal, False).to_numpy(zero_copy_only=False)
    return mask


def is_string(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a string of any width."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def keys(frame: Frame, source: Source) -> pa.Array | None:
    """The user's own ids as strings, or None where `source.id` is not set.

    Raises:
        InputError: If one is missing or repeated; the message has both rows.
    """
    return None if source.id is None else unique_keys(frame.column(source.id), frame, source.id)


def groups(frame: Frame, source: Source) -> pa.Array | None:
    """The group of every row as a string, null where it has none; None where `source.group` is not set.

    Raises:
        InputError: If the column holds neither strings nor whole numbers.
    """
    return None if source.group is None else groups_of(frame.column(source.group), frame, source.group)


def groups_of(column: pa.Array, frame: Frame, name: str) -> pa.Array:
    """Check the groups of some rows, and convert them to strings.

    Raises:
        InputError: If they are neither strings nor whole numbers.
    """
    if pa.types.is_floating(column.type):
        whole = pc.if_else(pc.is_nan(column), None, column)
        if pc.all(pc.equal(pc.floor(whole), whole), min_count=0).as_py():
            column = whole.cast(pa.int64())
    if not (pa.types.is_integer(column.type) or is_string(column.type) or pa.types.is_null(column.type)):
        raise InputError(
            f"{frame.name} has groups of type {column.type} in column {name!r}; strings or whole numbers are allowed."
        )
    words = column.cast(pa.large_string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(words), ""), None, words)


def unique_keys(column: pa.Array, frame: Frame, name: str) -> pa.Array:
    """Check that ids are present and unique, and convert them to strings.

    Raises:
        InputError: If one is missing or repeated; the message has both rows.
    """
    allowed = "every row needs an id of its own"
    if not (pa.types.is_integer(column.type) or is_string(column.type)):
        raise InputError(
            f"{frame.name} has ids of type {column.type} in column {name!r}; strings or integers are allowed."
        )
    words = column.cast(pa.large_string())
    gaps = pc.or_kleene(pc.is_null(words), pc.equal(words, ""))
    if pc.any(gaps).as_py():
        row = pc.index(gaps, True).as_py()
        raise InputError(f"{frame.name} has no id in column {name!r}, {frame.at(row)}; {allowed}.")
    encoded: NDArray[np.integer] = words.dictionary_encode().indices.to_numpy()
    _, first = np.unique(encoded, return_index=True)
    if len(first) < len(encoded):
        second = int(np.setdiff1d(np.arange(len(encoded)), first)[0])
        earlier = int((encoded == encoded[second]).argmax())
        raise InputError(
            f"{frame.name} has the id {str(words[second])!r} in column {name!r} twice, in "
            f"{frame.row(earlier)} and {frame.at(second)}; {allowed}."
        )
    return words
