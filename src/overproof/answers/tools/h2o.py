"""H2O: `h2o.export_file(model.predict(frame))`, or its frame written by pandas or R."""

import re

import numpy as np
import pyarrow as pa

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table
from overproof.data.wording import nearest
from overproof.errors import InputError

_WHOLE = re.compile(r"[-+]?\d+")


def _looks_like(text: Text) -> str | None:
    if "predict" not in text.header or len(text.header) < 3:
        return None
    words = {row[text.header.index("predict")] for row in text.first_rows if len(row) == len(text.header)}
    columns = set(text.header) - {"predict"}
    prefixed = [word for word in words if _WHOLE.fullmatch(word) and f"p{word}" in columns]
    plain = [word for word in words if word in columns]
    if words and len(prefixed) + len(plain) >= len(words):
        return "its column `predict` names classes that have columns" + (", `p` before numbers" if prefixed else "")
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    text.check_header("predict")
    header = text.header
    key = asked.columns.get("id", "id")
    if "id" in asked.columns and key not in header:
        raise InputError(
            f"{text.path} has no column {key!r}{nearest(key, header)} for 'id' in option 'teacher.columns'; it has "
            f"{', '.join(header)}."
        )
    rows = text.rows(len(header))
    predict = [row[header.index("predict")] for row in rows]
    columns: dict[str, list[object]] = {}
    classes: list[str] = []
    for place, name in enumerate(header):
        cells = [row[place] for row in rows]
        if name == key:
            columns["id"] = list(cells)
        elif name == "predict":
            columns["label"] = list(cells)
        elif (spelled := _class(name, set(predict), asked.class_names, header)) is not None:
            if spelled in columns:
                raise InputError(f"{text.path} has two columns for the class {spelled!r}; one is allowed.")
            columns[spelled] = [text.number(number, cell) if cell else None for number, cell in enumerate(cells)]
            classes.append(spelled)
        elif name not in columns:
            columns[name] = _numbers_or_words(cells)
    notes = []
    table = text_table(columns)
    if len(classes) == 2 and asked.answer_from != "label":
        probs = np.stack([table.column(name).cast(pa.float64()).to_numpy() for name in classes], axis=1)
        where = {name: index for index, name in enumerate(classes)}
        chosen = np.asarray([where.get(word, -1) for word in predict])
        differ = int((probs[np.arange(len(rows)), chosen] < probs.max(axis=1)).sum())
        table = table.drop_columns(["label"])
        if differ:
            notes.append(
                f"In {differ} of {len(rows)} rows `predict` is not the likeliest class, as H2O takes the threshold of "
                f"the largest F1; the probabilities are the answers (`answer_from: label` takes `predict`)."
            )
    doubtful = [name for name in classes if f"p{name}" in header and name not in predict and not asked.class_names]
    notes += [f"`p{name}` is read as class {name!r}; it may also be a class called 'p{name}'." for name in doubtful]
    return Parsed(table=table, classes=tuple(classes), notes=tuple(notes))


def _class(name: str, predicted: set[str], class_names: tuple[str, ...], header: list[str]) -> str | None:
    """The class of a column; None for a column of something else."""
    bare = name[1:] if name.startswith("p") and _WHOLE.fullmatch(name[1:]) else None
    known = set(class_names) or predicted
    if bare is not None:
        if bare in known and name not in known:
            return bare
        return name if name in known else (None if class_names else bare)
    if name in known:
        return name
    if class_names or name in ("id", "StdErr") or name.startswith("cal_"):
        return None
    # A class that is never predicted: H2O writes nothing else between `predict` and the end.
    return name if header.index(name) > header.index("predict") else None


def _numbers_or_words(cells: list[str]) -> list[object]:
    try:
        return [float(cell) if cell else None for cell in cells]
    except ValueError:
        return list(cells)


TOOL = Tool(
    name="h2o",
    title="H2O",
    version="files it wrote (version not recorded)",
    writes="`predict(frame)` exported: `predict`, then a column for every class, `p` before one that is a whole number",
    read_as="the probabilities by name; of two classes `predict` is not read, and where it differs is counted",
    trap="`predict` of two classes follows the threshold of the largest F1 and not the likeliest class; `p1` stands "
    "beside `2 b`; calibrated columns (`cal_p1`) are refused beside the others",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
