"""Columns that tell where a row stands in its file: row numbers, ids and times that grow from row to row."""

import re
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from overproof.data.examples import Examples

_SURE = re.compile(
    r"|unnamed:? ?\d+|\.\.\.\d+|_c0|level_\d+|_?id|idx|_?index|inst#?|#"
    r"|\w+[ _.-]id"
    r"|_?(row|line|record)s?[ _.-]?(id|index|idx|nr|no|num|number|names?)?"
)
"""Names that tools and people give to row numbers and ids, in lower case: whole numbers without repetition suffice."""

_LIKELY = re.compile(
    r"x|x[.1]|v1|no\.?|nr\.?|num|number|s\.?_?no\.?|sl_?no|seq|serial|obs\.?|case|n|i|key|pk|count(er)?"
)
"""Names that row numbers often have, but features too: they must increase from row to row."""

_TIMES = re.compile(r".*(time|date|year|month|week|day|hour|minute|second|epoch|when).*|ts|.*[ _.-]ts|.*[ _.-]at")
"""Names of times, in lower case."""

_EPOCHS = ((5e8, 2.5e9), (5e11, 2.5e12), (5e14, 2.5e15), (5e17, 2.5e18))
"""From 1985 to 2049 in seconds, milliseconds, microseconds and nanoseconds since 1970."""

FEWEST_ROWS = 10
"""In fewer rows any column may count them by chance."""

FEWEST_RISING = 30
"""In fewer rows a table may have been sorted by a column that describes them."""

_STEPS, _RISING = 0.9, 0.99
"""So many of the rows follow the one before: row numbers begin anew where several files are read as one."""


def row_numbers(examples: Examples) -> list[str]:
    """The features of a table that number its rows.

    These are whole numbers that are 0..N-1 or 1..N in any order; or that rise from row to row (or fall) as ids do that
    were given one after the other; or, by a name such as `index`, all different or mostly the one before plus one (as
    in files that are read as one). Times that rise are another matter: see `rising`.

    Args:
        examples: All rows, in the order of their files; those of another kind have no columns.

    Example:
        >>> from overproof.data import from_arrays
        >>> table = pa.table({"index": [40 + 2 * i for i in range(20)], "size": [i % 7 for i in range(20)]})
        >>> row_numbers(from_arrays(table))
        ['index']
    """
    if examples.kind != "table" or len(examples) < FEWEST_ROWS:
        return []
    return [name for name in examples.column_names if _numbers_rows(name, examples)]


def _numbers_rows(name: str, examples: Examples) -> bool:
    lower = name.strip().lower()
    known = bool(_SURE.fullmatch(lower) or _LIKELY.fullmatch(lower))
    if examples.mapped is not None and not known:
        # A large file: only a column with such a name is read for this.
        return False
    table = examples.only([name]).inputs
    assert isinstance(table, pa.Table)
    whole = _whole(table.column(name))
    if whole is None:
        return False
    first, last = int(whole.min()), int(whole.max())
    if first in (0, 1) and last - first == len(whole) - 1 and len(np.unique(whole)) == len(whole):
        return True
    steps = np.diff(whole)
    if _goes_one_way(whole) and not _is_time(lower, whole):
        return True
    if _LIKELY.fullmatch(lower):
        return bool((steps > 0).all())
    return known and bool((steps == 1).mean() >= _STEPS or len(np.unique(whole)) == len(whole))


def rising(examples: Examples) -> list[str]:
    """The features of a table that the rows are sorted by, and that are no row numbers: times, measured numbers.

    Every value is another one than the one before, and all differences but one of 100 have one sign.

    Args:
        examples: All rows, in the order of their files; those of another kind have no columns, large ones are not
            looked at.

    Example:
        >>> from overproof.data import from_arrays
        >>> table = pa.table({"seconds": [1.5 * i * i for i in range(40)], "size": [i % 7 for i in range(40)]})
        >>> rising(from_arrays(table))
        ['seconds']
    """
    if examples.kind != "table" or examples.mapped is not None or len(examples) < FEWEST_RISING:
        return []
    table = examples.inputs
    assert isinstance(table, pa.Table)
    return [name for name in examples.column_names if _is_sorted_by(name, table.column(name), examples)]


def _is_sorted_by(name: str, column: pa.ChunkedArray, examples: Examples) -> bool:
    if column.null_count:
        return False
    if pa.types.is_timestamp(column.type):
        return _goes_one_way(column.cast(pa.int64()).to_numpy())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = np.asarray(column.to_numpy())
        return _goes_one_way(values) and not _numbers_rows(name, examples)
    return False


def _goes_one_way(values: NDArray[Any]) -> bool:
    """Whether nearly every value is larger than the one before, or nearly every one smaller."""
    if len(values) < FEWEST_RISING:
        return False
    rises, falls = (values[1:] > values[:-1]).mean(), (values[1:] < values[:-1]).mean()
    return bool(max(rises, falls) >= _RISING)


def _is_time(name: str, whole: NDArray[np.int64]) -> bool:
    """Whether whole numbers are times, by their name or as seconds since 1970 and the like."""
    if _SURE.fullmatch(name):
        return False
    first, last = int(whole.min()), int(whole.max())
    steps = np.abs(np.diff(whole))
    since_1970 = any(low <= first and last <= high for low, high in _EPOCHS)
    return bool(_TIMES.fullmatch(name)) or (since_1970 and int(steps.min()) != int(steps.max()))


def _whole(column: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """The values of a column of whole numbers without gaps; None for any other."""
    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    if pa.types.is_floating(column.type):
        low, high = pc.min_max(column).as_py().values()
        # Written so that NaN fails it.
        if not (-(2**53) < low <= high < 2**53) or pc.any(pc.not_equal(pc.floor(column), column)).as_py():
            return None
    with suppress(pa.ArrowException):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    return None
