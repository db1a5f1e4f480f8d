"""fastText: `fasttext predict-prob`, `fasttext predict`."""

import re

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table

ADDED = 1e-5
"""fastText adds it to every probability before it takes the logarithm, and prints the sum."""

_NUMBER = r"\d+(\.\d*)?(e[-+]?\d+)?"
_PROBS = re.compile(rf"(__label__\S+ {_NUMBER})( __label__\S+ {_NUMBER})*\s*", re.IGNORECASE)
_LABELS = re.compile(r"__label__\S+( __label__\S+)*\s*")


def _looks_like(text: Text) -> str | None:
    first = next((line for line in text.lines if line.strip()), "")
    if _PROBS.fullmatch(first):
        return "its lines are pairs of `__label__` and a probability"
    return "its lines are classes after `__label__`" if _LABELS.fullmatch(first) else None


def _read(text: Text, asked: Asked) -> Parsed:
    first = next(line for line in text.lines if line.strip())
    silent = sum(not line.strip() for line in text.lines)
    notes = [f"{silent} lines are empty: these rows have no answer."] if silent else []
    if not _PROBS.fullmatch(first):
        ranked = [line.split() for line in text.lines]
        if any(len(row) > 1 for row in ranked):
            number = next(number for number, row in enumerate(ranked) if len(row) > 1)
            text.refuse(number, "it ranks several classes without numbers; write them by `fasttext predict-prob`")
        table = text_table({"label": [_name(row[0]) if row else None for row in ranked]})
        return Parsed(table=table, named=True, notes=tuple(notes))
    names: list[list[str]] = []
    probs: list[list[float]] = []
    for number, line in enumerate(text.lines):
        words = line.split()
        if line.strip() and not _PROBS.fullmatch(line):
            text.refuse(number, f"{line[:60]!r} is no pairs of `__label__` and a probability")
        names.append([_name(word) for word in words[::2]])
        probs.append([text.number(number, word) for word in words[1::2]])
    least = min((prob for row in probs for prob in row), default=0.0)
    if least >= ADDED * 0.99:
        probs = [[max(prob - ADDED, 0.0) for prob in row] for row in probs]
        notes.append(f"fastText adds {ADDED:g} to every probability that it prints, which is taken off again.")
    num_classes = len({name for row in names for name in row})
    if asked.class_names:
        num_classes = len(asked.class_names)
    if any(0 < len(row) < num_classes for row in names):
        notes.append("Lines name the likeliest classes only; the rest is spread evenly over the others.")
    return Parsed(
        table=text_table({"top_classes": [row or None for row in names], "top_probs": [row or None for row in probs]}),
        named=True,
        notes=tuple(notes),
    )


def _name(word: str) -> str:
    return word.removeprefix("__label__")


TOOL = Tool(
    name="fasttext",
    title="fastText",
    version="fasttext-wheel 0.9.2",
    writes="`fasttext predict-prob model file k`: `__label__a 0.99 __label__b 0.01`, the k likeliest, without ids",
    read_as="probabilities by name, less the 1e-5 that fastText adds; what k left out is spread over the others",
    trap="probabilities reach 1.00001, and with all of many classes sum to 1 + K · 1e-5; an empty text is answered too",
    looks_like=_looks_like,
    read=_read,
)
