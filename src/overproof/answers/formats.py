"""The columns of a file of answers as probabilities of all K classes.

A row's probabilities may sum to less than one. `probs`, `top_probs` and `confidence` are probabilities of classes: the
missing mass is that of the classes which a row does not name, and is spread over them evenly. Logarithms are those of a
language model's tokens, and some of its mass is on tokens that are no class: a class that is not named gets an even
share of the missing mass, but not more than the smallest that is named (otherwise it would have been named), and the
row is then divided by its sum. So with `logprob`, that of the label alone: of two classes the other gets the rest.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from overproof.answers.names import DRAWN, INCLUSION
from overproof.data.wording import nearest
from overproof.errors import InputError

Rows = NDArray[np.int64]
Probs = NDArray[np.float64]
Dense = Callable[[pa.Table, Rows], Probs]
"""Some rows of the file and their numbers in it -> their probabilities [n, K]."""

KNOWN = {
    "label",
    "labels",
    "annotator",
    "confidence",
    "logprob",
    "abstained",
    "margin",
    "residual",
    "probs",
    "logprobs",
    "top_classes",
    "top_probs",
    "top_logprobs",
    INCLUSION,
    DRAWN,
}
"""Columns with a meaning of their own: no class is looked for among them."""

LIST_KINDS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def named_classes(path: Path, table: pa.Table, known: set[str]) -> tuple[str, ...]:
    """The classes that a file names, sorted; those of lists alone have their numbers as names.

    Args:
        path: The file, for errors.
        table: Its content.
        known: Columns that are no class.
    """
    columns = {field.name: field.type for field in table.schema}
    names = [
        name
        for name, kind in columns.items()
        if name not in known and (pa.types.is_floating(kind) or pa.types.is_integer(kind))
    ]
    if "top_classes" in columns:
        names = pc.unique(pc.list_flatten(table.column("top_classes"))).to_pylist()
    elif found := [name for name in ("probs", "logprobs") if name in columns]:
        kind = columns[found[0]]
        if pa.types.is_struct(kind):
            names = [field.name for field in kind]
        else:
            lengths, _ = _lists(path, found[0], table)
            return tuple(str(index) for index in range(int(lengths.max())))
    elif "labels" in columns:
        names = pc.unique(pc.list_flatten(table.column("labels"))).to_pylist()
    elif len(names) < 2 and "label" in columns:
        names = table.column("label").cast(pa.string()).unique().drop_null().to_pylist()
    return tuple(sorted(names))


def dense_reader(path: Path, schema: pa.Schema, class_names: tuple[str, ...], classes: tuple[str, ...]) -> Dense:
    """What turns rows of a file into probabilities.

    Args:
        path: The file, for errors.
        schema: Its columns.
        class_names: K names, the order of the answers.
        classes: The same names in the order of the file's lists.

    Raises:
        InputError: No column answers.
    """
    columns = schema.names
    missing = [name for name in class_names if name not in columns]
    if not missing:
        return lambda table, rows: np.stack([numbers(path, name, table.column(name)) for name in class_names], axis=1)
    if len(missing) < len(class_names):
        raise InputError(
            f"{path} has columns for {len(class_names) - len(missing)} of the {len(class_names)} classes and none for "
            f"{', '.join(repr(name) for name in missing[:5])}{' …' if len(missing) > 5 else ''}; it needs all or none."
            f"{_no_classes(schema, class_names, missing)}"
        )
    names, order = pa.array(class_names, pa.large_string()), [classes.index(name) for name in class_names]
    for column in ("probs", "logprobs"):
        if column in columns and pa.types.is_struct(schema.field(column).type):
            _check_fields(path, column, schema.field(column).type, class_names)
            return lambda table, rows: _object(path, column, table, rows, class_names)
        if column == "probs" and column in columns:
            return lambda table, rows: _listed(path, "probs", table, rows, len(order))[:, order]
        if column in columns:
            return lambda table, rows: _completed_logs(
                path, _listed(path, "logprobs", table, rows, len(order))[:, order], rows
            )
    for column in ("top_probs", "top_logprobs"):
        if {"top_classes", column} <= set(columns):
            return lambda table, rows: _top(path, column, table, rows, names)
    if {"label", "confidence"} <= set(columns):
        return lambda table, rows: _confident(path, table, rows, names)
    if {"label", "logprob"} <= set(columns):
        return lambda table, rows: _of_one_token(path, table, rows, names)
    if "label" in columns:
        return lambda table, rows: _one_hot(classes_of(path, table.column("label"), rows, names), len(names))
    raise InputError(
        f"{path} holds no answers: it needs a column for each class ({', '.join(class_names[:3])} …), or probs, "
        f"logprobs, top_classes and top_probs, labels, or label; it has {', '.join(columns)}."
    )


def _no_classes(schema: pa.Schema, class_names: tuple[str, ...], missing: list[str]) -> str:
    """Columns that look like probabilities of a class and are of none: of one with another spelling, or unknown."""
    numeric = [each.name for each in schema if pa.types.is_floating(each.type) or pa.types.is_integer(each.type)]
    others = [name for name in numeric if name not in KNOWN and name not in class_names]
    close = [name for name in others if nearest(name, missing)]
    odd = close or [name for name in others if pa.types.is_floating(schema.field(name).type)]
    if not odd:
        return ""
    words = ", ".join(f"{name!r}{nearest(name, missing)}" for name in odd[:5]) + (" …" if len(odd) > 5 else "")
    return f" No class is called {words}."


def completed(probs: Probs, named: NDArray[np.bool_]) -> Probs:
    """Give classes that are not named their part of the missing mass, and make rows sum to one.

    Args:
        probs: [n, K], 0 where a class is not named; rows sum to one at most.
        named: [n, K].

    Example:
        A third is missing to one; of four classes two are not named, and get half of it each. Of three classes one is
        not named, and gets no more than the smallest that is.

        >>> completed(np.array([[0.5, 0.2, 0, 0]]), np.array([[True, True, False, False]])).round(3).tolist()
        [[0.5, 0.2, 0.15, 0.15]]
        >>> completed(np.array([[0.2, 0.1, 0]]), np.array([[True, True, False]])).tolist()
        [[0.5, 0.25, 0.25]]
    """
    missing = np.maximum(1 - probs.sum(axis=1), 0)
    share = missing / np.maximum((~named).sum(axis=1), 1)
    share = np.minimum(share, np.where(named, probs, np.inf).min(axis=1))
    filled = np.where(named, probs, share[:, None])
    return filled / filled.sum(axis=1, keepdims=True)


def _completed_logs(path: Path, logs: Probs, rows: Rows) -> Probs:
    """Logarithms, NaN where a class is not named, as probabilities."""
    named = ~np.isnan(logs)
    positive = np.where(named, logs, 0).max(axis=1) > 1e-3
    probs = np.exp(np.where(named & ~positive[:, None], logs, -np.inf))
    wrong = {
        "a logarithm of a probability above 0": positive,
        "no class": ~named.any(axis=1),
        "probabilities that sum to more than 1": probs.sum(axis=1) > 1 + 1e-3,
        "no probability above 0": probs.sum(axis=1) <= 0,
    }
    for what, where in wrong.items():
        if where.any():
            row = int(np.argmax(where))
            raise InputError(
                f"{path}, row {rows[row]} (counted from 0): it gives {what}; natural logarithms are needed."
            )
    return completed(probs, named)


def numbers(path: Path, name: str, column: pa.ChunkedArray | pa.Array) -> Probs:
    """A column of numbers, NaN where a cell is empty.

    Args:
        path: The file, for errors.
        name: The column, for errors.
        column: [n].

    Raises:
        InputError: It holds something else.
    """
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        word = next((each for each in column.to_pylist() if each is not None), None)
        such = f" such as {word!r}" if isinstance(word, str) else ""
        raise InputError(f"{path}: column {name!r} holds {column.type}{such}; it must hold numbers, such as 0.87.")
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))  # an empty place becomes NaN


def _lists(path: Path, name: str, table: pa.Table) -> tuple[Rows, pa.Array]:
    """The length of each row's list, and all their elements."""
    column = table.column(name).combine_chunks()
    if not any(kind(column.type) for kind in LIST_KINDS):
        raise InputError(f"{path}: column {name!r} holds {column.type}; it must hold a list in every row.")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return lengths, pc.list_flatten(column)


def _listed(path: Path, name: str, table: pa.Table, rows: Rows, num_classes: int) -> Probs:
    lengths, values = _lists(path, name, table)
    if (lengths != num_classes).any():
        row = int(np.argmax(lengths != num_classes))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): {name} has {lengths[row]} numbers; "
            f"it must have {num_classes}, one for each class."
        )
    return numbers(path, name, values).reshape(-1, num_classes).copy()


def _check_fields(path: Path, column: str, kind: pa.StructType, class_names: tuple[str, ...]) -> None:
    named = {field.name for field in kind}
    strange = sorted(named - set(class_names))
    lacking = [name for name in class_names if name not in named] if column == "probs" else []
    if strange or lacking:
        what = f"names {strange[0]!r}, which is no class" if strange else f"never names {lacking[0]!r}"
        raise InputError(
            f"{path}: {column} {what}; the classes are {', '.join(class_names[:10])}"
            f"{' …' if len(class_names) > 10 else ''}."
        )


def _object(path: Path, column: str, table: pa.Table, rows: Rows, class_names: tuple[str, ...]) -> Probs:
    """One number a class, by name; what an object leaves out is no number."""
    objects = table.column(column).combine_chunks()
    fields = {field.name for field in objects.type}
    nothing = np.full(len(rows), np.nan)
    # Flattened and not by field, so that an object which is missing itself hides its fields.
    parts = dict(zip((field.name for field in objects.type), objects.flatten(), strict=True))
    values = np.stack(
        [numbers(path, f"{column}.{name}", parts[name]) if name in fields else nothing for name in class_names], axis=1
    )
    return values if column == "probs" else _completed_logs(path, values, rows)


def classes_of(path: Path, column: pa.ChunkedArray | pa.Array, rows: Rows, names: pa.Array) -> Rows:
    """The index of each name; `rows` are their rows in the file, for errors.

    Raises:
        InputError: A name that is no class.
    """
    text = column.cast(pa.large_string())
    classes = pc.index_in(text, value_set=names)
    if classes.null_count:
        place = int(np.argmax(classes.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(
            f"{path}, row {rows[place]} (counted from 0): there is no class {text[place].as_py()!r}; "
            f"the classes are {', '.join(names.slice(0, 10).to_pylist())}{' …' if len(names) > 10 else ''}."
        )
    return classes.to_numpy().astype(np.int64)


def _one_hot(classes: Rows, num_classes: int) -> Probs:
    probs = np.zeros((len(classes), num_classes))
    probs[np.arange(len(classes)), classes] = 1
    return probs


def _confident(path: Path, table: pa.Table, rows: Rows, names: pa.Array) -> Probs:
    """One class with its probability, the rest on the others evenly."""
    classes, confidence = (
        classes_of(path, table.column("label"), rows, names),
        numbers(path, "confidence", table.column("confidence")),
    )
    # Tools write 1.00001.
    good = (confidence >= 1 / len(names)) & (confidence <= 1 + 1e-4)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): confidence is {confidence[row]:g}; it must lie between "
            f"1/{len(names)}, where a label among {len(names)} classes is a guess, and 1 (a probability of another "
            f"class than the label's needs a column with the name of that class)."
        )
    confidence = np.minimum(confidence, 1)
    others = (1 - confidence) / (len(names) - 1)
    return np.where(_one_hot(classes, len(names)) == 1, confidence[:, None], others[:, None])


def _of_one_token(path: Path, table: pa.Table, rows: Rows, names: pa.Array) -> Probs:
    """One class with its logarithm; the others share the missing mass, but none gets more than it has."""
    classes = classes_of(path, table.column("label"), rows, names)
    logs = np.full((len(rows), len(names)), np.nan)
    given = numbers(path, "logprob", table.column("logprob"))
    logs[np.arange(len(rows)), classes] = np.where(np.isnan(given), np.inf, given)
    probs = _completed_logs(path, logs, rows)
    ties = np.exp(given) <= 1 / len(names)
    if ties.any():
        row = int(np.argmax(ties))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): logprob is {given[row]:g}, a probability of "
            f"{np.exp(given[row]):.3g}; above 1/{len(names)} is needed for a label among {len(names)} classes."
        )
    return probs


def rounding_of(values: Probs) -> int | None:
    """To how many decimals (2 to 5) all numbers are rounded; None where they are not.

    Args:
        values: Any, finite.

    Example:
        >>> rounding_of(np.array([0.905, 0.008, 0.086])), rounding_of(np.array([1 / 3]))
        (3, None)
    """
    for decimals in range(2, 6):
        scaled = values * 10**decimals
        # Single precision moves a number with five decimals by less than this.
        if (np.abs(scaled - np.round(scaled)) < 1e-2).all():
            return decimals
    return None


LARGEST_ROUNDING = 0.05
"""No more than this may be missing to one by rounding."""


def unrounded(probs: Probs) -> Probs:
    """Rows whose sum is not one only because their numbers are rounded, divided by it.

    Numbers rounded to d decimals sum to one within K 10^-d / 2. Rows within .001 are kept as they are.

    Args:
        probs: [n, K], rows of one file.

    Example:
        >>> unrounded(np.array([[0.33, 0.33, 0.33], [0.5, 0.25, 0.25]])).sum(axis=1).round(6).tolist()
        [1.0, 1.0]
    """
    total = probs.sum(axis=1)
    off = np.abs(total - 1) > 1e-3
    if not off.any() or not np.isfinite(probs).all() or (decimals := rounding_of(probs)) is None:
        return probs
    allowed = min(probs.shape[1] * 0.5 * 10.0**-decimals, LARGEST_ROUNDING) + 1e-9
    rounded = off & (np.abs(total - 1) <= allowed)
    return np.where(rounded[:, None], probs / np.where(rounded, total, 1)[:, None], probs)


def _top(path: Path, column: str, table: pa.Table, rows: Rows, names: pa.Array) -> Probs:
    num_named, given = _lists(path, "top_classes", table)
    num_values, values = _lists(path, column, table)
    if (num_named != num_values).any():
        row = int(np.argmax(num_named != num_values))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): {num_named[row]} top_classes and {num_values[row]} {column}; "
            "there must be as many."
        )
    owner = np.repeat(np.arange(len(rows)), num_named)
    classes = classes_of(path, given, rows[owner], names)
    times = np.zeros((len(rows), len(names)), np.int16)
    np.add.at(times, (owner, classes), 1)
    if (times > 1).any():
        row, twice = (int(place) for place in np.argwhere(times > 1)[0])
        raise InputError(f"{path}, row {rows[row]} (counted from 0): top_classes names {names[twice].as_py()!r} twice.")
    given_numbers = numbers(path, column, values)
    if column == "top_logprobs":
        logs = np.full(times.shape, np.nan)
        logs[owner, classes] = np.where(np.isnan(given_numbers), np.inf, given_numbers)
        return _completed_logs(path, logs, rows)
    probs = np.zeros(times.shape)
    probs[owner, classes] = given_numbers
    # What is not a number spreads nothing: it stays where it is, to be refused by name.
    share = np.nan_to_num(1 - probs.sum(axis=1)).clip(min=0) / np.maximum((times == 0).sum(axis=1), 1)
    share = np.where((times == 0).any(axis=1), share, 0)
    if (too_much := share > 1.001 * probs.max(axis=1)).any():
        row = int(np.argmax(too_much))
        raise InputError(
            f"{path}, row {rows[row]} (counted from 0): each class that it does not name would get {share[row]:.3g}, "
            "more than those it names; give more of its probabilities."
        )
    return np.where(times == 0, share[:, None], probs)
