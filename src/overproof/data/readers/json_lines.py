"""Reads files of JSON lines as Arrow tables."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from pyarrow.lib import ArrowException

from overproof.data.columns import is_string
from overproof.data.readers.json_lists import lines_of_list, starts_as_list
from overproof.data.readers.number_columns import NUMBER, numbers
from overproof.data.readers.text_files import LARGEST_BLOCK_BYTES, check_utf8, file_bytes
from overproof.data.source import Source
from overproof.data.wording import at_row, listed, reason
from overproof.errors import InputError

_ALLOWED = "one JSON object a line, with values of one type under each key, is allowed"
_MIXED = re.compile(r"Column\(/(.*)\) changed from (number to \w+|\w+ to number)$", re.DOTALL)


def read_json_lines(path: Path, source: Source, name: str, data: bytes | None = None) -> pa.Table:
    """All columns of a file with one JSON object a line, or with one list of objects, also compressed.

    A missing key is null. The type of a column is inferred from all of its rows, which must agree: numbers (whole or
    not), true/false, strings, or lists or objects of these; strings that are all dates in ISO 8601 are dates. Numbers
    with a few other cells among them are read, or refused, as in a CSV file.

    Args:
        path: The file.
        source: Its text input and categories are strings even if all of them look like dates.
        name: Name of the file in error messages.
        data: The file's bytes, or those of its first lines; None reads all of them.

    Raises:
        InputError: If the file is not UTF-8, or a line is not a JSON object, is truncated or has another type of value
            than the lines before it.
    """
    data = file_bytes(path, name, source.max_unpacked_gb) if data is None else data
    if starts_as_list(data):
        data = lines_of_list(data, name)
    if b"\0" in data[:4096]:
        raise InputError(f"{name} is not a text file; JSON lines in UTF-8 are allowed.")
    if not data.strip():
        raise InputError(f"{name} is empty; at least one row is needed.")
    check_utf8(data, name)
    mixed = dict[str, str]()
    while True:
        try:
            table = _parsed(data, source)
            break
        except (ArrowException, ValueError) as error:
            found = re.search(r"^JSON parse error: (.*?)\.? in row (\d+)$", str(error), re.DOTALL)
            if found is None:
                raise InputError(f"{name} cannot be read as JSON lines ({reason(error)}); {_ALLOWED}.") from None
            what = found[1].replace("Column(/", "column (").replace("Column()", "the line")
            sentence = f"{name} has a line that does not fit ({what}), {at_row(int(found[2]))}; {_ALLOWED}."
            odd = _MIXED.search(found[1])
            if odd is None or odd[1] in mixed or (as_text := _as_text(data, odd[1])) is None:
                raise InputError(sentence) from None
            data, mixed[odd[1]] = as_text, sentence
    # Arrow reads a line `null` or `{}` as a row of nulls.
    if table.num_columns == 0:
        raise InputError(f"{name} has no keys in any of its lines; {_ALLOWED}.")
    if table.num_rows == 1 and _is_a_frame(table.schema):
        raise InputError(
            f"{name} is one object, of {listed(table.column_names, limit=3)}, and no row a line; where pandas wrote "
            f"it, write it with to_json({path.name!r}, orient='records', lines=True)."
        )
    return _with_numbers(table, source, name, mixed)


def _is_a_frame(schema: pa.Schema) -> bool:
    """Whether an object is all of a pandas frame: by column, by row, or with its columns apart from its rows."""
    if not all(map(pa.types.is_nested, schema.types)):
        return False
    inner = [{field.name for field in kind} if pa.types.is_struct(kind) else set() for kind in schema.types]
    by_column = "0" in inner[0] and all(each == inner[0] for each in inner)
    by_row = "0" in schema.names and all(inner)
    return by_column or by_row or {"columns", "data"} <= set(schema.names)


def _parsed(data: bytes, source: Source) -> pa.Table:
    options = pa.json.ReadOptions(use_threads=False, block_size=min(len(data) + 1, LARGEST_BLOCK_BYTES))
    table = pa.json.read_json(pa.BufferReader(data), read_options=options)
    wanted = {
        source.id,
        source.label,
        source.group,
        *source.categories,
        *(source.inputs if source.kind != "table" else ()),
    }
    dates = [field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.name in wanted]
    if not dates:
        return table
    explicit = pa.json.ParseOptions(explicit_schema=pa.schema([(each, pa.string()) for each in dates]))
    return pa.json.read_json(pa.BufferReader(data), read_options=options, parse_options=explicit)


def _as_text(data: bytes, key: str) -> bytes | None:
    """The same lines with the values under a key as text, as they are written; None where that is no key of a line."""
    lines, seen = list[str](), False
    for line in data.decode().split("\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_int=_Written, parse_float=_Written, parse_constant=_Written)
        except (ValueError, RecursionError):
            return None
        if not isinstance(row, dict):
            return None
        if isinstance(value := row.get(key), _Written):
            row[key], seen = str(value), True
        elif value is not None and not isinstance(value, str):
            row[key], seen = _line(value), True
        lines.append(_line(row))
    return "\n".join(lines).encode() if seen else None


class _Written(str):
    """A number of a line, as it is written."""

    __slots__ = ()


def _line(value: Any) -> str:
    """JSON of a value in which numbers are as they were written."""
    if isinstance(value, _Written):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_line(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_line, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _with_numbers(table: pa.Table, source: Source, name: str, mixed: dict[str, str]) -> pa.Table:
    """The same table; text becomes numbers where the options say so, and odd cells among numbers are refused.

    Args:
        table: All columns.
        source: The options.
        name: Name of the file in error messages.
        mixed: The columns of numbers and other values, which are text now, with what to say of each that stays so.

    Raises:
        InputError: At least 90 % of the cells of a column, but not all, are numbers; or a column is mixed.
    """
    if source.kind == "text":
        read = set(source.inputs)
    else:
        unread = {source.label, source.id, source.group, *source.ignore, *source.where, *source.categories}
        read = set(source.inputs or table.column_names) - unread
        options = source.missing_words or source.thousands or source.decimal != "."
        # Text that is numbers in all rows stays text, unless an option speaks of numbers.
        whole = set[str]() if options else {each for each in table.column_names if _all_numbers(table.column(each))}
        table = numbers(table, source, name, whole - set(mixed) | set(source.categories))
    for column, sentence in mixed.items():
        used = column in read or column in (source.label, source.id, source.group)
        if used and is_string(table.column(column).type):
            raise InputError(sentence)
    return table


def _all_numbers(column: pa.ChunkedArray) -> bool:
    return is_string(column.type) and bool(pc.all(pc.fill_null(pc.match_substring_regex(column, NUMBER), True)).as_py())
