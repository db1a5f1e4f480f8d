"""Vowpal Wabbit: `vw --oaa K --probabilities -p FILE`."""

import re

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table
from overproof.errors import InputError

_NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?"
_PAIRS = re.compile(rf"[^\s:,\"{{}}]+:{_NUMBER}( [^\s:,\"{{}}]+:{_NUMBER})+( \S+)?\s*")
_TAGGED = re.compile(rf"{_NUMBER}( (\S+))?\s*")
_PASS = "`--oaa K --probabilities --loss_function=logistic`"


def _looks_like(text: Text) -> str | None:
    first = text.lines[0] if text.lines else ""
    if _PAIRS.fullmatch(first):
        return "its lines are pairs class:number"
    tags = [found[5] for line in text.lines[:20] if (found := _TAGGED.fullmatch(line))]
    named = [tag for tag in tags if tag and not re.fullmatch(_NUMBER, tag)]
    # Two numbers may be anything.
    return "its lines are a number and a tag" if named and len(tags) == len(text.lines[:20]) else None


def _read(text: Text, asked: Asked) -> Parsed:
    if not _PAIRS.fullmatch(text.lines[0]):
        return _predictions(text)
    names: list[str] = []
    # A tag may have a colon in it too, and then looks like a pair: it differs from row to row, as no class does.
    lasts = {line.split()[-1].rpartition(":")[0] for line in text.lines[:20] if line.strip()}
    tagged = len({len(line.split()) for line in text.lines[:20]}) == 1 and len(lasts) > 1
    columns: dict[str, list[float]] = {}
    tags: list[str | None] = []
    for number, line in enumerate(text.lines):
        if not _PAIRS.fullmatch(line):
            text.refuse(number, f"{line[:60]!r} is not class:number pairs, perhaps with a tag after them")
        words = line.split()
        has_tag = tagged or not re.fullmatch(rf"\S+:{_NUMBER}", words[-1]) or (0 < len(names) == len(words) - 1)
        pairs = [word.rpartition(":") for word in (words[:-1] if has_tag else words)]
        tags.append(words[-1] if has_tag else None)
        named = [pair[0] for pair in pairs]
        if not names:
            names = named
            columns = {name: [] for name in names}
        if named != names:
            text.refuse(number, f"it names the classes {' '.join(named)}; the first row names {' '.join(names)}")
        for name, _, value in pairs:
            columns[name].append(float(value))
    sums = [sum(row) for row in zip(*columns.values(), strict=True)]
    least = min(min(values) for values in columns.values())
    bad = next((number for number, total in enumerate(sums) if abs(total - 1) > 5e-3), None)
    if least < 0 or bad is not None:
        what = "negative numbers" if least < 0 else f"numbers that sum to {sums[bad or 0]:.4g}"
        raise InputError(
            f"{text.path} is of Vowpal Wabbit and holds {what}, so they are scores and no probabilities; pass {_PASS} "
            f"in training and prediction."
        )
    notes = [f"They are probabilities only where the model was trained with `--loss_function=logistic`: pass {_PASS}."]
    found: dict[str, list[object]] = {name: list(values) for name, values in columns.items()}
    return Parsed(table=text_table({**_ids(tags), **found}), classes=tuple(names), notes=tuple(notes))


def _predictions(text: Text) -> Parsed:
    words = [line.split() for line in text.lines]
    for number, row in enumerate(words):
        if len(row) not in (1, 2):
            text.refuse(number, f"{text.lines[number][:60]!r} is not a number and a tag")
    if not all(re.fullmatch(r"[-+]?\d+", row[0]) for row in words):
        raise InputError(
            f"{text.path} is of Vowpal Wabbit with one number a row, which is a margin, or a probability only with "
            f"`--link=logistic`; pass `--oaa 2 --probabilities --loss_function=logistic`."
        )
    tags = [row[1] if len(row) == 2 else None for row in words]
    return Parsed(table=text_table({**_ids(tags), "label": [row[0] for row in words]}), named=True)


def _ids(tags: list[str | None]) -> dict[str, list[str | None]]:
    return {"id": tags} if any(tag is not None for tag in tags) else {}


TOOL = Tool(
    name="vowpal_wabbit",
    title="Vowpal Wabbit",
    version="9.11",
    writes="`vw --oaa K --probabilities -p FILE`: `1:0.9 2:0.1 tag`; without `--probabilities` the class and the tag",
    read_as="probabilities by class, the tag is the id; rows without a tag have none",
    trap="numbers of `--scores` are no probabilities and are refused; those of other losses sum to one too",
    looks_like=_looks_like,
    read=_read,
)
