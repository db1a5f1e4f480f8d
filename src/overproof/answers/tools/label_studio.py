"""Label Studio: exports as CSV, TSV, JSON-MIN and JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table, word_of
from overproof.answers.names import LABELS, plain
from overproof.data.wording import listed
from overproof.errors import InputError

_OWN = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time", "agreement", "history", "id")
_EMPTY, _UNOPENED, _SKIPPED = "the annotation is empty", "the task was never opened", "the annotation was skipped"


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    if isinstance(first.get("data"), dict) and isinstance(first.get("annotations", first.get("completions")), list):
        return "its objects have `data` and `annotations`"
    if {"annotation_id", "lead_time"} <= first.keys():
        return "its objects have `annotation_id` and `lead_time`"
    if not text.is_json and {"annotation_id", "lead_time"} <= set(text.header):
        return "it has the columns annotation_id and lead_time"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    if not text.is_json:
        text.check_header("annotation_id")
        rows = [dict(zip(text.header, row, strict=True)) for row in text.rows(len(text.header))]
        return _flat(text, [{name: cell or None for name, cell in row.items()} for row in rows], asked, csv=True)
    values = text.values()
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            text.refuse(number, "it is no object")
    if values and "annotation_id" not in values[0]:
        return _nested(text, values, asked)
    return _flat(text, values, asked, csv=False)


def _flat(text: Text, rows: Sequence[Mapping[str, Any]], asked: Asked, *, csv: bool) -> Parsed:
    key = asked.columns.get("id", "id")
    names = dict.fromkeys(name for row in rows for name in row)
    if key not in names:
        raise InputError(f"{text.path} has no column {key!r} for the ids; it has {', '.join(names)}.")
    control = _control(text, rows, asked, key)
    ids, annotators, labels, texts = list[Any](), list[Any](), list[Any](), list[Any]()
    left_out = Counter[str]()
    for number, row in enumerate(rows):
        label = _choice(text, number, row.get(control))
        if label is None or label == "":
            left_out[_EMPTY if row.get("annotation_id") is not None else _UNOPENED] += 1
            continue
        ids.append(word_of(row.get(key)))
        texts.append(row.get("text") if isinstance(row.get("text"), str) and control != "text" else None)
        annotators.append(word_of(row.get("annotator")) or "")
        labels.append(label)
    own = ""
    if "id" not in asked.columns and not (csv and any(not (word_of(row.get(key)) or "").isdigit() for row in rows)):
        others = [name for name in names if name not in (*_OWN, control)]
        own = (
            f"its `id` {'is' if not csv else 'may be'} Label Studio's own number of the task; name the column of your "
            f"id under `teacher`, as `columns: {{id: …}}` (it has {listed([*others, 'id'])})"
        )
    note = f"The answers are those of the control {control!r}, one row an annotation."
    return Parsed(
        table=text_table({"id": ids, "annotator": annotators, "label": labels, "text": texts}),
        named=True,
        left_out=counted_reasons(left_out),
        notes=(note,),
        own_ids=own,
    )


def _control(text: Text, rows: Sequence[Mapping[str, Any]], asked: Asked, key: str) -> str:
    """The column of the choices, which is called as the labelling interface calls its control."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row)]
    if "label" in asked.columns:
        if asked.columns["label"] not in names:
            raise InputError(
                f"{text.path} has no column {asked.columns['label']!r} for 'label' in option 'teacher.columns'; it has "
                f"{', '.join(names)}."
            )
        return asked.columns["label"]
    free = [name for name in names if name not in (*_OWN, key)]
    words = {name: [each for row in rows if (each := _word(row.get(name)))] for name in free}
    if asked.class_names:
        wanted = {each.strip().casefold() for each in asked.class_names}
        fit = [
            name
            for name in free
            if words[name] and sum(each.strip().casefold() in wanted for each in words[name]) * 2 > len(words[name])
        ]
    else:
        # A control is empty where a task was not opened, and repeats its words; a column of the data does neither.
        empty = [row for row in rows if row.get("annotation_id") is None]
        fit = [
            name
            for name in free
            if words[name]
            and not any(row.get(name) for row in empty)
            and (len(set(words[name])) < len(words[name]) or len(free) == 1)
            and all(len(each) < 100 for each in words[name])
        ]
    usual = [name for name in free if plain(name) in LABELS and words[name]]
    if not fit and len(usual) == 1:
        return usual[0]
    if len(fit) != 1:
        what = f"{listed(fit)} may each be" if fit else f"none of {listed(free)} looks like"
        raise InputError(
            f"{text.path} is an export of Label Studio, and {what} the column of its labels, which is called as the "
            f"control in the labelling interface; name it under `teacher`: `columns: {{label: …}}`."
        )
    return fit[0]


def _nested(text: Text, tasks: Sequence[Mapping[str, Any]], asked: Asked) -> Parsed:
    key, wanted = asked.columns.get("id"), asked.columns.get("label")
    controls = Counter(
        result.get("from_name")
        for task in tasks
        for annotation in _annotations(task)
        for result in annotation.get("result") or ()
        if isinstance(result.get("value"), dict) and "choices" in result["value"]
    )
    if wanted is None:
        if len(controls) > 1:
            raise InputError(
                f"{text.path} is an export of Label Studio with the controls {listed(controls)}; name the one of the "
                f"labels under `teacher`: `columns: {{label: …}}`."
            )
        wanted = next(iter(controls), "")
    ids, annotators, labels, texts = list[Any](), list[Any](), list[Any](), list[Any]()
    left_out, own = Counter[str](), False
    predictions = 0
    for number, task in enumerate(tasks):
        data = task.get("data") or {}
        predictions += bool(task.get("predictions"))
        if key is not None and key not in data and key != "id":
            text.refuse(number, f"its data have no {key!r}, which option 'teacher.columns' names as the id")
        name = key or "id"
        own = own or (key is None and name not in data)
        left_out[_UNOPENED] += not _annotations(task)
        for annotation in _annotations(task):
            if annotation.get("was_cancelled") or annotation.get("skipped"):
                left_out[_SKIPPED] += 1
                continue
            results = [each for each in annotation.get("result") or () if each.get("from_name") == wanted]
            label = _choice(text, number, results[0]["value"] if results else None)
            if not label:
                left_out[_EMPTY] += 1
                continue
            who = annotation.get("completed_by")
            who = who.get("email") or who.get("id") if isinstance(who, dict) else who
            ids.append(word_of(data.get(name, task.get("id"))))
            texts.append(data.get("text") if isinstance(data.get("text"), str) else None)
            annotators.append(word_of(who) or "")
            labels.append(label)
    notes = [f"The answers are those of the control {wanted!r}, one an annotation."]
    notes += [f"{predictions} tasks have predictions of a model, which are not read."] if predictions else []
    why = (
        "its `id` is Label Studio's own number of the task; name the field of the data with your id under `teacher`, "
        "as `columns: {id: …}`"
    )
    return Parsed(
        table=text_table({"id": ids, "annotator": annotators, "label": labels, "text": texts}),
        named=True,
        left_out=counted_reasons(left_out),
        notes=tuple(notes),
        own_ids=why if own else "",
    )


def _annotations(task: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [each for each in task.get("annotations", task.get("completions")) or () if isinstance(each, dict)]


def _choice(text: Text, row: int, value: Any) -> str | None:
    """The one class of a control."""
    if isinstance(value, str) and value.startswith('{"choices"'):
        value = json.loads(value)
    if isinstance(value, dict):
        value = value.get("choices")
    if isinstance(value, list):
        if len(value) > 1:
            text.refuse(row, f"its annotation names {len(value)} classes; one is allowed")
        value = value[0] if value else None
    return word_of(value)


def _word(value: Any) -> str | None:
    if isinstance(value, dict | list):
        found = value.get("choices") if isinstance(value, dict) else value
        return "|".join(map(str, found)) if found else None
    return word_of(value)


TOOL = Tool(
    name="label_studio",
    title="Label Studio",
    version="label-studio-sdk 2.1.2 (its converter)",
    writes="exports as CSV, TSV, JSON-MIN and JSON: one row an annotation, the label in a column named as the control",
    read_as="votes: `annotator` and the control's class; your id is a field of the task's data (`columns: {id: …}`)",
    trap="JSON-MIN replaces an `id` of yours by Label Studio's number, CSV does not; skipped annotations are absent "
    "from CSV and marked in JSON, tasks never opened are present and empty",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id", "label"}),
)
