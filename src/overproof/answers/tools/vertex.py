"""Vertex AI batch prediction: AutoML, custom models, and Gemini."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, counted_reasons, text_table, word_of
from overproof.answers.said import said

_NAMES, _NUMBERS = ("displayNames", "classes", "labels"), ("confidences", "scores", "probabilities")


def _looks_like(text: Text) -> str | None:
    first = text.first_object
    if "instance" in first and {"prediction", "error"} & first.keys():
        return "its objects have `instance` and `prediction`"
    response = first.get("response")
    if isinstance(response, dict) and "candidates" in response and "custom_id" not in first:
        return "its objects have `response` with `candidates`"
    if "request" in first and "contents" in (first["request"] if isinstance(first["request"], dict) else ()):
        return "its objects have `request` with `contents`"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    ids: list[str | None] = []
    labels: list[str | None] = []
    names: list[list[str]] = []
    numbers: list[list[float]] = []
    left_out = Counter[str]()
    unnamed = False
    values = text.values()
    for number, row in enumerate(values):
        if not isinstance(row, dict):
            text.refuse(number, "it is no object")
        prediction = row.get("prediction")
        if "response" in row or "request" in row:
            word = _generated(row)
            if word is None:
                left_out["the request failed, or its answer was stopped"] += 1
                continue
            labels.append(word)
        elif prediction is None or row.get("error"):
            left_out["the instance failed"] += 1
            continue
        else:
            found, given = _prediction(prediction)
            if given is None and isinstance(prediction, str):
                labels.append(prediction)
                ids.append(_key(text, number, row, asked))
                continue
            if given is None:
                text.refuse(
                    number, f"its prediction {str(prediction)[:60]} has neither classes with scores nor numbers"
                )
            unnamed = unnamed or found is None
            names.append(found or [])
            numbers.append(given)
        ids.append(_key(text, number, row, asked))
    columns: dict[str, Sequence[Any]] = {"id": ids} if any(each is not None for each in ids) else {}
    if labels and numbers:
        text.refuse(0, "predictions of a classifier and answers of a language model stand in one file")
    if labels or not numbers:
        columns = {**columns, "label": labels}
    elif unnamed:
        columns = {**columns, "probs": numbers}
    else:
        columns = {**columns, "top_classes": names, "top_probs": numbers}
    own = ""
    if "id" not in columns and values:
        own = (
            "its rows are in no order and have no key; write predictions with `keyField`, or name the field of "
            "`instance` (or of `request`) with your id under `teacher`, as `columns: {id: …}`"
        )
    return Parsed(
        table=text_table(columns),
        named=not unnamed,
        in_order=unnamed,
        left_out=counted_reasons(left_out),
        own_ids=own,
    )


def _prediction(prediction: Any) -> tuple[list[str] | None, list[float] | None]:
    """The classes, where they are named, and their numbers."""
    if isinstance(prediction, dict):
        names = next((prediction[name] for name in _NAMES if isinstance(prediction.get(name), list)), None)
        given = next((prediction[name] for name in _NUMBERS if isinstance(prediction.get(name), list)), None)
        if names is not None and given is not None and len(names) == len(given):
            return [str(word_of(name)) for name in names], [float(each) for each in given]
        prediction = given
    if isinstance(prediction, list) and prediction and all(isinstance(each, float | int) for each in prediction):
        return None, [float(each) for each in prediction]
    return None, None


def _generated(row: Mapping[str, Any]) -> str | None:
    candidates = (row.get("response") or {}).get("candidates") or []
    # The client's own objects have names with underscores.
    first = candidates[0] if candidates else {}
    if not candidates or (first.get("finishReason") or first.get("finish_reason") or "STOP") != "STOP":
        return None
    parts = (candidates[0].get("content") or {}).get("parts") or []
    content = "".join(str(part.get("text", "")) for part in parts if not part.get("thought"))
    return said(content) if content.strip() else None


def _key(text: Text, number: int, row: Mapping[str, Any], asked: Asked) -> str | None:
    wanted = asked.columns.get("id")
    places = [row, *(row[name] for name in ("instance", "request") if isinstance(row.get(name), dict))]
    for name in [wanted] if wanted is not None else ["key", "id"]:
        for place in places:
            if name in place and not isinstance(place[name], dict | list):
                return word_of(place[name])
    if wanted is not None:
        text.refuse(number, f"it has no {wanted!r}, which option 'teacher.columns' names as the id")
    return None


TOOL = Tool(
    name="vertex",
    title="Vertex AI batch prediction, Gemini batches",
    version="Gemini's responses by the types of google-genai 3.6; the rest by public description",
    writes="JSON lines: `instance` and `prediction` (`displayNames` and `confidences`, `classes` and `scores`, or a "
    "list), `key`; of Gemini `request` and `response.candidates`",
    read_as="probabilities by name; a list without names in the order of the classes; of Gemini the text; the id is "
    "`key`, or `id` in the instance",
    trap="lines are in no order; confidences of one-vs-rest models do not sum to one and are refused",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
