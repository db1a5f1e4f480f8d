"""CatBoost's command: `catboost calc --prediction-type Probability`."""

import re

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table
from overproof.errors import InputError

_CLASS = re.compile(r"Probability:Class=(.*)", re.DOTALL)
_IDS = ("SampleId", "DocId")


def _looks_like(text: Text) -> str | None:
    header = set(text.header)
    for name in text.header:
        if _CLASS.fullmatch(name) or re.match(r"(RawFormulaVal|LogProbability)(:Class=|$)", name):
            return f"it has a column {name!r}"
    if header & set(_IDS) and header & {"Probability", "Class"}:
        return f"it has the columns {' and '.join(name for name in text.header[:2])}"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    text.check_header()
    header = text.header
    rows = text.rows(len(header))
    columns: dict[str, list[object]] = {}
    notes = []
    key = asked.columns.get("id", next((name for name in _IDS if name in header), None))
    if key is not None:
        if key not in header:
            raise InputError(
                f"{text.path} has no column {key!r} for 'id' in option 'teacher.columns'; it has {', '.join(header)}."
            )
        ids = [row[header.index(key)] for row in rows]
        if "id" in asked.columns or ids != [str(number) for number in range(len(rows))]:
            columns["id"] = list(ids)
        else:
            notes.append(f"`{key}` counts the rows from 0 and is no id.")
    if "Label" in header or "Target" in header:
        notes.append("`Label` is the truth and is not read.")
    classes = [(place, found[1]) for place, name in enumerate(header) if (found := _CLASS.fullmatch(name))]
    if len(classes) >= 2:
        if "Class" in header:
            columns["label"] = [row[header.index("Class")] for row in rows]
        for place, name in classes:
            columns[name] = [text.number(number, row[place]) for number, row in enumerate(rows)]
        return Parsed(table=text_table(columns), classes=tuple(name for _, name in classes), notes=tuple(notes))
    if "Probability" in header:
        place = header.index("Probability")
        if len(asked.in_order) not in (0, 2):
            raise InputError(
                f"{text.path} has one `Probability`, that of the second of two classes, and there are "
                f"{len(asked.in_order)} classes."
            )
        second = [text.number(number, row[place]) for number, row in enumerate(rows)]
        notes.append("`Probability` is that of the second of two classes in their order.")
        columns["probs"] = [[1 - each, each] for each in second]
        return Parsed(table=text_table(columns), in_order=True, notes=tuple(notes))
    if "Class" in header:
        columns["label"] = [row[header.index("Class")] for row in rows]
        return Parsed(table=text_table(columns), named=True, notes=tuple(notes))
    raise InputError(
        f"{text.path} is of CatBoost and holds raw values, which are no probabilities; pass "
        f"`--prediction-type Probability`."
    )


TOOL = Tool(
    name="catboost",
    title="CatBoost's command",
    version="by public description",
    writes="`catboost calc --prediction-type Probability,Class`: tabs, `SampleId`, `Probability:Class=a`, …, `Class`",
    read_as="probabilities by name; `SampleId` is the id unless it counts the rows from 0; `Probability` alone is "
    "that of the second class",
    trap="`Label` is the truth, not the answer; `RawFormulaVal` is no probability",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
