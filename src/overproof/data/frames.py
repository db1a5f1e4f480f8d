"""Data frames of pandas, Polars and others as Arrow tables, without importing their libraries.

A frame is read as a Parquet file of it would be: by its columns, without a pandas index.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from overproof.data.wording import reason
from overproof.errors import InputError


def _library(values: Any) -> str:
    return type(values).__module__.partition(".")[0]


def is_frame(values: Any) -> bool:
    """Whether values are a data frame: of pandas, a dict of columns, or else with named columns that Arrow can read.

    Example:
        >>> is_frame(pa.table({"a": [1]})), is_frame([[1]])
        (True, False)
    """
    if type(values).__name__ in ("LazyFrame", "DataFrame"):
        return True
    if isinstance(values, Mapping) and not hasattr(values, "shape"):
        # A sparse matrix of SciPy may be a mapping too.
        return len(values) > 0 and all(
            hasattr(each, "__len__") and not isinstance(each, str) for each in values.values()
        )
    return isinstance(values, pa.Table) or (
        hasattr(values, "__arrow_c_stream__") and not isinstance(values, pa.ChunkedArray) and hasattr(values, "columns")
    )


def gaps_in(values: Any) -> Literal["allow", "refuse"]:
    """What to do with missing values: columns of a frame may have some, the NaN of an array is an error.

    Args:
        values: A frame, an array, or anything else.
    """
    return "allow" if is_frame(values) else "refuse"


def table_of_frame(values: Any, origin: str) -> pa.Table:
    """The columns of a data frame as an Arrow table; a pandas index is left out.

    Args:
        values: A frame, as `is_frame` finds it.
        origin: What to call it in errors.

    Raises:
        InputError: A frame that is not computed yet, with a column of several types, or with a column name twice.
    """
    if isinstance(values, pa.Table):
        return with_plain_types(values)
    if type(values).__name__ == "LazyFrame":
        raise InputError(f"{origin} is a LazyFrame, which is not computed yet; give {origin}.collect().")
    if isinstance(values, Mapping):
        try:
            return with_plain_types(pa.table({str(name): column for name, column in values.items()}))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(
                f"{origin} is a dict, and its values are no columns of one length ({reason(error)}); give lists or "
                f"arrays of as many values."
            ) from None
    names = [str(name) for name in values.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{origin} has the column {twice[0]!r} more than once; every column needs a name of its own.")
    try:
        if _library(values) == "pandas":
            return pa.Table.from_pandas(values, preserve_index=False).rename_columns(names)
        return with_plain_types(pa.table(values))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"{origin} has a column of several types, or of one that Arrow does not have "
            f"({reason(ValueError(error.args[-1]))}); convert it, for example with astype(str)."
        ) from None


def frame_without(values: Any, column: str | None) -> Any:
    """A data frame of pandas or Polars as it is, without a column; None for anything else.

    Args:
        values: Anything.
        column: Its name; None for no column.
    """
    if _library(values) not in ("pandas", "polars") or type(values).__name__ != "DataFrame":
        return None
    if column is None or column not in values.columns:
        return values
    return values.drop(columns=[column]) if _library(values) == "pandas" else values.drop(column)


def check_same_rows(first: Any, second: Any, first_name: str, second_name: str) -> None:
    """Check that two pandas objects do not hold the same index in another order.

    Rows are matched by position, so such a pair would be matched wrongly.

    Args:
        first: Anything.
        second: Anything.
        first_name: What to call it in errors.
        second_name: The same of the other.

    Raises:
        InputError: They do.
    """
    if _library(first) != "pandas" or _library(second) != "pandas":
        return
    one, other = getattr(first, "index", None), getattr(second, "index", None)
    if one is None or other is None:
        return
    if len(one) == len(other) and not one.equals(other) and set(one) == set(other):
        raise InputError(
            f"{second_name} has the index of {first_name} in another order, and rows are matched by position; give "
            f"{second_name}.loc[{first_name}.index]."
        )


def column_names(values: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns; None where it is none, or where they are the numbers of its columns.

    Args:
        values: Anything.
    """
    if isinstance(values, Mapping) and is_frame(values):
        return tuple(map(str, values))
    if not is_frame(values) or not hasattr(values, "columns"):
        return None
    names = values.column_names if isinstance(values, pa.Table) else [str(name) for name in values.columns]
    return None if list(names) == [str(index) for index in range(len(names))] else tuple(names)


def label_array(labels: Any) -> NDArray[Any]:
    """Labels as an array of whole numbers or of objects that are strings or None.

    Missing labels (None, NaN, a null of pandas or Arrow) among numbers become -1, and whole floats become integers. The
    number -1 among strings, as scikit-learn has it, becomes None. What is neither is returned as NumPy has it.

    Args:
        labels: A list, an array, or a series of pandas, Polars or Arrow.

    Example:
        >>> label_array([1.0, None, 0.0]).tolist(), label_array(["no", None]).tolist()
        ([1, -1, 0], ['no', None])
        >>> label_array(np.array(["no", -1, "yes"], object)).tolist()
        ['no', None, 'yes']
    """
    if isinstance(labels, list | tuple) or (isinstance(labels, np.ndarray) and labels.dtype.kind == "O"):
        words = [None if isinstance(each, int | np.integer) and each == -1 else each for each in labels]
        if any(isinstance(each, str) for each in words) and not any(isinstance(each, int) for each in words):
            labels = words
    if isinstance(labels, np.ndarray) and labels.dtype.kind not in "Of":
        return labels
    try:
        if hasattr(labels, "__arrow_c_stream__") and _library(labels) != "pandas":
            column: Any = pa.chunked_array(labels)
        else:
            column = pa.array(labels if hasattr(labels, "__array__") else list(labels), from_pandas=True)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        kind = column.type
        if pa.types.is_floating(kind):
            real = column.to_numpy(zero_copy_only=False).astype(np.float64)
            known = np.isfinite(real)
            if np.isinf(real).any() or (np.floor(real[known]) != real[known]).any():
                return np.asarray(labels)
            return np.where(known, real, -1).astype(np.int64)
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
            whole = column.cast(pa.int64())
            return np.asarray(whole.fill_null(-1))
        if (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or kind == getattr(pa, "string_view", pa.string)()
        ):
            return np.asarray([*column.to_pylist(), None], object)[:-1]
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    return np.asarray(labels, object) if isinstance(labels, Sequence) else np.asarray(labels)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that a column is read as; Arrow computes little with the views of Polars, also in dictionaries.

    Args:
        kind: The type of a column.
    """
    if pa.types.is_dictionary(kind):
        value = plain_type(kind.value_type)
        return kind if value == kind.value_type else value
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def with_plain_types(table: pa.Table) -> pa.Table:
    """A table whose columns have the types of `plain_type`.

    Args:
        table: Any.
    """
    for place, field in enumerate(table.schema):
        if (wanted := plain_type(field.type)) != field.type:
            chunks = [
                chunk.dictionary.cast(wanted).take(chunk.indices)
                if isinstance(chunk, pa.DictionaryArray)
                else chunk.cast(wanted)
                for chunk in table.column(place).chunks
            ]
            table = table.set_column(place, field.name, pa.chunked_array(chunks, wanted))
    return table
