"""Prodigy: `prodigy db-out`."""

from collections import Counter
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table, word_of
from overproof.errors import InputError

_ANSWERS = {"accept", "reject", "ignore"}


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    marks = {"accept", "label", "options", "_task_hash", "_input_hash"}
    if first.get("answer") in _ANSWERS and marks & first.keys():
        return f"its objects have `answer`: {first['answer']!r}"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    key = asked.columns.get("id", "id")
    columns: dict[str, list[Any]] = {"id": [], "annotator": [], "label": [], "text": []}
    left_out, without_id = Counter[str](), 0
    for number, row in enumerate(text.values()):
        if not isinstance(row, dict) or row.get("answer") not in _ANSWERS:
            text.refuse(number, "it has no `answer`: accept, reject or ignore")
        if "accept" not in row and "label" not in row:
            raise InputError(
                f"{text.path} has `answer` accept, reject or ignore, as Prodigy writes it, and no `accept` or `label` "
                f"that it is about."
            )
        if row["answer"] != "accept":
            left_out["their `answer` is reject or ignore"] += 1
            continue
        chosen = row["accept"] if "accept" in row else row["label"]
        chosen = chosen if isinstance(chosen, list) else [chosen]
        if len(chosen) > 1:
            text.refuse(number, f"{len(chosen)} options are accepted; one is allowed")
        if not chosen or chosen[0] is None:
            left_out["no option is chosen"] += 1
            continue
        meta = row.get("meta") if isinstance(row.get("meta"), dict) else {}
        found = row.get(key, meta.get(key) if meta else None)
        without_id += found is None
        columns["id"].append(word_of(found))
        columns["annotator"].append(word_of(row.get("_annotator_id") or row.get("_session_id")))
        columns["label"].append(word_of(chosen[0]))
        columns["text"].append(word_of(row.get("text")) if isinstance(row.get("text"), str) else None)
    if without_id == len(columns["id"]):
        columns.pop("id")
    if len({each for each in columns["annotator"] if each}) < 2 or None in columns["annotator"]:
        columns.pop("annotator")
    own = ""
    if "id" not in columns and columns["label"]:
        own = (
            "it has no key `id`: Prodigy's `_task_hash` is its own, and its rows are in the order of the work; write "
            "your id into the stream's examples, or name its key under `teacher`, as `columns: {id: …}`"
        )
    return Parsed(table=text_table(columns), named=True, left_out=counted_reasons(left_out), own_ids=own)


TOOL = Tool(
    name="prodigy",
    title="Prodigy",
    version="by public description",
    writes="`db-out`: JSON lines with `answer` accept, reject or ignore, and `accept` (choice) or `label` (binary)",
    read_as="the accepted class; with several `_annotator_id` votes; the id is a key of the stream or of its `meta`",
    trap="rejected and ignored rows are no answers; rows are in the order of the work",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
