"""doccano: text classification as JSON lines or JSON."""

from collections import Counter

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, records_table, word_of
from overproof.answers.names import is_answer


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    label = first.get("label")
    if "text" not in first or not isinstance(label, list) or not all(isinstance(each, str) for each in label):
        return None
    others = [name for name in first if name not in ("label", "Comments") and is_answer(name)]
    return None if others else "its objects have `text` and a list `label`"


def _read(text: Text, asked: Asked) -> Parsed:
    rows, left_out = [], Counter[str]()
    key = asked.columns.get("id", "id")
    for number, value in enumerate(text.values()):
        if not isinstance(value, dict) or not isinstance(value.get("label"), list):
            text.refuse(number, "it has no list `label`")
        if len(value["label"]) > 1:
            text.refuse(
                number,
                f"label names {len(value['label'])} classes; one is allowed; for votes of annotators, or all classes "
                f"that may hold, write `columns: {{labels: label}}` under `teacher`",
            )
        if key not in value:
            text.refuse(number, f"it has no {key!r} for the id")
        if not value["label"]:
            left_out["the label is empty"] += 1
            continue
        rows.append({"id": value[key], "label": value["label"][0], "text": word_of(value.get("text"))})
    numbered = "id" not in asked.columns and bool(rows) and all(isinstance(row["id"], int) for row in rows)
    notes = ["doccano counts its own `id` from 1 in its data base: see that they are yours."] if numbered else []
    table = records_table(text.path, rows or [{"id": None, "label": None, "text": None}]).slice(0, len(rows))
    return Parsed(table=table, named=True, left_out=counted_reasons(left_out), notes=tuple(notes))


TOOL = Tool(
    name="doccano",
    title="doccano",
    version="a file it wrote (version not recorded)",
    writes='JSON lines: `{"id": 1, "text": …, "label": ["pos"]}`',
    read_as="the one label in the list; empty lists are no answers",
    trap="a list label; ids that are whole numbers may be doccano's own, which start at 1",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
