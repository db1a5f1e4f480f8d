"""LIBSVM and LIBLINEAR: `svm-predict -b 1`, `predict -b 1`."""

import re

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table

_HEADER = re.compile(r"labels( [-+]?\d+(\.\d+)?)+\s*")


def _looks_like(text: Text) -> str | None:
    if text.lines and _HEADER.fullmatch(text.lines[0]):
        return f"its first line is {text.lines[0].strip()[:60]!r}"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    labels = text.lines[0].split()[1:]
    if len(set(labels)) < len(labels):
        text.refuse(0, f"the line {text.lines[0]!r} names a class twice")
    rows = [line.split() for line in text.lines[1:]]
    for number, row in enumerate(rows):
        if len(row) != len(labels) + 1:
            what = f"it has {len(row)} numbers; the label and {len(labels)} probabilities are needed"
            text.refuse(number, what)
    columns: dict[str, list[object]] = {"label": [row[0] for row in rows]}
    for place, label in enumerate(labels, start=1):
        columns[label] = [text.number(number, row[place]) for number, row in enumerate(rows)]
    return Parsed(table=text_table(columns), classes=tuple(labels))


TOOL = Tool(
    name="libsvm",
    title="LIBSVM, LIBLINEAR",
    version="LIBSVM 3.37, LIBLINEAR 2.50 (order of labels); a file of `svm-predict`",
    writes="`svm-predict -b 1`: `labels 3 1 2`, then a label and K probabilities a line, without ids",
    read_as="the probabilities by the names of the first line; the label must be the likeliest",
    trap="the columns are in the order in which classes first appeared in training; of two, 1 comes before -1 always",
    looks_like=_looks_like,
    read=_read,
)
