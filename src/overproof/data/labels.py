"""Reads label columns: which cells mean "unlabelled", how a class is spelled, and the index of each class."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.data.columns import UNKNOWN, Frame, is_string
from overproof.data.frames import label_array
from overproof.data.source import Source
from overproof.data.wording import at_row, listed, nearest
from overproof.errors import InputError

OFTEN_UNLABELLED = frozenset(("?", "-", "na", "<na>", "n/a", "#n/a", "n.a.", "nan", "null", "none", "nil")) | {
    "missing",
    "tbd",
    "todo",
    "unannotated",
    "undefined",
    "unknown",
    "unlabeled",
    "unlabelled",
    "not labeled",
    "not labelled",
}
"""Words, in lower case, that tools and people write where there is no label; never silently taken for a class."""

NUMBERS_FOR_NO_LABEL = ("-1", "-9", "-99", "-999", "-9999")
"""Numbers that are written where there is no label, beside classes that are numbers."""

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")


def labels(frame: Frame, source: Source) -> tuple[Int64[Tensor, "N"], tuple[str, ...]]:
    """Label indices and the class names that they index.

    Returns:
        [N] indices, -1 where the label is unknown, and the names; () where no label is known.

    Raises:
        InputError: If the column holds anything but strings, whole numbers or booleans; a value that may be a class or
            mean "unlabelled" (-1, `?`, `None`, ...) and the source does not say which; or (with `source.classes`) a
            label that is not a class.
    """
    if source.label is None:
        return torch.full((len(frame.rows),), UNKNOWN), source.classes
    words = label_words(frame, source)
    if not source.classes:
        return indexed(words)
    index, names = indexed(words)
    if strange := [name for name in names if name not in source.classes]:
        row = int((index == names.index(strange[0])).nonzero()[0, 0])
        raise InputError(
            f"{frame.name} has the label {strange[0]!r} in column {source.label!r}, {frame.at(row)}"
            f"{nearest(strange[0], source.classes)}; the classes allowed are {listed(source.classes)}."
        )
    return renamed(index, names, source.classes), source.classes


def label_words(frame: Frame, source: Source) -> pa.Array:
    """The labels of a column: strings, booleans or integers, null where unknown.

    A null, a cell that is empty or holds blanks alone, and NaN are unknown labels, and so is each value that
    `source.unlabelled` lists.

    Raises:
        InputError: If the column holds anything else or a fraction, or a value that may be a class or "unlabelled".
    """
    name = source.label
    assert name is not None
    column = frame.column(name)
    where = f"{frame.name} has, in the label column {name!r},"
    allowed = "labels are strings, whole numbers or booleans"
    if is_string(column.type):
        words = column.cast(pa.large_string())
        words = pc.if_else(pc.equal(pc.utf8_trim_whitespace(words), ""), None, words)
    elif pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        words = column
    elif pa.types.is_floating(column.type):
        real = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
        odd = ~np.isnan(real) & (~(np.abs(real) < 2.0**63) | (np.floor(real) != real))
        if odd.any():
            row = int(odd.argmax())
            raise InputError(f"{where} the number {real[row]:g} in {frame.at(row)}; {allowed}.")
        words = pa.array(np.where(np.isnan(real), 0, real).astype(np.int64), mask=np.isnan(real))
    elif pa.types.is_null(column.type):
        words = column.cast(pa.large_string())
    else:
        raise InputError(f"{where} values of type {column.type}; {allowed}.")
    return _without_unlabelled(_one_spelling(words, source), frame, source)


def _one_spelling(words: pa.Array, source: Source) -> pa.Array:
    """The labels with the spellings that the source's `aliases` name replaced by those that are kept."""
    if not source.aliases or not (is_string(words.type) or pa.types.is_integer(words.type)):
        return words
    spelled = words.cast(pa.large_string())
    others = pa.array([str(each) for each in source.aliases], pa.large_string())
    kept = pa.array([str(each) for each in source.aliases.values()], pa.large_string())
    return pc.coalesce(kept.take(pc.index_in(spelled, value_set=others)), spelled)


def _without_unlabelled(words: pa.Array, frame: Frame, source: Source) -> pa.Array:
    """Null where the source says that a value means "unlabelled"; values that may mean it raise."""
    present = {str(word): word for word in pc.unique(words).drop_null().to_pylist()}
    # The only other reading of -1, a class, is excluded.
    sure = ("-1",) if set(present) == {"-1"} or (source.classes and "-1" not in source.classes) else ()
    if source.unlabelled is not None or (sure and "-1" in present):
        # CSV files of floats write -1 as -1.0.
        named = {word for each in (*source.unlabelled_words, *sure) for word in (each, f"{each}.0")}
        absent = [present[word] for word in sorted(named) if word in present]
        return pc.if_else(pc.is_in(words, pa.array(absent, words.type)), None, words) if absent else words
    doubtful = sorted(
        word
        for word in present
        if word.removesuffix(".0") in NUMBERS_FOR_NO_LABEL or word.strip().lower() in OFTEN_UNLABELLED
    )
    doubtful = [word for word in doubtful if word not in source.classes]
    if doubtful and not pa.types.is_boolean(words.type):
        equal = pc.fill_null(pc.equal(words, pa.scalar(present[doubtful[0]], words.type)), False)
        count, row = pc.sum(equal).as_py(), pc.index(equal, True).as_py()
        others = listed(sorted(word for word in present if word not in doubtful)) or "nothing else"
        number = doubtful[0].removesuffix(".0")
        option = number if len(doubtful) == 1 and number in NUMBERS_FOR_NO_LABEL else repr(doubtful)
        raise InputError(
            f"{frame.name} has {doubtful[0]!r} in the label column {source.label!r} in {count} of {len(words)} rows, "
            f"first in {frame.at(row)}, beside {others}: if it means that a row has no label, write `unlabelled: "
            f"{option}`; if it is a class, write `unlabelled: []`."
        )
    return words


def given_words(values: Sequence[Any], names: Sequence[str], origin: str) -> list[Any]:
    """Labels given in Python: None for an empty or blank string; a word that may mean "unlabelled" raises.

    Args:
        values: One label a row.
        names: The class names where they are given; a word among them is a class.
        origin: Where the labels come from, for the error message.

    Raises:
        InputError: A label is such a word.
    """
    for row, value in enumerate(values):
        if (
            isinstance(value, str)
            and value not in names
            and (value == "-1" or value.strip().lower() in OFTEN_UNLABELLED)
        ):
            raise InputError(
                f"{origin} has the label {value!r} in {at_row(row)}: if it means that there is no label, give None; if "
                f"it is a class, list it in class_names."
            )
    return [None if isinstance(value, str) and not value.strip() else value for value in values]


def with_class_names(source: Source, frame: Frame, words: Sequence[str]) -> tuple[Source, Frame]:
    """Labels that are numbers, spelled by the class names that the file itself gives them.

    Args:
        source: Its classes are set to these, unless it has some.
        frame: Its label column holds integers from 0 (-1 or null for unknown), or strings.
        words: The class names.

    Raises:
        InputError: If a name is repeated, the labels have another type, or an index is out of range.
    """
    assert source.label is not None
    column = frame.column(source.label)
    if len(set(words)) < len(words) or not (pa.types.is_integer(column.type) or is_string(column.type)):
        raise InputError(
            f"{frame.name} has class_names {listed(words)} beside labels of type {column.type}; integers from 0 or "
            f"strings, and a different name for each, are allowed."
        )
    fixed = source if source.classes else replace(source, classes=tuple(words))
    if is_string(column.type):
        return fixed, frame
    index = pc.fill_null(column.cast(pa.int64()), UNKNOWN).to_numpy()
    odd = (index < UNKNOWN) | (index >= len(words))
    if odd.any():
        row = int(odd.argmax())
        raise InputError(
            f"{frame.name} has the label {index[row]} in {frame.at(row)} but {len(words)} class_names; allowed are 0 "
            f"to {len(words) - 1}, and -1 for unknown."
        )
    named = pa.array([words[i] if i >= 0 else None for i in index], pa.large_string())
    place = frame.table.column_names.index(source.label)
    return fixed, replace(frame, table=frame.table.set_column(place, source.label, named))


def indexed(words: pa.Array) -> tuple[Int64[Tensor, "N"], tuple[str, ...]]:
    """Indices into the sorted distinct labels (`sorted_classes`), -1 for null, and the names of those labels.

    Example:
        >>> indexed(pa.array([10, 9, None, 10]))
        (tensor([ 1,  0, -1,  1]), ('9', '10'))
    """
    found = pc.unique(words).drop_null().to_pylist()
    distinct = pa.array(sorted_classes(found), words.type)
    index = pc.fill_null(pc.index_in(words, value_set=distinct), UNKNOWN).to_numpy(zero_copy_only=False)
    names = [str(word).lower() if isinstance(word, bool) else str(word) for word in distinct.to_pylist()]
    return torch.from_numpy(index.astype(np.int64)), tuple(names)


def sorted_classes(names: Sequence[Any]) -> list[Any]:
    """Class names in their order: by value where all are whole numbers, as numbers or as text; else as text.

    Example:
        >>> sorted_classes(["10", "9", "-1"]), sorted_classes(["10", "9", "b"]), sorted_classes(["01", "1"])
        (['-1', '9', '10'], ['10', '9', 'b'], ['01', '1'])
    """
    if all(isinstance(name, str) for name in names) and all(_WHOLE.fullmatch(name) for name in names):
        return sorted(names, key=int)
    return sorted(names)


def renamed(index: Int64[Tensor, "N"], names: tuple[str, ...], onto: tuple[str, ...]) -> Int64[Tensor, "N"]:
    """The same labels as indices into another list of names.

    Args:
        index: [N], into `names`, or -1.
        names: The current names; every one in use must be in `onto`.
        onto: The new names.

    Example:
        >>> renamed(torch.tensor([0, 1, -1]), ("cat", "dog"), ("dog", "cat"))
        tensor([ 1,  0, -1])
    """
    place = {name: new for new, name in enumerate(onto)}
    table = torch.tensor([*(place.get(name, UNKNOWN) for name in names), UNKNOWN])
    # The last entry is for the index -1.
    return table[index]


def array_labels(label: Any, names: tuple[str, ...], origin: str) -> tuple[Int64[Tensor, "N"], tuple[str, ...]]:
    """Label indices of an array, list or series, and the class names that they index.

    Args:
        label: [N] integers, -1 where unknown, or names, None where unknown.
        names: The classes; () takes those that occur.
        origin: What to call the examples in errors.

    Raises:
        InputError: A label of another type, or beyond the classes.
    """
    # NumPy would convert the 3 of ["a", 3] to "3".
    values: NDArray[Any] = label.cpu().numpy() if isinstance(label, Tensor) else label_array(label)
    if values.ndim != 1 or values.dtype.kind not in "iubUO":
        raise InputError(
            f"{origin} has labels of type {values.dtype} and shape {values.shape}; one integer or string per row is "
            f"allowed."
        )
    if values.dtype.kind in "UO":
        return _named_labels(values, names, origin)
    values = values.astype(np.int64)
    names = names or tuple(str(index) for index in range(values.max() + 1))
    odd = (values < UNKNOWN) | (values >= len(names))
    if odd.any():
        row = int(odd.argmax())
        raise InputError(
            f"{origin} has the label {values[row]} in {at_row(row)}; allowed are 0 to {len(names) - 1}, and -1 for "
            f"unknown."
        )
    return torch.from_numpy(values), names


def _named_labels(
    values: NDArray[Any], names: tuple[str, ...], origin: str
) -> tuple[Int64[Tensor, "N"], tuple[str, ...]]:
    words = given_words(values.tolist(), names, origin)
    for row, value in enumerate(words):
        if not (value is None or isinstance(value, str)):
            raise InputError(
                f"{origin} has a label of type {type(value).__name__} in {at_row(row)}; one label is a "
                f"string, so all labels must be strings."
            )
        if names and value is not None and value not in names:
            raise InputError(
                f"{origin} has the label {value!r} in {at_row(row)}{nearest(value, names)}; the classes "
                f"allowed are {listed(names)}."
            )
    index, found = indexed(pa.array(words, pa.large_string()))
    return (renamed(index, found, names), names) if names else (index, found)
