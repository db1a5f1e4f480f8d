"""OpenAI's batch API (chat completions and responses), and servers that write the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table
from overproof.answers.said import said
from overproof.answers.words import readings


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    if "custom_id" in first and "response" in first:
        return "its objects have `custom_id` and `response`"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    ids: list[str] = []
    answers: list[str] = []
    numbers: list[str] = []
    tokens: list[dict[str, float] | None] = []
    left_out = Counter[str]()
    for number, row in enumerate(text.values()):
        if not isinstance(row, dict) or not isinstance(row.get("custom_id"), str):
            text.refuse(number, "it has no `custom_id`")
        body, why = _body(row)
        if body is None:
            left_out[why] += 1
            continue
        for place, (content, first, lack) in enumerate(_contents(body)):
            if content is None:
                left_out[lack] += 1
                continue
            ids.append(row["custom_id"])
            numbers.append(f"answer {place}")
            answers.append(content)
            tokens.append(_first_token(first, content, asked))
    notes = []
    columns: dict[str, Sequence[Any]] = {"id": ids}
    known = [each for each in tokens if each]
    if len(set(numbers)) > 1:
        columns = {**columns, "annotator": numbers, "label": answers}
        notes.append("Requests have several answers (`n`), which are votes.")
    elif answers and len(known) == len(answers):
        columns["top_classes"] = [list(each) for each in known]
        columns["top_logprobs"] = [list(each.values()) for each in known]
        notes.append("Every answer is one token with log-probabilities, which are used.")
    else:
        columns["label"] = answers
        if any(tokens):
            notes.append(
                f"{len(known)} of {len(answers)} answers are one token with log-probabilities; names alone are used."
            )
    return Parsed(table=text_table(columns), named=True, left_out=counted_reasons(left_out), notes=tuple(notes))


def _body(row: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    response = row.get("response")
    if row.get("error"):
        return None, "the request failed"
    if not isinstance(response, dict) or response.get("status_code", 200) != 200:
        return None, "the request failed"
    body = response.get("body", response)
    return (body, "") if isinstance(body, dict) and not body.get("error") else (None, "the request failed")


_CUT, _NONE, _REFUSED = "the answer was cut off", "the model gave no answer", "the model refused"


def _contents(body: Mapping[str, Any]) -> list[tuple[str | None, Any, str]]:
    """What each choice says, the log-probabilities of its tokens, and why it says nothing."""
    choices = body.get("choices")
    if isinstance(choices, list) and choices:
        return [_choice(each) for each in choices]
    if body.get("status", "completed") != "completed":
        return [(None, None, _CUT if body.get("status") == "incomplete" else _NONE)]
    said_by_model = [
        part
        for item in body.get("output") or ()
        if isinstance(item, dict) and item.get("type") == "message"
        for part in item.get("content") or ()
        if isinstance(part, dict)
    ]
    if any(part.get("type") == "refusal" for part in said_by_model):
        return [(None, None, _REFUSED)]
    parts = [part for part in said_by_model if part.get("type") == "output_text"]
    content = "".join(str(part.get("text", "")) for part in parts)
    return [(said(content) if content.strip() else None, parts[0].get("logprobs") if parts else None, _NONE)]


def _choice(choice: Mapping[str, Any]) -> tuple[str | None, Any, str]:
    message = choice.get("message") or {}
    # Completions of a prompt have a text and no message.
    content = message.get("content", choice.get("text"))
    if choice.get("finish_reason") == "length":
        return None, None, _CUT
    if choice.get("finish_reason") == "content_filter" or message.get("refusal"):
        return None, None, _REFUSED
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    tokens = (choice.get("logprobs") or {}).get("content")
    return (said(content) if isinstance(content, str) and content.strip() else None), tokens, _NONE


def _first_token(tokens: Any, content: str, asked: Asked) -> dict[str, float] | None:
    """The classes among the likeliest first tokens with their logarithms, where the answer is that one token."""
    if not isinstance(tokens, list) or not tokens or not asked.class_names or not isinstance(tokens[0], dict):
        return None
    if str(tokens[0].get("token", "")).strip() != content:
        return None
    offered = [each for each in (tokens[0], *(tokens[0].get("top_logprobs") or ())) if isinstance(each, dict)]
    logs = {str(each.get("token")): float(each["logprob"]) for each in offered if "logprob" in each}
    meant, _ = readings([word for word in logs], asked.class_names, {})
    found: dict[str, float] = {}
    for word, name in meant.items():
        # " pos" and "pos" are one class: the likelier of its spellings counts.
        found[name] = max(found.get(name, -float("inf")), logs[word])
    named, _ = readings([content], asked.class_names, {})
    if content not in named or len(found) < 2:
        return None
    return found


TOOL = Tool(
    name="openai_batch",
    title="OpenAI batch API",
    version="bodies by the types of openai 3.57 (chat completions, responses, completions); the line around them by "
    "public description",
    writes="JSON lines: `custom_id`, `response.body.choices[0].message.content`, `error`",
    read_as="`custom_id` is the id, the content the class (or the class in its JSON object); log-probabilities where "
    "every answer is one token with at least two classes among the alternatives",
    trap="failed, refused and cut-off requests are no answers; lines are in no order; errors have a file of their own",
    looks_like=_looks_like,
    read=_read,
)
