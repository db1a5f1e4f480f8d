"""What a user should know of a table that was read: an index that was left out, columns that number the rows."""

import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from overproof.data.columns import is_string
from overproof.data.examples import Examples
from overproof.data.find_files import find_files
from overproof.data.readers.arrow_files import named_index, schema_of
from overproof.data.readers.number_columns import CODE, MOSTLY, NUMBER
from overproof.data.row_order import FEWEST_ROWS, rising, row_numbers
from overproof.data.source import Source, format_of
from overproof.data.wording import at_row, counted, listed
from overproof.errors import InputError

_WRITTEN_DATE = r"^\s*(\d{1,2}[./-]\s?\d{1,2}[./-]\s?(\d{4}|\d{2})|\d{4}[./]\d{1,2}[./]\d{1,2})([ T].*)?$"
"""24.04.2026, 4/24/26, 2026/04/24; with a time or without."""

FEWEST_TEXTS = 30
"""In fewer rows many categories are seen once."""
DISTINCT = 0.8
"""The share of different values in the first rows from which a column of strings can hardly hold categories."""
MOST_ROWS = 100_000
MOST_OTHERS, FEWEST_NUMBERS = 3, 10
"""Different words beside numbers, and different numbers: a column of 1, 2 and 3+ holds categories."""


def remarks_on(source: Source, role: str, examples: Examples) -> list[str]:
    """Sentences about the columns of a table that hardly describe its rows.

    Args:
        source: The files and what was read in them.
        role: Role of the examples.
        examples: All of them, in the order of the files.
    """
    remarks = []
    if index := left_out(source, role):
        remarks.append(
            f"{examples.origin}: {listed(index)} is the row index of a pandas frame by the file's metadata and is not "
            f"read; name it as `id`, `label` or `input` to use it, or save the frame after `reset_index()` to make it "
            f"a feature."
        )
    if examples.dropped:
        remarks.append(
            f"{examples.origin}: {counted(examples.dropped, 'row lacks', 'rows lack')} an input and "
            f"{'is' if examples.dropped == 1 else 'are'} left out (`missing: drop`); "
            f"{counted(len(examples), 'is', 'are')} read."
        )
    remarks += remarks_on_gaps([examples])
    for name in row_numbers(examples):
        remarks.append(
            f"{examples.origin}: the column {name!r} numbers the rows, and is a feature now: it says where a row "
            f"stands in the file, often beside its class; write `ignore: {[name]}` to leave it out."
        )
    remarks += [
        f"{sentence}; write `ignore: {[name]}` to leave it out." for name, sentence in _rising(examples).items()
    ]
    for name, example in codes(examples).items():
        if name not in source.categories:
            remarks.append(
                f"{examples.origin}: the column {name!r} holds codes such as {example!r}, and is read as categories: "
                f"as a number it would lose its zero; write numbers without one, or leave the column out with "
                f"`ignore: {[name]}`."
            )
    gappy = numbers_among_words(examples)
    for name, (num, rows, words) in gappy.items():
        if name not in source.categories:
            remarks.append(
                f"{examples.origin}: the column {name!r} holds numbers in {num} of {rows} rows, and {listed(words)} in "
                f"the others, so that it is read as categories: every number is a category of its own. Write "
                f"`missing_words: {list(words)}` with `missing: allow` or `drop` if they mean a missing value (in a "
                f"file with types, save numbers and null), or `categories: {[name]}` if it holds categories."
            )
    dates = written_dates(examples)
    for name, example in dates.items():
        if name not in source.categories:
            remarks.append(
                f"{examples.origin}: the column {name!r} holds dates such as {example!r}, in a form that is not read "
                f"as a date, so that every day is a category of its own; write dates as 2026-04-24, or leave the "
                f"column out with `ignore: {[name]}`."
            )
    for name, (num, rows, example) in texts_as_categories(examples).items():
        if name not in source.categories and name not in dates and name not in gappy:
            remarks.append(
                f"{examples.origin}: the column {name!r} holds {num} different values in {rows} rows, such as "
                f"{example!r}, and is read as categories, which say nothing of rows with another one: write numbers as "
                f"numbers, read a text with `input: {name}`, or leave the column out with `ignore: {[name]}`."
            )
    return remarks


def _rising(examples: Examples) -> dict[str, str]:
    """What is to be said of each column that the rows are sorted by."""
    return {
        name: f"{examples.origin}: the rows are in the order of the column {name!r}, which is a feature now: rows that "
        f"come later (if it is a time) are beyond all that training saw, and it says where a row stands in the file, "
        f"often beside its class"
        for name in rising(examples)
    }


def numbers_among_words(examples: Examples) -> dict[str, tuple[int, int, list[str]]]:
    """The columns of strings of a table that are numbers in half of the rows or more, and a few words in the others.

    Args:
        examples: All rows.

    Returns:
        By column: how many numbers there are, in how many rows with a value, and the words, the most frequent first.

    Example:
        >>> from overproof.data import from_arrays
        >>> age, left = [*map(str, range(20, 60)), *["?"] * 10], [*["1", "2", "3+"] * 16, "1", "2"]
        >>> numbers_among_words(from_arrays(pa.table({"age": age, "left": left})))
        {'age': (40, 50, ['?'])}
    """
    found: dict[str, tuple[int, int, list[str]]] = {}
    for name, column in _columns_of_words(examples):
        counts = {each["values"]: each["counts"] for each in pc.value_counts(column.slice(0, MOST_ROWS)).to_pylist()}
        counts.pop(None, None)
        others = sorted((word for word in counts if not re.match(NUMBER, word)), key=lambda word: (-counts[word], word))
        num, num_known = sum(counts[word] for word in counts.keys() - set(others)), sum(counts.values())
        if 0 < len(others) <= MOST_OTHERS and len(counts) - len(others) >= FEWEST_NUMBERS and 2 * num >= num_known:
            found[name] = (num, num_known, others)
    return found


def texts_as_categories(examples: Examples) -> dict[str, tuple[int, int, str]]:
    """The columns of strings of a table that differ in nearly every row: how many values in how many rows, and one.

    Args:
        examples: All rows.

    Example:
        >>> from overproof.data import from_arrays
        >>> prices = pa.table({"price": [f"${n}.50" for n in range(40)], "team": ["north", "south"] * 20})
        >>> texts_as_categories(from_arrays(prices))
        {'price': (40, 40, '$0.50')}
    """
    found: dict[str, tuple[int, int, str]] = {}
    for name, column in _columns_of_words(examples):
        words = column.slice(0, MOST_ROWS)
        num, num_known = pc.count_distinct(words).as_py(), len(words) - words.null_count
        if num_known >= FEWEST_TEXTS and num >= DISTINCT * num_known:
            found[name] = (num, num_known, _shortened(words[pc.index(pc.is_valid(words), True).as_py()].as_py()))
    return found


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def written_dates(examples: Examples) -> dict[str, str]:
    """The columns of a table whose strings are nearly all dates in another form than ISO's, each with its first one.

    Args:
        examples: All rows.

    Example:
        >>> from overproof.data import from_arrays
        >>> written_dates(from_arrays(pa.table({"left": ["24.04.2026", "1.5.2026"] * 5, "size": ["1.5", "2"] * 5})))
        {'left': '24.04.2026'}
    """
    found: dict[str, str] = {}
    for name, words in _columns_of_words(examples):
        fits = pc.fill_null(pc.match_substring_regex(words, _WRITTEN_DATE), False)
        num_known = len(words) - words.null_count
        if num_known and (pc.sum(fits).as_py() or 0) >= MOSTLY * num_known:
            found[name] = words[pc.index(fits, True).as_py()].as_py()
    return found


def codes(examples: Examples) -> dict[str, str]:
    """The columns of a table whose strings are digits, some with a zero in front; each with the first of these.

    Args:
        examples: All rows.

    Example:
        >>> from overproof.data import from_arrays
        >>> codes(from_arrays(pa.table({"zip": ["10115", "01067"] * 5, "name": ["a", "b"] * 5})))
        {'zip': '01067'}
    """
    found: dict[str, str] = {}
    for name, words in _columns_of_words(examples):
        if pc.all(pc.match_substring_regex(words, "^ *[0-9]+ *$")).as_py():
            coded = pc.fill_null(pc.match_substring_regex(words, CODE), False)
            if pc.any(coded).as_py():
                found[name] = words[pc.index(coded, True).as_py()].as_py()
    return found


def remarks_on_frames(parts: Sequence[Examples]) -> list[str]:
    """Sentences about data frames given in Python: columns with gaps, and columns that number the rows.

    Args:
        parts: All examples, with the same columns.

    Example:
        >>> from overproof.data.examples import from_arrays
        >>> gappy = from_arrays(pa.table({"age": [31.0, None, 40.0]}), missing="allow", origin="pool")
        >>> remarks_on_frames([gappy])
        ["pool: a value is missing in column 'age' in 1 of 3 rows; the student reads it as missing."]
    """
    remarks = remarks_on_gaps(parts)
    numbering = {name: each.origin for each in reversed(parts) for name in row_numbers(each)}
    for name in numbering:
        remarks.append(
            f"{numbering[name]}: the column {name!r} numbers the rows, and is a feature now: it says where a row "
            f"stands, often beside its class; drop the column to leave it out."
        )
    in_order = {name: sentence for each in reversed(parts) for name, sentence in _rising(each).items()}
    remarks += [
        f"{sentence}; drop the column to leave it out." for name, sentence in in_order.items() if name not in numbering
    ]
    largest = max(parts, key=len)
    for name, (num, rows, example) in texts_as_categories(largest).items():
        remarks.append(
            f"{largest.origin}: the column {name!r} holds {num} different values in {rows} rows, such as "
            f"{example!r}, and is read as categories, which say nothing of rows with another one: give numbers as "
            f"numbers, texts as a column by itself with a student that reads texts, or drop the column."
        )
    return remarks


def remarks_on_new_gaps(drawn: Mapping[str, Examples]) -> list[str]:
    """Sentences on numbers and dates that are missing in columns in which none is among what is trained on.

    Args:
        drawn: Examples by role; labelled and pool are trained on.
    """
    trained = [drawn[role] for role in ("labelled", "pool") if role in drawn]
    if not trained or trained[0].kind != "table" or any(each.mapped is not None for each in drawn.values()):
        return []
    remarks = []
    for name in trained[0].column_names:
        if is_string(trained[0].column(name).type) or any(_num_gaps(each, name) for each in trained):
            continue
        for role, each in drawn.items():
            if role in ("test", "validation") and name in each.column_names and (num := _num_gaps(each, name)):
                remarks.append(
                    f"{each.origin}: a value is missing in column {name!r} in {num} of {len(each)} {role} examples and "
                    f"in no labelled or pool example; the student reads it as the column's mean."
                )
    return remarks


def _num_gaps(examples: Examples, name: str) -> int:
    return int(pc.sum(pc.is_null(examples.column(name), nan_is_null=True)).as_py() or 0)


def remarks_on_gaps(parts: Sequence[Examples]) -> list[str]:
    """How many values are missing in which column; empty without any.

    Args:
        parts: All examples, with the same columns where they are tables.
    """
    if parts[0].kind != "table":
        return []
    num_rows, origin = sum(len(part) for part in parts), " and ".join(part.origin for part in parts)
    counts = {
        name: sum(_num_gaps(part, name) for part in parts)
        for name in parts[0].column_names
        if all(name in part.column_names for part in parts)
    }
    if gaps := [f"{name!r} in {count}" for name, count in counts.items() if count]:
        shown = ", ".join(gaps[:8]) + (f" and {len(gaps) - 8} more columns" if len(gaps) > 8 else "")
        return [f"{origin}: a value is missing in column {shown} of {num_rows} rows; the student reads it as missing."]
    return []


def left_out(source: Source, role: str) -> tuple[str, ...]:
    """The named pandas index in the metadata of the first Parquet or Arrow file that the source does not name."""
    for path in find_files(source.paths, role).files:
        if format_of(path) in ("parquet", "arrow"):
            return tuple(name for name in named_index(schema_of(path)) if name not in source.named)
    return ()


def check_numbers(source: Source, examples: Examples) -> None:
    """Check that no column of words of a table holds numbers in nearly all rows, as `?` among them makes it.

    CSV files are checked when they are read; this is for formats that have types.

    Args:
        source: What was read; `categories` are words.
        examples: All rows.

    Raises:
        InputError: At least 90 % of the cells of a column, but not all, are numbers; the message has the first other.
    """
    for name, words in _columns_of_words(examples, without=source.categories):
        fits = pc.fill_null(pc.match_substring_regex(words, NUMBER), False)
        num_numbers, num_known = pc.sum(fits).as_py() or 0, len(words) - words.null_count
        if num_known and MOSTLY * num_known <= num_numbers < num_known:
            row = pc.index(pc.and_(pc.invert(fits), pc.is_valid(words)), True).as_py()
            raise InputError(
                f"{examples.origin} has {words[row].as_py()!r} in column {name!r}, {at_row(row)} of those read, where "
                f"{num_numbers} of {num_known} are numbers written as text: save the column as numbers (null where one "
                f"is missing, with `missing: allow` or `drop`), or write `categories: [{name}]` if it holds categories."
            )


def _columns_of_words(examples: Examples, without: Sequence[str] = ()) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """The columns of strings of a table that is not tiny, read one by one."""
    if examples.kind != "table" or len(examples) < FEWEST_ROWS:
        return
    for name in examples.column_names:
        if name in without:
            continue
        table = examples.only([name]).inputs
        assert isinstance(table, pa.Table)
        if is_string(table.column(name).type):
            yield name, table.column(name)
