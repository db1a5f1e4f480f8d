"""Numbers without names: predictions of LightGBM, XGBoost, CatBoost, scikit-learn, Snorkel as text."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overproof.answers.form import Asked, Parsed, Text, Tool, text_table
from overproof.data.wording import reason
from overproof.errors import InputError

_NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+|nan|inf)([eE][-+]?\d+)?"
_LINE = re.compile(rf"\s*{_NUMBER}(\s*[\t,; ]\s*{_NUMBER})*\s*", re.IGNORECASE)
_BLANKS = str.maketrans("\t,;", "   ")
_SPLIT = re.compile(r"\s*[\t,;]\s*|\s+")
_RAW = (
    "they are raw scores; write probabilities (`predict_proba`, objective `binary:logistic` or `multi:softprob`, "
    "LightGBM without `predict_raw_score`, CatBoost with `prediction_type=Probability`)"
)


def cells(text: Text) -> NDArray[np.float64]:
    """[N, M], all numbers of a file.

    Args:
        text: Lines of numbers.

    Raises:
        InputError: A line is none, or has more or fewer than the first.
    """
    if text.is_json:
        return _json_cells(text)
    places = _places(text)
    if places is not None:
        table = text.rows(len(text.header))
        skipped = len(text.header) - places
        return np.asarray([[text.number(n, cell) for cell in row[skipped:]] for n, row in enumerate(table)], np.float64)
    try:
        rows = [list(map(float, line.translate(_BLANKS).split())) for line in text.lines]
    except ValueError:
        rows = []
    widths = {len(row) for row in rows}
    odd = any(mark in text.content for mark in ("_", ",,", ";;", "\t\t"))
    if len(widths) != 1 or 0 in widths or odd:
        # Something is wrong: find out what.
        words = [_SPLIT.split(line.strip()) for line in text.lines]
        for number, (line, row) in enumerate(zip(text.lines, words, strict=True)):
            if not _LINE.fullmatch(line):
                text.refuse(number, f"{line[:40]!r} is no line of numbers")
            if len(row) != len(words[0]):
                text.refuse(number, f"it has {len(row)} numbers; the first row has {len(words[0])}")
    return np.asarray(rows, np.float64)


def _json_cells(text: Text) -> NDArray[np.float64]:
    values = text.values()
    rows = [value if isinstance(value, list) else [value] for value in values]
    for number, row in enumerate(rows):
        if not row or not all(isinstance(each, float | int) and not isinstance(each, bool) for each in row):
            text.refuse(number, f"{str(row)[:40]} is no list of numbers")
        if len(row) != len(rows[0]):
            text.refuse(number, f"it has {len(row)} numbers; the first row has {len(rows[0])}")
    return np.asarray(rows, np.float64)


def _places(text: Text) -> int | None:
    """How many columns a line of names counts from 0, as pandas writes an array, perhaps after one of row numbers."""
    names = text.header[1:] if text.header[:1] in ([""], ["Unnamed: 0"], ["index"]) else text.header
    if len(names) < 2 or names != [str(place) for place in range(len(names))] or len(text.lines) < 2:
        return None
    return len(names)


def is_numbers(text: Text) -> bool:
    """Whether the first lines hold numbers alone, one at least.

    Args:
        text: The file.
    """
    return bool(text.lines) and all(_LINE.fullmatch(line) for line in text.lines[:20])


def _looks_like(text: Text) -> str | None:
    if text.is_json:
        rows = [value if isinstance(value, list) else [value] for value in text.first_values]
        flat = [each for row in rows for each in row]
        plain = bool(flat) and all(isinstance(each, float | int) and not isinstance(each, bool) for each in flat)
        return "its JSON holds lists of numbers and nothing else" if plain else None
    if _places(text) is not None and all(_are_numbers(row[-2:]) for row in text.first_rows):
        return "its columns are counted from 0 and hold numbers"
    if not is_numbers(text):
        return None
    rows = [_SPLIT.split(line.strip()) for line in text.lines[:20]]
    first = np.asarray([float(word) for row in rows for word in row])
    if len(rows[0]) > 1 and (first == -1).any() and (first == np.round(first)).all():
        return None
    return f"its lines hold {'a number' if len(rows[0]) == 1 else f'{len(rows[0])} numbers'} and nothing else"


def _read(text: Text, asked: Asked) -> Parsed:
    return _of_numbers(text, cells(text), [line.strip() for line in text.lines], asked)


def read_array(path: Path, asked: Asked) -> Parsed:
    """The array of a `.npy` file: [N, K] probabilities, [N] probabilities of the second class, or [N] classes.

    Args:
        path: The file; one of Python objects is refused, because to read these would run code.
        asked: What is said of it.

    Raises:
        InputError: It is no array of numbers or texts of one of these shapes, or they are no answers.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read as a NumPy array: {reason(error)}; write it with numpy.save."
        ) from None
    if not isinstance(found, np.ndarray):
        raise InputError(f"{path} holds several arrays; write the one of the answers with numpy.save.")
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim not in (1, 2) or not found.size or found.dtype.kind not in "fiub" + "U" * (found.ndim == 1):
        raise InputError(
            f"{path} holds {found.dtype} of shape {found.shape}; [N, K] probabilities, [N] probabilities of the second "
            f"of two classes or [N] names or numbers of classes are needed."
        )
    if found.dtype.kind == "U":
        return Parsed(table=text_table({"label": found.tolist()}), named=True)
    if found.dtype.kind == "b":
        found = found.astype(np.int64)
    numbers = found.reshape(len(found), -1).astype(np.float64)
    # As many digits as they have: those of a half are known to three.
    words = [str(each) for each in found.tolist()] if found.ndim == 1 else []
    return _of_numbers(Text(path, ""), numbers, words, asked)


def _of_numbers(text: Text, numbers: NDArray[np.float64], words: list[str], asked: Asked) -> Parsed:
    """[N, M] numbers as answers.

    Args:
        text: Their file, for errors.
        numbers: All of them.
        words: How each row is written, where it has one number.
        asked: What is said of the file.
    """
    if not np.isfinite(numbers).all():
        text.refuse(int(np.argmin(np.isfinite(numbers).all(axis=1))), "it has a number that is not finite")
    if numbers.shape[1] > 1:
        return _matrix(text, numbers, asked)
    column = numbers[:, 0]
    if len(words) != len(column):
        words = [f"{each:g}" for each in column]
    if (column == np.round(column)).all() and (len(set(words)) > 2 or not np.isin(column, [0, 1]).all()):
        return _labels(text, column, words, asked)
    if (column < 0).any() or (column > 1).any():
        row = int(np.argmax((column < 0) | (column > 1)))
        text.refuse(row, f"{column[row]:g} is no probability: {_RAW}")
    if len(asked.in_order) not in (0, 2):
        raise InputError(
            f"{text.path} has one number a row, which is the probability of the second of two classes, and there are "
            f"{len(asked.in_order)} classes; write one number for each (XGBoost's command writes those of "
            f"`multi:softprob` in as many lines a row)."
        )
    second = asked.in_order[1] if asked.in_order else "the second class"
    note = f"One number a row is the probability of {second!r}, the second of two classes in their order."
    table = text_table({"probs": [[1 - each, each] for each in column.tolist()]})
    return Parsed(table=table, in_order=True, notes=(note,))


def _are_numbers(row: list[str]) -> bool:
    return all(re.fullmatch(_NUMBER, cell.strip(), re.IGNORECASE) for cell in row)


def _matrix(text: Text, numbers: NDArray[np.float64], asked: Asked) -> Parsed:
    total = numbers.sum(axis=1)
    off = (numbers < 0).any(axis=1) | (np.abs(total - 1) > 0.05)
    if off.any():
        row = int(np.argmax(off))
        first = numbers[:, 0]
        if (first == np.arange(len(first)) + first[0]).all() and first[0] in (0, 1) and len(first) > 1:
            text.refuse(row, "its first number counts the rows; write the probabilities alone")
        what = "a negative number" if (numbers[row] < 0).any() else f"numbers that sum to {total[row]:.6g}"
        text.refuse(row, f"it has {what}: {_RAW}")
    num = numbers.shape[1]
    if asked.in_order and len(asked.in_order) != num:
        raise InputError(
            f"{text.path} has {num} numbers a row, and there are {len(asked.in_order)} classes; one for each is needed."
        )
    order = ", ".join(asked.in_order) if asked.in_order else "of the classes, sorted"
    note = f"The numbers are in the order {order}; `classes: [...]` under `teacher` says another."
    return Parsed(table=text_table({"probs": numbers.tolist()}), in_order=True, notes=(note,))


def _labels(text: Text, column: NDArray[np.float64], words: list[str], asked: Asked) -> Parsed:
    """One whole number a row: the class by its name, else its place in the order of the classes."""
    plain = [str(int(each)) for each in column]
    known = set(asked.class_names)
    written = all(re.fullmatch(r"[-+]?\d+", word) for word in words)
    for spelled in (words, plain) if written else (plain,):
        if not known or set(spelled) <= known:
            notes = ("One whole number a row is the name of a class.",)
            return Parsed(table=text_table({"label": spelled}), named=True, in_order=bool(known), notes=notes)
    if column.min() < 0 or column.max() >= len(asked.in_order):
        row = int(np.argmax((column < 0) | (column >= len(asked.in_order))))
        text.refuse(row, f"{words[row]} is neither a class nor the place of one of {len(asked.in_order)} (from 0)")
    named = [asked.in_order[int(each)] for each in column]
    note = f"One whole number a row is the place of a class in the order {', '.join(asked.in_order)}, from 0."
    return Parsed(table=text_table({"label": named}), named=True, in_order=True, notes=(note,))


TOOL = Tool(
    name="numbers",
    title="LightGBM, XGBoost, CatBoost or scikit-learn (numbers alone)",
    version="LightGBM 4.7, XGBoost 3.2, CatBoost 1.2.10, by `numpy.savetxt` and `numpy.save`; LightGBM's command by "
    "its files",
    writes="`predict`, `predict_proba` as text: a line a row, tabs, commas or blanks between numbers, no names, no "
    "ids; or as a `.npy` array",
    read_as="K numbers in the order of the classes (or of `teacher.classes`), checked against the labels; one number "
    "is that of the second of two classes; a whole number is a class",
    trap="raw scores (negative, or not summing to one) are refused; `multi:softmax` writes places of classes; "
    "CatBoost's order of classes need not be sorted by name",
    looks_like=_looks_like,
    read=_read,
)
