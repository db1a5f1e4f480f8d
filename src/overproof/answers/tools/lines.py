"""One answer a line, without a line of names and without ids: read only where `teacher.format` says so."""

import json
from typing import Any

from overproof.answers.cell_values import csv_rows
from overproof.answers.form import Asked, Parsed, Text, Tool, text_table, word_of
from overproof.answers.words import readings


def begins_with_a_class(text: Text, class_names: tuple[str, ...]) -> str | None:
    """The first line of a file of one column where it is a class of the data and so no name of a column; else None.

    Args:
        text: The file.
        class_names: The run's.
    """
    if text.is_json or not text.lines or len(text.header) != 1 or not class_names:
        return None
    first = text.header[0]
    found, _ = readings([first], class_names, {})
    return first if first in found else None


def _looks_like(text: Text) -> str | None:
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    labels: list[str | None] = []
    numbers: list[list[float]] = []
    votes: list[list[str]] = []
    for number, line in enumerate(text.lines):
        cells = next(iter(csv_rows([line])), [])
        if len(cells) > 1 and not line.lstrip().startswith("["):
            text.refuse(number, f"it has {len(cells)} cells; one answer a line is read, a name with a comma in quotes")
        cell = line.strip() if line.lstrip().startswith("[") else "".join(cells).strip()
        values = _list_of(cell) if cell.startswith("[") else None
        if values is None:
            labels.append(cell or None)
        elif values and all(isinstance(each, float | int) and not isinstance(each, bool) for each in values):
            numbers.append([float(each) for each in values])
        else:
            votes.append([str(word_of(each)) for each in values])
        if sum(map(bool, (labels, numbers, votes))) > 1:
            text.refuse(number, f"{cell[:40]!r} is an answer of another kind than those before")
    if numbers:
        return Parsed(table=text_table({"probs": numbers}), in_order=True)
    return Parsed(table=text_table({"labels": votes} if votes else {"label": labels}), named=True)


def _list_of(cell: str) -> list[Any] | None:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


TOOL = Tool(
    name="lines",
    title="one answer a line",
    version="any",
    writes="a class a line, or a JSON list of probabilities or of classes; no line of names, no ids",
    read_as="with `format: lines` and `align: rows` alone: the class of each row; numbers in the order of the classes",
    trap="the first line is an answer; as a table it would be taken for the name of a column",
    looks_like=_looks_like,
    read=_read,
)
