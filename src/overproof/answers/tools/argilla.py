"""Argilla: records written by `dataset.records.to_json()`, `to_list(flatten=True)`, feedback data sets of version 1."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table, word_of
from overproof.data.wording import listed
from overproof.errors import InputError

_Response = tuple[str, Any, str, str]
"""Question, value, user and status ("" where it is not written)."""


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    if "fields" in first and {"responses", "suggestions"} & first.keys():
        return "its objects have `fields`, and `responses` or `suggestions`"
    if any(name.endswith((".responses", ".suggestion")) for name in first):
        return "it has keys that end in `.responses` or `.suggestion`"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    records = text.values()
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            text.refuse(number, "it is no object")
    questions = dict.fromkeys(name for record in records for name, *_ in (*_responses(record), *_suggestions(record)))
    wanted = asked.columns.get("label")
    if wanted is None and len(questions) > 1:
        raise InputError(
            f"{text.path} holds records of Argilla with the questions {listed(questions)}; name the one of the labels "
            f"under `teacher`: `columns: {{label: …}}`."
        )
    wanted = wanted or next(iter(questions), "")
    if wanted not in questions:
        raise InputError(f"{text.path} holds no answers to {wanted!r}; its questions are {listed(questions)}.")
    people = any(name == wanted for record in records for name, *_ in _responses(record))
    key = asked.columns.get("id")
    columns: dict[str, list[Any]] = {"id": [], "annotator" if people else "confidence": [], "label": []}
    left_out, without_status, undecided = Counter[str](), 0, 0
    for number, record in enumerate(records):
        found = [each for each in (_responses(record) if people else _suggestions(record)) if each[0] == wanted]
        left_out["the record has no response" if people else "the record has no suggestion"] += not found
        for _, value, user, status in found:
            if people and status in ("draft", "discarded"):
                left_out[f"the response is {'a draft' if status == 'draft' else 'discarded'}"] += 1
                continue
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
            if isinstance(value, list | dict):
                text.refuse(number, f"{wanted!r} has the answer {str(value)[:60]}; one class is allowed")
            if value is None:
                left_out["the response is empty"] += 1
                continue
            without_status += people and not status
            undecided += people and not status and record.get("status") == "pending"
            columns["id"].append(word_of(_id(text, number, record, key)))
            columns["label"].append(word_of(value))
            columns["annotator" if people else "confidence"].append(user if people else record_score(record, wanted))
    if not people and not all(isinstance(each, float | int) for each in columns["confidence"]):
        columns.pop("confidence")
    notes = [f"The answers are the {'responses' if people else 'suggestions'} to {wanted!r}."]
    if people and any(True for record in records for _ in _suggestions(record)):
        notes.append("Suggestions of a model beside the responses are not read.")
    if without_status:
        pending = f", {undecided} of them in pending records" if undecided else ""
        notes.append(
            f"{without_status} responses have no status{pending}: Argilla's JSON does not tell discarded ones and "
            f"drafts from others; `to_list(flatten=True)` does."
        )
    return Parsed(table=text_table(columns), named=True, left_out=counted_reasons(left_out), notes=tuple(notes))


def _id(text: Text, number: int, record: Mapping[str, Any], key: str | None) -> Any:
    if key is None:
        return record.get("external_id") or record.get("id")
    for place in (record, record.get("metadata") or {}, record.get("fields") or {}):
        if key in place:
            return place[key]
    text.refuse(number, f"it has no {key!r}, which option 'teacher.columns' names as the id")


def _responses(record: Mapping[str, Any]) -> Iterator[_Response]:
    nested = record.get("responses")
    if isinstance(nested, dict):
        for name, given in nested.items():
            for each in given or ():
                yield name, each.get("value"), str(each.get("user_id") or ""), str(each.get("status") or "")
    for each in nested if isinstance(nested, list) else ():
        for name, given in (each.get("values") or {}).items():
            value = given.get("value") if isinstance(given, dict) else given
            yield name, value, str(each.get("user_id") or ""), str(each.get("status") or "")
    for name, values in record.items():
        if name.endswith(".responses") and isinstance(values, list):
            users, states = record.get(f"{name}.users") or [], record.get(f"{name}.status") or []
            for place, value in enumerate(values):
                user = str(users[place]) if place < len(users) else ""
                status = str(states[place] or "") if place < len(states) else ""
                yield name.removesuffix(".responses"), value, user, status


def _suggestions(record: Mapping[str, Any]) -> Iterator[_Response]:
    nested = record.get("suggestions")
    for name, given in nested.items() if isinstance(nested, dict) else ():
        yield name, given.get("value") if isinstance(given, dict) else given, "", ""
    for each in nested if isinstance(nested, list) else ():
        yield str(each.get("question_name") or ""), each.get("value"), "", ""
    for name, value in record.items():
        if name.endswith(".suggestion"):
            yield name.removesuffix(".suggestion"), value, "", ""


def record_score(record: Mapping[str, Any], question: str) -> Any:
    """The score of a suggestion; None where it has none.

    Args:
        record: One.
        question: Its name.
    """
    nested = record.get("suggestions")
    if isinstance(nested, dict):
        return (nested.get(question) or {}).get("score")
    for each in nested or ():
        if each.get("question_name") == question:
            return each.get("score")
    return record.get(f"{question}.suggestion.score")


TOOL = Tool(
    name="argilla",
    title="Argilla",
    version="2.8.0 (its client); version 1 by public description",
    writes="`dataset.records.to_json()`, and `to_list(flatten=True)` as JSON",
    read_as="votes of the responses by `user_id`; without any response the suggestions, with their scores",
    trap="`to_json` does not write the status of a response, so that discarded ones and drafts look like answers; "
    "suggestions are a model's",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id", "label"}),
)
