"""Opens one file of answers: recognises the tool that wrote it, and makes a table with ids and named classes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from overproof.answers.form import Asked, Parsed, Text, many_objects
from overproof.answers.shapes import no_answers, renamed, without
from overproof.answers.tables import as_text, is_binary, read_table
from overproof.answers.tools import AUTO, TABLE, lines, numbers, recognised
from overproof.answers.words import readings
from overproof.data.readers.text_files import check_utf8, file_bytes, first_lines
from overproof.data.source import MAX_UNPACKED_GB
from overproof.data.wording import counted, listed, reason
from overproof.errors import InputError

HEAD_BYTES = 2**20
"""A file is recognised by its first bytes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """What a file was seen to be.

    Args:
        format: The name of its format, as in `teacher.format`.
        title: What writes it.
        why: By what it was recognised.
        parsed: What the tool's reading made of it; None for a plain table.
    """

    format: str
    title: str
    why: str
    parsed: Parsed | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Aligned:
    """The rows of the data that files without ids answer one by one.

    Args:
        paths: The files of answers, which answer the rows of the data end to end.
        ids: [N], the ids of the data's rows.
        sources: Names of the data's files and how many rows they have.
        test_is_last: Whether the last of them is a test of its own, which needs no answers.
    """

    paths: tuple[Path, ...]
    ids: pa.Array
    sources: tuple[tuple[str, int], ...]
    test_is_last: bool = False

    def of(self, path: Path, counts: Sequence[int]) -> pa.Array:
        """The ids of the rows of one of the files.

        Args:
            path: The file.
            counts: How many rows each of `paths` has.

        Raises:
            InputError: There are not as many rows as the data have.
        """
        for sources in (self.sources, *([self.sources[:-1]] if self.test_is_last else [])):
            wanted = [num for _, num in sources]
            if sum(counts) == sum(wanted) and (len(counts) != len(wanted) or list(counts) == wanted):
                place = self.paths.index(path)
                return self.ids.slice(sum(counts[:place]), counts[place])
        has = " and ".join(f"{each} has {num} rows" for each, num in zip(self.paths, counts, strict=True))
        needs = " and ".join(f"{name} has {num}" for name, num in self.sources)
        raise InputError(
            f"`align: rows` under `teacher` needs as many answers as rows: {has}, and {needs}; answers go with the "
            f"rows of the data's files in the order in which the experiment names them (a test of its own needs none)."
        )


def opened(path: Path, id_column: str, asked: Asked, wanted: str = AUTO) -> tuple[pa.Table, Seen]:
    """A file's table as it is, and what it was seen to be.

    Args:
        path: The file.
        id_column: What the column of ids is to be called.
        asked: What is said of the file.
        wanted: Its format, or `auto`.

    Raises:
        InputError: It cannot be read.
    """
    if path.suffix == ".npy":
        if wanted not in (AUTO, numbers.TOOL.name):
            raise InputError(f"{path} is a NumPy array, and option 'teacher.format' is {wanted!r}; leave that out.")
        parsed = numbers.read_array(path, asked)
        return parsed.table, Seen(format=numbers.TOOL.name, title="NumPy", why="it is a NumPy array", parsed=parsed)
    if is_binary(path):
        if wanted not in (AUTO, TABLE):
            raise InputError(f"{path} is no text, and option 'teacher.format' is {wanted!r}; leave that out.")
        return read_table(path, id_column, asked.columns), Seen(format=TABLE, title="", why="named columns")
    head = text_of(path, HEAD_BYTES)
    tool, why = recognised(head, asked, wanted)
    if tool is None and wanted == AUTO and (first := lines.begins_with_a_class(head, asked.class_names)) is not None:
        raise InputError(
            f"{path} has no line of names: its first line, {first!r}, is a class; write `format: lines` and `align: "
            f"rows` under `teacher` if its lines are the answers to the data's rows in their order."
        )
    if tool is None:
        return read_table(path, id_column, asked.columns), Seen(format=TABLE, title="", why=why)
    if not set(asked.columns) <= tool.columns:
        allowed = f"{listed(sorted(tool.columns))} can be" if tool.columns else "none is"
        raise InputError(
            f"Option 'teacher.columns' names {listed(asked.columns)}, and {path} is of {tool.title}, in which "
            f"{allowed} named; `format: table` under `teacher` reads it as a plain table."
        )
    text = text_of(path)
    if not text.lines:
        raise InputError(f"{path} is empty; a file of answers needs some rows.")
    try:
        with many_objects():
            parsed = tool.read(text, asked)
    except InputError:
        raise
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not of {tool.title}, or damaged ({type(error).__name__}: {reason(error)}); `format: table` "
            f"under `teacher` reads named columns."
        ) from error
    table = parsed.table
    if id_column != "id" and "id" in table.column_names:
        table = renamed(table, {"id": id_column})
    return table, Seen(format=tool.name, title=tool.title, why=why, parsed=parsed)


def text_of(path: Path, num_bytes: int | None = None) -> Text:
    """The text of a file, unpacked and decoded.

    Args:
        path: The file.
        num_bytes: About how much of its beginning; None for all.

    Raises:
        InputError: There is no such file, or it is neither UTF-8 nor UTF-16.
    """
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; a file of answers is needed.")
    data = b"" if num_bytes is None else first_lines(path, str(path), num_bytes)[0]
    if not data:
        # All of it is wanted, or its first line is longer.
        data = file_bytes(path, str(path), MAX_UNPACKED_GB)
    if data[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive; unpack it, and give the file of answers in it.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            # The beginning of a file may end within a character.
            return Text(path, data.decode("utf-16", errors="strict" if num_bytes is None else "replace"))
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-16 at byte {error.start}; save the file as UTF-8.") from None
    check_utf8(data, str(path))
    return Text(path, data.decode("utf-8-sig"))


def with_ids(path: Path, table: pa.Table, seen: Seen, id_column: str, ids: pa.Array) -> pa.Table:
    """A table with the ids of the rows of the data that it answers.

    Rows of the data with the same content have one id: the first answers for them.

    Args:
        path: The file, for errors.
        table: Its table without ids, or with some.
        seen: What it is.
        id_column: What to call the ids.
        ids: Those of the data's rows.

    Raises:
        InputError: The file has ids.
    """
    parsed = seen.parsed
    if id_column in table.column_names:
        own = table.column(id_column)
        if not own.null_count:
            raise InputError(
                f"{path} has ids, and option 'teacher.align' is 'rows'; leave that out, so that it is joined by them."
            )
        known = as_text(own)
        odd = pc.and_kleene(pc.is_in(known, value_set=ids), pc.not_equal(known, ids))
        if (num := pc.sum(odd).as_py()) and parsed is not None and parsed.rows is None:
            raise InputError(
                f"{path}: {counted(num, 'row has', 'rows have')} the id of another row of the data; they "
                f"are in another order."
            )
        table = table.drop_columns([id_column])
    rows = np.arange(len(table)) if parsed is None or parsed.rows is None else np.asarray(parsed.rows, np.int64)
    if len(rows) and rows.max() >= len(ids):
        raise InputError(f"{path} answers row {rows.max()} (counted from 0) of data that have {len(ids)} rows.")
    table = table.append_column(id_column, ids.take(pa.array(rows, pa.int64())))
    if "annotator" in table.column_names:
        return table
    codes = np.asarray(table.column(id_column).combine_chunks().dictionary_encode().indices)
    first = np.sort(np.unique(codes, return_index=True)[1])
    kept = table.take(pa.array(first))
    return without(kept, len(table) - len(first), "an earlier row of the data has the same content")


def num_rows(table: pa.Table, seen: Seen) -> int:
    """How many rows of the data a file without ids answers."""
    return len(table) if seen.parsed is None or seen.parsed.num_rows is None else seen.parsed.num_rows


def answering(table: pa.Table, seen: Seen, id_column: str) -> pa.Table:
    """A tool's table without the rows that hold no answer.

    Args:
        table: With ids, or without.
        seen: What the file is.
        id_column: The column of ids.
    """
    if seen.parsed is None:
        return table
    for why, num in seen.parsed.left_out.items():
        table = without(table, num, why)
    if id_column in table.column_names and table.column(id_column).null_count:
        kept = table.filter(pc.is_valid(table.column(id_column)))
        table = without(kept, len(table) - len(kept), "they have no id")
    for name in ("top_classes", "probs"):
        if name in table.column_names and table.column(name).null_count:
            kept = table.filter(pc.is_valid(table.column(name)))
            table = without(kept, len(table) - len(kept), "their line is empty")
    return table


def in_class_names(
    table: pa.Table, seen: Seen, class_names: tuple[str, ...], aliases: Mapping[str, str], path: Path
) -> pa.Table:
    """A tool's table with its classes called as the run's are.

    Args:
        table: The tool's.
        seen: What the file is.
        class_names: The run's; () where only the file names them.
        aliases: Classes by the words that mean them.
        path: The file, for errors.

    Raises:
        InputError: A class of the file is none of the run's.
    """
    if not class_names:
        return table
    if seen.parsed is None:
        # Columns of classes by another name; words in cells are read by `overproof.answers.spelling`.
        columns = set(table.column_names)
        new = {word: name for word, name in aliases.items() if word in columns - set(class_names)}
        return renamed(table, new) if set(class_names) <= columns | set(new.values()) else table
    if seen.parsed.classes:
        _check_known(seen.parsed.classes, class_names, aliases, path)
        found, _ = readings(seen.parsed.classes, class_names, aliases)
        if "label" in table.column_names and "label" not in seen.parsed.classes:
            words = table.column("label").to_pylist()
            label = pa.array([found.get(word, word) for word in words], pa.string())
            table = table.set_column(table.column_names.index("label"), "label", label)
        return renamed(table, found)
    if not len(table) or "top_classes" not in table.column_names:
        return table
    values = pc.unique(pc.list_flatten(table.column("top_classes"))).drop_null().to_pylist()
    if values:
        _check_known(values, class_names, aliases, path)
    return table


def _check_known(named: Sequence[str], class_names: Sequence[str], aliases: Mapping[str, str], path: Path) -> None:
    _, none = readings(named, class_names, aliases)
    if none and len(none) == len(set(named)):
        first = next(name for name in named if name in none)
        raise InputError(
            f"{path} names the classes {listed(named)}, and those of the data are {listed(class_names)}; say which is "
            f"which under `teacher`: `aliases: {{{first!r}: …}}`."
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HowRead:
    """What is to be known of how a file was read.

    Args:
        seen: What it was seen to be.
        left_out: How many of its rows are no answers, by why.
        notes: Sentences.
    """

    seen: Seen
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def sentences(self, name: str) -> list[str]:
        """What a run says of the file.

        Args:
            name: What to call it.
        """
        found = [f"{name}: {note}" for note in self.notes]
        found += [f"{name}: {no_answers(num, why)}." for why, num in self.left_out.items()]
        return found
