"""Anthropic's message batches."""

from collections import Counter
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table
from overproof.answers.said import said


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    if "custom_id" in first and isinstance(first.get("result"), dict):
        return "its objects have `custom_id` and `result`"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    ids: list[Any] = []
    labels: list[str] = []
    left_out = Counter[str]()
    for number, row in enumerate(text.values()):
        if not isinstance(row, dict) or not isinstance(row.get("result"), dict):
            text.refuse(number, "it has no `result`")
        result = row["result"]
        if result.get("type") != "succeeded":
            left_out[f"the request is {result.get('type')}"] += 1
            continue
        message = result.get("message") or {}
        content = "".join(
            str(part.get("text", "")) for part in message.get("content") or () if part.get("type") == "text"
        )
        if message.get("stop_reason") not in (None, "end_turn", "stop_sequence") or not content.strip():
            left_out["the answer was cut off, refused, a call of a tool, or is empty"] += 1
            continue
        ids.append(row.get("custom_id"))
        labels.append(said(content))
    return Parsed(table=text_table({"id": ids, "label": labels}), named=True, left_out=counted_reasons(left_out))


TOOL = Tool(
    name="anthropic_batch",
    title="Anthropic message batches",
    version="results by the types of anthropic 2.14; the file by public description",
    writes="JSON lines: `custom_id`, `result.message.content`",
    read_as="`custom_id` is the id, the text the class (or the class in its JSON object)",
    trap="errored, expired, cancelled, refused and cut-off requests are no answers, nor are calls of a tool",
    looks_like=_looks_like,
    read=_read,
)
