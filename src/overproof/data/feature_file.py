"""Reads frozen features with their labels or targets from an .npz archive or a Parquet file."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from overproof.data.find_files import locate
from overproof.data.readers.arrow_files import open_parquet
from overproof.data.readers.npz import headers_of, load_arrays
from overproof.data.source import MAX_UNPACKED_GB
from overproof.data.wording import at_row, listed, nearest, reason
from overproof.errors import InputError

_GROUPS = "a group is a string or a whole number per row."


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FeatureFile:
    """The content of a file of features.

    Args:
        features: [N, D], float32 or float64, finite.
        answers: The requested labels and targets by name: [N] strings or whole numbers for a label, [N, T] finite
            numbers for a target.
        group: [N], the group of each row as text, those without one each of its own; None where no group was named.
        origin: Name of the file in error messages.
    """

    features: NDArray[Any]
    answers: dict[str, NDArray[Any]]
    group: NDArray[Any] | None
    origin: str


def read_features(
    path: str,
    *,
    features: Sequence[str] = (),
    label: Sequence[str] = (),
    target: Sequence[str] = (),
    group: str | None = None,
    max_gb: float = MAX_UNPACKED_GB,
) -> FeatureFile:
    """Read features with their labels or targets.

    Args:
        path: An .npz archive or a Parquet file.
        features: .npz: the array [N, D]; by default the only matrix of numbers. Parquet: columns of numbers, or of
            lists of numbers of one length; by default every such column that is not a label or target.
        label: Arrays or columns [N] of classes: strings, whole numbers, booleans.
        target: Arrays [N] or [N, T], or columns, of finite numbers.
        group: Array or column [N] of what several rows may come from: strings or whole numbers; an empty one is a group
            of its own. It is not a feature.
        max_gb: Gigabytes to which compressed arrays or columns may unpack.

    Raises:
        InputError: There is no such file, array or column; one has another type or length; a number is missing.
    """
    found = locate(path, "features")
    name = f"features ({found.name})"
    wanted = [*features, *label, *target, *([] if group is None else [group])]
    if repeated := sorted({each for each in wanted if wanted.count(each) > 1}):
        raise InputError(
            f"{name}: {listed(repeated)} is named twice; features, labels, targets and group must be different."
        )
    if found.suffix.lower() == ".npz":
        columns = _archive(found, name, wanted, bool(features), max_gb)
    elif ".parquet" in found.name.lower():
        rows = open_parquet(found, name, max_gb=max_gb)
        _check_there(wanted, rows.columns, name, "column")
        (table,) = rows.tables(rows.columns if not features else wanted)
        columns = {each: _plain(table.column(each), each, name) for each in table.column_names}
    else:
        raise InputError(f"{name} has the extension {found.suffix!r}; .npz and .parquet are allowed.")
    _check_there(wanted, columns, name, "array")
    inputs = _features(columns, list(features), {*label, *target, group}, name, archive=found.suffix.lower() == ".npz")
    answers = {each: _labels(columns[each], each, name) for each in label}
    answers |= {each: _numbers(columns[each], each, name, "target") for each in target}
    groups = {} if group is None else {group: _groups(columns[group], group, name)}
    for each, values in {**answers, **groups}.items():
        if len(values) != len(inputs):
            raise InputError(
                f"{name} has {len(inputs)} rows of features and {len(values)} in {each!r}; both need one each."
            )
    return FeatureFile(
        features=inputs,
        answers={
            each: values.reshape(len(values), -1) if each in target else values for each, values in answers.items()
        },
        group=None if group is None else groups[group],
        origin=name,
    )


def _archive(path: Path, name: str, wanted: Sequence[str], named: bool, max_gb: float) -> dict[str, NDArray[Any]]:
    """The arrays that are named, and where no features are, those that may be."""
    try:
        headers = headers_of(path, name, "a whole .npz archive of plain arrays is needed")
        _check_there(wanted, headers, name, "array")
        numbers = [key for key, each in headers.items() if len(each.shape) == 2 and each.dtype.kind in "fiu"]
        return load_arrays(path, name, headers, [*wanted, *([] if named else numbers)], max_gb)
    except InputError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name} is not a readable .npz archive ({reason(error)}); a whole one is needed.") from None


def _check_there(wanted: Sequence[str], existing: Any, name: str, what: str) -> None:
    for each in wanted:
        if each not in existing:
            raise InputError(f"{name} has no {what} {each!r}{nearest(each, existing)}; it has {listed(existing)}.")


def _plain(column: pa.ChunkedArray, each: str, name: str) -> NDArray[Any]:
    """A column as an array: numbers with NaN for gaps, lists of numbers as a matrix, everything else as objects."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_floating(kind):
        values: NDArray[Any] = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()
        return values.astype(np.float32) if kind != pa.float64() else values
    if pa.types.is_integer(kind) and column.null_count == 0:
        return column.to_numpy()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = pc.unique(pc.list_value_length(column)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise InputError(f"{name} has lists of different lengths in column {each!r}; one length is allowed.")
        flat = pc.list_flatten(column)
        if pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type):
            filled = pc.fill_null(flat.cast(pa.float64()), float("nan")).to_numpy()
            return filled.reshape(len(column), lengths[0]).astype(
                np.float64 if flat.type == pa.float64() else np.float32
            )
    return np.array(column.to_pylist(), object)


def _features(
    columns: dict[str, NDArray[Any]], named: list[str], answers: set[str | None], name: str, *, archive: bool
) -> NDArray[Any]:
    if not named:
        free = {each: values for each, values in columns.items() if each not in answers and values.dtype.kind in "fiu"}
        named = [each for each, values in free.items() if values.ndim == 2 or not archive]
        if not named or (archive and len(named) > 1):
            raise InputError(
                f"{name} has {len(named)} matrices of numbers besides labels and targets among {listed(columns)}; name "
                "the one to use with --features."
                if archive
                else f"{name} has no column of numbers besides labels and targets; it has {listed(columns)}."
            )
    parts = [_numbers(columns[each], each, name, "feature") for each in named]
    if len({len(part) for part in parts}) > 1:
        raise InputError(f"{name} has features of different lengths: {listed(len(part) for part in parts)} rows.")
    joined = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    if len(joined) < 2:
        raise InputError(f"{name} has {len(joined)} rows; at least 2 are needed.")
    return joined


def _numbers(values: NDArray[Any], each: str, name: str, what: str) -> NDArray[Any]:
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
        held = "strings or nulls" if values.dtype.kind in "OUS" else f"type {values.dtype} and shape {values.shape}"
        raise InputError(f"{name} has {held} in {each!r}; a {what} is one or more finite numbers per row.")
    real = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    odd = ~np.isfinite(real).reshape(len(real), -1).all(axis=1)
    if odd.any():
        raise InputError(f"{name} has a number that is missing or infinite in {each!r}, {at_row(int(odd.argmax()))}.")
    return real


def _labels(values: NDArray[Any], each: str, name: str) -> NDArray[Any]:
    if values.ndim != 1:
        raise InputError(f"{name} has the shape {values.shape} in {each!r}; a label is one value per row.")
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.floor(values))
        if not whole.all():
            row = int((~whole).argmax())
            raise InputError(
                f"{name} has {values[row]:g} in the label {each!r}, {at_row(row)}; labels are strings, whole numbers "
                "or booleans (numbers to predict go under --target)."
            )
        return values.astype(np.int64)
    if values.dtype.kind == "O":
        for row, value in enumerate(values):
            if not isinstance(value, str | bool | int) or value == "":
                raise InputError(f"{name} has {value!r} in the label {each!r}, {at_row(row)}; every row needs a class.")
        return values.astype(str)
    if values.dtype.kind not in "iubU":
        raise InputError(f"{name} has values of type {values.dtype} in the label {each!r}; strings or whole numbers.")
    return values


def _groups(values: NDArray[Any], each: str, name: str) -> NDArray[Any]:
    """Groups as text; a row without one has its own."""
    if values.ndim != 1 or values.dtype.kind not in "iubUOf":
        raise InputError(
            f"{name} has the shape {values.shape} and type {values.dtype} in the group {each!r}; {_GROUPS}"
        )
    words = []
    for row, value in enumerate(values.tolist()):
        if isinstance(value, float):
            if not np.isnan(value) and value != int(value):
                raise InputError(f"{name} has {value:g} in the group {each!r}, {at_row(row)}; {_GROUPS}")
            value = None if np.isnan(value) else int(value)
        elif value is not None and not isinstance(value, str | int):
            raise InputError(f"{name} has {value!r} in the group {each!r}, {at_row(row)}; {_GROUPS}")
        words.append(f"row {row}" if value is None or value == "" else f"group {value}")
    return np.array(words)
