"""Columns of a table in CSV or JSON lines with numbers and a few other cells: read as numbers, or an error."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from overproof.data.source import Source
from overproof.data.wording import at_row
from overproof.errors import InputError

MOSTLY = 0.9
"""A column of words of which at least this share are numbers is a column of numbers with errors in it."""

CODE = r"^ *0[0-9]{2,} *$"
"""A cell of digits that begins with a zero, such as a postal code: as a number it would be another."""

NUMBER = r"^[ ]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[ ]*$"


def numbers(table: pa.Table, source: Source, name: str, strings: Collection[str | None]) -> pa.Table:
    """The same table; columns of words become numbers where the source's options make numbers of all their cells.

    The cells in `source.missing_words` become null, `source.thousands` is removed and `source.decimal` read as a point.

    Args:
        table: A file of text; its columns of words have type string.
        source: The options.
        name: Name of the file in error messages.
        strings: Columns that are words by the source's options.

    Raises:
        InputError: If at least 90 % of the cells of a column, but not all, are numbers.
    """
    used = {source.label, source.id, source.group, *source.ignore, *source.where, *strings}
    for place, column in enumerate(table.column_names):
        if column in used or not pa.types.is_string(table.schema.field(place).type):
            continue
        if source.inputs and column not in source.inputs:
            continue
        words = table.column(place)
        if source.missing_words:
            words = pc.if_else(pc.is_in(words, pa.array(source.missing_words)), None, words)
        plain = words if not source.thousands else pc.replace_substring(words, source.thousands, "")
        plain = plain if source.decimal == "." else pc.replace_substring(plain, source.decimal, ".")
        fits = pc.fill_null(pc.match_substring_regex(plain, NUMBER), False)
        num_numbers, num_known = pc.sum(fits).as_py() or 0, len(words) - words.null_count
        if num_known and num_numbers == num_known:
            value = pc.cast(pc.utf8_trim(plain, " "), pa.float64())
            table = table.set_column(place, column, value)
        elif num_numbers >= MOSTLY * num_known and num_numbers:
            odd = pc.and_(pc.invert(fits), pc.is_valid(words))
            row = pc.index(odd, True).as_py()
            cell = words[row].as_py()
            raise InputError(
                f"{name} has {cell!r} in column {column!r}, {at_row(row)}, where {num_numbers} of {num_known} are "
                f"numbers: write `missing_words: [{cell!r}]`, with `missing: allow` or `drop`, if it means a missing "
                f"value; set `decimal` or `thousands` if it is a number in another notation; or write `categories: "
                f"[{column}]` if the column holds categories."
            )
        elif source.missing_words:
            table = table.set_column(place, column, words)
    return table
