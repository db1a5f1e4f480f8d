"""Reads WEKA's ARFF files, dense and sparse, as rows of named and typed columns.

Source: the format's description in WEKA's wiki (waikato.github.io/weka-wiki/formats_and_processing/arff_stable).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from overproof.data.readers.text_files import check_utf8, file_bytes
from overproof.data.source import Source
from overproof.data.wording import at_row, listed, nearest
from overproof.errors import InputError

_WORD = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,'"{}\s][^,{}]*?))\s*(?=,|\}|$)""")
"""One value: in quotes of either kind, with backslashes before marks inside, or a plain word."""

_ATTRIBUTE = re.compile(r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))\s+(.*)$""", re.IGNORECASE)

_DATA = re.compile(r"@data\s*(%.*)?", re.IGNORECASE)

_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|infinity|inf)", re.IGNORECASE)
"""What Java reads as a number; Python also reads 1_000 and the digits of other scripts."""

_ESCAPED = re.compile(r"\\(.)")
_MARKS = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A column: `number`, `text` or, with its values, `nominal`."""

    name: str
    kind: str
    values: tuple[str, ...] = ()


def read_arff(path: Path, source: Source, name: str) -> pa.Table:
    """All rows of an ARFF file. A question mark without quotes is a missing value.

    A sparse row, in braces, holds the values that are not zero: a number that is not there is 0, and a nominal value
    that is not there is the first of its column, not a missing one.

    Args:
        path: The file, also compressed.
        source: For the limit of unpacked bytes.
        name: Name of the file in error messages.

    Raises:
        InputError: It is no ARFF file, or not UTF-8; a row does not fit its columns; weights of rows, or columns of
            relations.
    """
    data = file_bytes(path, name, source.max_unpacked_gb)
    check_utf8(data, name)
    # As Java reads lines: a form feed or a line separator of Unicode is part of a value.
    lines = re.split("\r\n|\r|\n", data.decode("utf-8-sig"))
    attributes: list[_Attribute] = []
    rows: Iterator[str] = iter(())
    for number, line in enumerate(lines):
        word = line.strip()
        if word.lower().startswith("@attribute"):
            attributes.append(_attribute(word, name))
        elif _DATA.fullmatch(word):
            rows = (each.strip() for each in lines[number + 1 :])
            break
    else:
        raise InputError(f"{name} has no line @data; an ARFF file has lines @attribute, and @data before its rows.")
    columns: list[list[Any]] = [[] for _ in attributes]
    count = 0
    for row in rows:
        if not row or row.startswith("%"):
            continue
        values = _sparse(row, attributes, name, count) if row.startswith("{") else _dense(row, attributes, name, count)
        for column, attribute, value in zip(columns, attributes, values, strict=True):
            column.append(_checked(value, attribute, name, count))
        count += 1
    types = {"number": pa.float64(), "text": pa.large_string(), "nominal": pa.large_string()}
    arrays = [pa.array(column, types[each.kind]) for column, each in zip(columns, attributes, strict=True)]
    return pa.Table.from_arrays(arrays, names=[each.name for each in attributes])


def _attribute(line: str, name: str) -> _Attribute:
    found = _ATTRIBUTE.match(line)
    if found is None:
        raise InputError(f"{name} has the line {line[:80]!r}; @attribute, a name and a type are needed.")
    own = _plain(found)
    kind = found[4].strip()
    if kind.startswith("{"):
        if not (values := _in_braces(kind)):
            raise InputError(
                f"{name} has the column {own!r} with the values {kind[:40]!r}; a list in braces is needed."
            )
        return _Attribute(own, "nominal", values)
    word = kind.split()[0].lower() if kind else ""
    if word in ("numeric", "real", "integer"):
        return _Attribute(own, "number")
    if word in ("string", "date"):
        return _Attribute(own, "text")
    raise InputError(
        f"{name} has the column {own!r} of type {kind[:40]!r}; numeric, real, integer, string, date and values in "
        f"braces are read."
    )


def _plain(found: re.Match[str]) -> str:
    quoted = next((each for each in found.groups()[:2] if each is not None), None)
    if quoted is None:
        return str(found[3])
    return _ESCAPED.sub(lambda mark: _MARKS.get(mark[1], mark[1]), quoted)


def _in_braces(text: str) -> tuple[str, ...]:
    """The values of a list in braces; empty where it is none, or does not close."""
    found, place = [], 1
    while (match := _WORD.match(text, place)) and match.end() < len(text):
        found.append(_plain(match))
        if text[match.end()] == "}":
            return tuple(found)
        place = match.end() + 1
    return ()


def _words(text: str) -> list[tuple[str, bool]]:
    """Values between commas, and whether each stands in quotes; empty where the text is no list of values."""
    found, place = [], 0
    while place <= len(text):
        match = _WORD.match(text, place)
        if match is None:
            return []
        found.append((_plain(match), match[3] is None))
        place = match.end() + 1
        if match.end() >= len(text):
            break
    return found


def _dense(row: str, attributes: Sequence[_Attribute], name: str, count: int) -> list[str | None]:
    words = _words(row if "," in row or len(attributes) == 1 else re.sub(r"\s+", ",", row))
    if len(words) != len(attributes):
        weighted = re.search(r",\s*\{[^}]*\}$", row)
        what = "has a weight in braces at its end" if weighted else f"holds {len(words)} values: {row[:60]!r}"
        raise InputError(
            f"{name} has {len(attributes)} columns, and {at_row(count)} {what}; one value for each column is needed."
        )
    return [None if word == "?" and not quoted else word for word, quoted in words]


def _sparse(row: str, attributes: Sequence[_Attribute], name: str, count: int) -> list[str | None]:
    values: list[str | None] = [
        {"number": "0", "nominal": (each.values or ("",))[0]}.get(each.kind, "") for each in attributes
    ]
    inside, closed, after = row[1:].rpartition("}")
    if not closed:
        inside, after = "", row
    # A row that is not closed, or that goes on, is no pair.
    given = [after] if after.strip() else [each.strip() for each in re.split(r",(?=\s*\d+\s)", inside) if each.strip()]
    seen: set[int] = set()
    for each in given:
        index, _, text = each.partition(" ")
        words = _words(text.strip())
        if not index.isdigit() or int(index) >= len(attributes) or len(words) != 1 or int(index) in seen:
            raise InputError(
                f"{name} has {at_row(count)} {row[:60]!r}; pairs of a column's number, each once from 0 to "
                f"{len(attributes) - 1}, and a value are needed."
            )
        seen.add(int(index))
        values[int(index)] = None if words[0] == ("?", False) else words[0][0]
    if missing := [each.name for number, each in enumerate(attributes) if each.kind == "text" and number not in seen]:
        raise InputError(f"{name} leaves out the text of column {missing[0]!r} in {at_row(count)}; write it.")
    return values


def _checked(value: str | None, attribute: _Attribute, name: str, count: int) -> Any:
    if value is None:
        return None
    if attribute.kind == "number":
        if _NUMBER.fullmatch(value.strip()) is None:
            raise InputError(
                f"{name} has {value[:40]!r} in the column {attribute.name!r} of numbers, {at_row(count)}; a number or "
                f"? is allowed."
            )
        return float(value)
    if attribute.kind == "nominal" and value not in attribute.values:
        raise InputError(
            f"{name} has {value[:40]!r} in the column {attribute.name!r}, "
            f"{at_row(count)}{nearest(value, attribute.values)}; its values are {listed(attribute.values)}."
        )
    return value
