"""Snorkel: the matrix of its labelling functions' votes, of which -1 abstains."""

import re

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table
from overproof.answers.tools.numbers import is_numbers

_VOTE = re.compile(r"-1|\d+")
_SPLIT = re.compile(r"\s*[\t,;]\s*|\s+")
_NOT_VOTES = ("label", "predict", "prediction", "annotator", "worker", "labels")


def _looks_like(text: Text) -> str | None:
    if is_numbers(text):
        rows = [_SPLIT.split(line.strip()) for line in text.lines[:20]]
        words = [_plain(word) for row in rows for word in row]
        if len(rows[0]) > 1 and "-1" in words and all(map(_VOTE.fullmatch, words)):
            return "its lines are whole numbers, of which -1 abstains"
        return None
    header, rows = text.header, text.first_rows
    if text.is_json or set(header) & set(_NOT_VOTES) or any(len(row) != len(header) for row in rows):
        return None
    votes = _vote_columns(text, "id")
    words = [_plain(row[place]) for row in rows for place in votes]
    others = [place for place in range(len(header)) if place not in votes and header[place].strip() not in ("id", "")]
    features = [place for place in others if all(_is_number(row[place]) for row in rows)]
    if len(votes) >= 2 and "-1" in words and not features:
        return "it has columns of whole numbers, of which -1 abstains"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    ids: list[str] | None = None
    if is_numbers(text):
        rows = [_SPLIT.split(line.strip()) for line in text.lines]
        names = [str(place) for place in range(len(rows[0]))]
    else:
        key = asked.columns.get("id", "id")
        cells = text.rows(len(text.header))
        votes = _vote_columns(text, key)
        names = [text.header[place] for place in votes]
        rows = [[row[place] for place in votes] for row in cells]
        if key in text.header:
            ids = [row[text.header.index(key)] for row in cells]
    columns: dict[str, list[object]] = {"annotator": [], "label": []}
    owners: list[int] = []
    for number, row in enumerate(rows):
        if len(row) != len(names):
            text.refuse(number, f"it has {len(row)} votes; the first row has {len(names)}")
        for name, word in zip(names, map(_plain, row), strict=True):
            if not _VOTE.fullmatch(word):
                text.refuse(number, f"{word!r} is no vote; a class from 0, or -1 for none, is needed")
            if word != "-1":
                columns["annotator"].append(name)
                columns["label"].append(_class(text, number, int(word), asked))
                owners.append(number)
    silent = len(rows) - len(set(owners))
    table = text_table(columns if ids is None else {"id": [ids[owner] for owner in owners], **columns})
    notes = [f"{len(rows)} rows of {len(names)} labelling functions; -1 abstains."]
    order = ", ".join(asked.in_order)
    notes += [f"Classes are numbered in the order {order}, from 0."] if order else []
    left_out = {"all labelling functions abstain": silent} if silent else {}
    return Parsed(
        table=table,
        named=True,
        in_order=bool(order),
        left_out=left_out,
        notes=tuple(notes),
        rows=None if ids is not None else tuple(owners),
        num_rows=len(rows),
    )


def _class(text: Text, row: int, number: int, asked: Asked) -> str:
    if not asked.in_order:
        return str(number)
    if number >= len(asked.in_order):
        text.refuse(row, f"it votes for class {number}; there are {len(asked.in_order)}, from 0")
    return asked.in_order[number]


def _vote_columns(text: Text, key: str) -> list[int]:
    """The columns of whole numbers from -1, but for the ids."""
    header, rows = text.header, [row for row in text.first_rows if len(row) == len(text.header)]
    return [
        place
        for place, name in enumerate(header)
        if name.strip() not in (key, "id", "") and rows and all(_VOTE.fullmatch(_plain(row[place])) for row in rows)
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain(word: str) -> str:
    return re.sub(r"\.0*$", "", word.strip())


TOOL = Tool(
    name="snorkel",
    title="Snorkel",
    version="by public description",
    writes="the label matrix as CSV: `id` and a column for every labelling function, -1 where it abstains",
    read_as="votes, one annotator a function; numbers are places in the order of the classes, checked against labels",
    trap="where all abstain, `LabelModel.predict_proba` returns the class balance, which is no answer: such rows are "
    "left out here, as are rows whose `label` is -1 beside probabilities",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
