"""The cells of lines of CSV, and the lists and objects that stand in them as text."""

import ast
import csv
import json
import re
import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

import pyarrow as pa

from overproof.answers.names import LOGARITHM_LISTS, NAME_LISTS, NUMBER_LISTS, plain

_BARE = re.compile(r"\[\s*([^\[\],]*?)\s*\]", re.DOTALL)
_NUMBERS = {*NUMBER_LISTS, *LOGARITHM_LISTS}


def csv_rows(
    lines: Iterable[str], *, mark: str = ",", most: int | None = None, spaces: bool = False
) -> list[list[str]]:
    """The cells of lines of CSV, however long they are: Python refuses a text of 131,073 characters by itself.

    Args:
        lines: The lines; within quotes a row may have several.
        mark: What stands between cells.
        most: How many rows are read.
        spaces: Whether those after a mark are left out.

    Example:
        >>> csv_rows(['a,"b, c"', "d,e"], most=1)
        [['a', 'b, c']]
    """
    before = csv.field_size_limit(sys.maxsize)
    try:
        return list(islice(csv.reader(lines, delimiter=mark, skipinitialspace=spaces), most))
    finally:
        csv.field_size_limit(before)


def opened_cells(table: pa.Table) -> pa.Table:
    """A table whose columns of lists, by their names, are lists, where a CSV file has them as text.

    Args:
        table: As it was read.

    Example:
        >>> opened_cells(pa.table({"probs": ["[0.25, 0.75]", "[1. 0.]"]})).column("probs").to_pylist()
        [[0.25, 0.75], [1.0, 0.0]]
    """
    numbers = {plain(name) for name in table.column_names} & _NUMBERS
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        # Names without numbers are votes, or sets of classes.
        known = plain(name) in _NUMBERS or (numbers and plain(name) in NAME_LISTS)
        if not known or not pa.types.is_string(column.type):
            continue
        cells = [None if cell is None else value_in(cell) for cell in column.to_pylist()]
        kinds = {type(cell) for cell in cells if cell is not None}
        if kinds not in ({list}, {dict}):
            continue
        try:
            table = table.set_column(place, name, pa.array(cells))
        except (pa.ArrowException, OverflowError):
            # It stays text, which is refused where numbers are needed.
            continue
    return table


def value_in(cell: str) -> Any:
    """The list or object that a cell writes as JSON, as Python or as NumPy does; the text itself where it is none.

    Args:
        cell: The text.

    Example:
        >>> value_in('{"a": 0.5}'), value_in("['a', 'b']"), value_in("[0.5 0.5]"), value_in("a")
        ({'a': 0.5}, ['a', 'b'], [0.5, 0.5], 'a')
    """
    cell = cell.strip()
    if cell[:1] + cell[-1:] not in ("[]", "{}"):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    bare = _BARE.fullmatch(cell)
    try:
        if bare is not None and bare[1]:
            return [float(word) for word in bare[1].split()]
    except ValueError:
        pass
    try:
        # A literal: it runs nothing.
        return ast.literal_eval(cell)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return cell
