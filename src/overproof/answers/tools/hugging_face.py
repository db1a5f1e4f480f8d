"""Hugging Face: the output of a pipeline (text classification, zero-shot) dumped as JSON."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table, word_of
from overproof.answers.names import is_answer

_NUMBERED = re.compile(r"LABEL_(\d+)")


def _looks_like(text: Text) -> str | None:
    first = text.first_values[0] if text.first_values else None
    if isinstance(first, list) and len(first) == 1 and isinstance(first[0], list):
        first = first[0]
    if isinstance(first, list) and first and all(map(_is_scored, first)):
        return "its values are lists of `label` and `score`"
    if not isinstance(first, dict):
        return None
    used = ("labels", "scores") if _is_ranking(first) else ("label", "score") if _is_scored(first) else ()
    if used:
        # Beside another answer it is a table, in which both may contradict each other.
        others = [name for name in first if name not in used and (is_answer(name) or name == "annotator")]
        return None if others else f"its objects have `{used[0]}` and `{used[1]}`"
    lists = [name for name, value in first.items() if isinstance(value, list) and value and all(map(_is_scored, value))]
    return f"its objects have a list {lists[0]!r} of `label` and `score`" if len(lists) == 1 else None


def _read(text: Text, asked: Asked) -> Parsed:
    values = text.values()
    key = asked.columns.get("id", "id")
    ids: list[str | None] = []
    names: list[list[str] | None] = []
    probs: list[list[float] | None] = []
    single = True
    for number, value in enumerate(values):
        # A batch of one is a list in a list.
        value = value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) else value
        ids.append(word_of(value.get(key)) if isinstance(value, dict) else None)
        pairs = _pairs(value)
        if pairs is None:
            text.refuse(number, "it has neither `label` and `score` nor `labels` and `scores`")
        single = single and len(pairs) == 1
        names.append([_named(text, number, word, asked) for word, _ in pairs])
        probs.append([score for _, score in pairs])
    columns: dict[str, Sequence[Any]] = {"id": ids} if any(each is not None for each in ids) else {}
    notes = []
    if single:
        columns = {
            **columns,
            "label": [row and row[0] for row in names],
            "confidence": [row and row[0] for row in probs],
        }
        notes.append("`score` is the probability of `label`; the rest is spread evenly over the other classes.")
    else:
        columns = {**columns, "top_classes": names, "top_probs": probs}
    return Parsed(table=text_table(columns), named=True, notes=tuple(notes))


def _pairs(value: Any) -> list[tuple[str, float]] | None:
    """Classes and their scores, whatever form they are in."""
    if isinstance(value, dict) and _is_ranking(value):
        if len(value["labels"]) == len(value["scores"]):
            return list(zip(map(str, value["labels"]), value["scores"], strict=True))
        return None
    if isinstance(value, dict) and not _is_scored(value):
        lists = [each for each in value.values() if isinstance(each, list) and each and all(map(_is_scored, each))]
        value = lists[0] if len(lists) == 1 else None
    found = value if isinstance(value, list) else [value]
    if not found or not all(map(_is_scored, found)):
        return None
    return [(str(word_of(each["label"])), float(each["score"])) for each in found]


def _named(text: Text, row: int, word: str, asked: Asked) -> str:
    numbered = _NUMBERED.fullmatch(word)
    if numbered is None or not asked.classes or word in asked.class_names:
        return word
    if int(numbered[1]) >= len(asked.classes):
        text.refuse(row, f"it names {word}; option 'teacher.classes' has {len(asked.classes)} classes")
    return asked.classes[int(numbered[1])]


def _is_scored(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("label"), str)
        and isinstance(value.get("score"), float | int)
        and not isinstance(value.get("score"), bool)
    )


def _is_ranking(value: Mapping[str, Any]) -> bool:
    lists = value.get("labels"), value.get("scores")
    return all(isinstance(each, list) for each in lists) and all(
        isinstance(each, float | int) for each in lists[1] or ()
    )


TOOL = Tool(
    name="hugging_face",
    title="Hugging Face pipelines",
    version="files of pipelines (version not recorded)",
    writes="`pipeline(…)` dumped as JSON: `{label, score}`, with `top_k` lists of them; zero-shot `labels`, `scores`",
    read_as="the label's probability, or all of them by name; `LABEL_0` by its place in `teacher.classes`",
    trap="`labels` is a ranking and no votes; `score` is the probability of `label`; with `multi_label` scores do not "
    "sum to one and are refused; a dump has no ids unless you add them",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
