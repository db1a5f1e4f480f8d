"""Amazon SageMaker: Batch Transform and Autopilot."""

from collections.abc import Mapping, Sequence
from typing import Any

from overproof.answers.cell_values import csv_rows, value_in
from overproof.answers.form import Asked, Parsed, Text, Tool, text_table, word_of
from overproof.errors import InputError

_OUTPUT = "SageMakerOutput"


def _looks_like(text: Text) -> str | None:
    first = text.first_values[0] if text.first_values else None
    if isinstance(first, dict):
        if _OUTPUT in first:
            return f"its objects have `{_OUTPUT}`"
        if _is_prediction(first) or _predictions(first):
            return "its objects have `predicted_label` and `score`"
        if isinstance(first.get("label"), list) and isinstance(first.get("prob"), list):
            return "its objects have lists `label` and `prob`"
        return None
    if text.is_json or not text.lines:
        return None
    cells = _cells(text.lines[0])
    if sum(_list(cell) is not None for cell in cells) == 2 and len(cells) <= 4:
        return "its cells are a list of classes and a list of probabilities"
    if "predicted_label" in cells and {"probabilities", "labels"} <= set(cells):
        return "it has the columns predicted_label, probabilities and labels"
    return None


def _read(text: Text, asked: Asked) -> Parsed:
    if not text.is_json:
        return _autopilot(text)
    ids: list[str | None] = []
    names: list[list[str] | None] = []
    numbers: list[list[float]] = []
    labels: list[str | None] = []
    key = asked.columns.get("id", "id")
    for number, row in enumerate(text.values()):
        if not isinstance(row, dict):
            text.refuse(number, "it is no object")
        result = row.get(_OUTPUT, row)
        nested = _predictions(result) if isinstance(result, dict) else []
        for each in nested or [result]:
            ids.append(word_of(row.get(key)) if len(nested) < 2 else None)
            found, given, label = _prediction(each)
            if given is None:
                text.refuse(number, f"{str(each)[:60]} is no prediction with probabilities")
            names.append(found)
            numbers.append(given)
            labels.append(label)
    columns: dict[str, Sequence[Any]] = {"id": ids} if any(each is not None for each in ids) else {}
    if all(found is not None for found in names):
        return Parsed(table=text_table({**columns, "top_classes": names, "top_probs": numbers}), named=True)
    if len(asked.in_order) not in (0, len(numbers[0])):
        raise InputError(
            f"{text.path} has {len(numbers[0])} scores a row, and there are {len(asked.in_order)} classes."
        )
    note = "Scores are in the order of the classes; `predicted_label` counts them from 0 and is not read."
    return Parsed(table=text_table({**columns, "probs": numbers}), in_order=True, notes=(note,))


def _autopilot(text: Text) -> Parsed:
    rows = [_cells(line) for line in text.lines]
    head = rows.pop(0) if "predicted_label" in rows[0] else []
    names: list[list[str]] = []
    numbers: list[list[float]] = []
    for number, row in enumerate(rows):
        lists = [found for cell in row if (found := _list(cell)) is not None]
        words = [each for each in lists if not all(isinstance(one, float | int) for one in each)]
        if len(lists) == 2 and not words:
            # Classes that are numbers: the list that sums to one holds the probabilities.
            shares = [each for each in lists if abs(sum(each) - 1) < 1e-2 and all(0 <= one <= 1 for one in each)]
            named = head.index("labels") if head else -1
            words = [_list(row[named]) or []] if head else [each for each in lists if each not in shares]
        given = [each for each in lists if each not in words]
        if len(words) != 1 or len(given) != 1 or len(words[0]) != len(given[0]):
            text.refuse(number, "it has not one list of classes and one of as many probabilities")
        names.append([str(word_of(each)) for each in words[0]])
        numbers.append([float(each) for each in given[0]])
    note = "`predicted_label` and `probability` are not read beside all probabilities."
    return Parsed(table=text_table({"top_classes": names, "top_probs": numbers}), named=True, notes=(note,))


def _prediction(value: Any) -> tuple[list[str] | None, list[float] | None, str | None]:
    if not isinstance(value, dict):
        value = {"score": value}
    if isinstance(value.get("label"), list) and isinstance(value.get("prob"), list):
        words = [str(each).removeprefix("__label__") for each in value["label"]]
        return words, [float(each) for each in value["prob"]], None
    label, given = word_of(value.get("predicted_label")), value.get("score", value.get("probabilities"))
    if isinstance(value.get("labels"), list) and isinstance(value.get("probabilities"), list):
        return [str(word_of(each)) for each in value["labels"]], [float(each) for each in value["probabilities"]], label
    if isinstance(given, list) and given and all(isinstance(each, float | int) for each in given):
        return None, [float(each) for each in given], label
    if isinstance(given, float | int) and not isinstance(given, bool):
        return None, [1 - float(given), float(given)], label
    return None, None, label


def _predictions(value: Mapping[str, Any]) -> list[Any]:
    found = value.get("predictions")
    return found if isinstance(found, list) and found and all(map(_is_prediction, found)) else []


def _is_prediction(value: Any) -> bool:
    return isinstance(value, dict) and "predicted_label" in value and {"score", "probabilities"} & value.keys() != set()


def _cells(line: str) -> list[str]:
    return next(iter(csv_rows([line], spaces=True)), [])


def _list(cell: str) -> list[Any] | None:
    """A cell `[0.1, 0.9]` or `['a', 'b']`."""
    found = value_in(cell)
    return found if isinstance(found, list) and found else None


TOOL = Tool(
    name="sagemaker",
    title="Amazon SageMaker",
    version="by public description",
    writes="Batch Transform: `{predicted_label, score}`, `SageMakerOutput` beside the input; Autopilot: cells "
    "`predicted_label, probability, \"[0.9, 0.1]\", \"['a', 'b']\"`; BlazingText: lists `label` and `prob`",
    read_as="probabilities by the list of classes; without one in the order of the classes, checked against the "
    "labels; one `score` is that of the second of two classes",
    trap="`predicted_label` of the built-in algorithms is a place, not a name; no ids without the joined input",
    looks_like=_looks_like,
    read=_read,
    columns=frozenset({"id"}),
)
