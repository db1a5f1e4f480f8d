"""Checks and conversions of inputs, for files and arrays alike: images, texts and feature columns of tables."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from overproof.data.columns import Frame, is_string
from overproof.data.wording import listed, short_type
from overproof.errors import InputError

Missing = Literal["refuse", "drop", "allow"]
"""What to do with a row that lacks an input."""


def image_tensor(array: np.ndarray, name: str) -> UInt8[Tensor, "N C H W"]:
    """Convert images in any usual layout to one tensor, channels first.

    Args:
        array: uint8, [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3.
        name: Name of the array in error messages.

    Raises:
        InputError: If the type or shape is not allowed, or both the second and the last axis could be channels.
    """
    allowed = "images are uint8 of shape [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3"
    if array.dtype != np.uint8:
        raise InputError(f"{name} holds images of type {array.dtype.newbyteorder('=')}; {allowed}.")
    shape = array.shape
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim != 4 or not {shape[1], shape[3]} & {1, 3}:
        raise InputError(f"{name} holds images of shape {shape}; {allowed}.")
    elif shape[1] in (1, 3) and shape[3] in (1, 3) and shape[1:] != (1, 1, 1):
        raise InputError(f"{name} holds images of shape {shape}, whose channels could be axis 1 or 3; {allowed}.")
    elif shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if 0 in array.shape[1:]:
        raise InputError(f"{name} holds images of shape {shape}; height and width must be at least 1.")
    return torch.from_numpy(np.array(array, order="C"))


def texts(frame: Frame, names: Sequence[str], missing: Missing) -> tuple[Frame, pa.Array]:
    """Columns of strings as one array, and the rows that are kept.

    Of several columns those that are not blank are joined, an empty line between them.

    Args:
        frame: The rows.
        names: The columns.
        missing: "refuse" nulls and blank texts, "drop" their rows, or "allow" them (null becomes empty).

    Raises:
        InputError: If a column does not hold strings, or a text is missing.

    Example:
        >>> from overproof.data.columns import whole
        >>> mails = whole("mails", pa.table({"subject": ["Hello", None], "body": ["Where is it?", "Thanks"]}))
        >>> texts(mails, ["subject", "body"], "refuse")[1].to_pylist()
        ['Hello\\n\\nWhere is it?', 'Thanks']
    """
    parts = []
    for name in names:
        column = frame.column(name)
        if not is_string(column.type) and not pa.types.is_null(column.type):
            raise InputError(
                f"{frame.name} has values of type {short_type(column.type)} in the text column {name!r}; strings are "
                f"allowed."
            )
        parts.append(pc.fill_null(column.cast(pa.large_string()), ""))
    words = parts[0]
    for part in parts[1:]:
        blank = [pc.equal(pc.utf8_trim_whitespace(each), "") for each in (words, part)]
        between = pc.if_else(pc.or_(*blank), "", "\n\n").cast(pa.large_string())
        both = [pc.if_else(empty, "", each) for empty, each in zip(blank, (words, part), strict=True)]
        words = pc.binary_join_element_wise(both[0], between, both[1], pa.scalar("", pa.large_string()))
    blank = pc.equal(pc.utf8_trim_whitespace(words), "").to_numpy(zero_copy_only=False)
    if missing == "allow" or not blank.any():
        return frame, words
    if missing == "refuse":
        raise InputError(
            f"{frame.name} has no text in column{'s' * (len(names) > 1)} {listed(names)}, "
            f"{frame.at(blank.argmax())}; every row needs one, or set "
            f"`missing` to 'drop' or 'allow'."
        )
    return _left(frame, ~blank), words.filter(pa.array(~blank))


def features(
    frame: Frame, names: list[str], missing: Missing, categories: Collection[str] = ()
) -> tuple[Frame, pa.Table]:
    """Columns of numbers, booleans, strings and dates as a table, and the rows that are kept.

    Decimals become float64, half floats float32, dictionaries and strings large_string. Dates and timestamps become
    microseconds in UTC (without a time zone they are taken as UTC); times of day and durations become seconds.

    Args:
        frame: The rows.
        names: The feature columns.
        missing: "refuse" nulls and NaN, "drop" their rows, or "allow" them.
        categories: Columns whose numbers are categories: they become strings.

    Raises:
        InputError: If there is no column, a column has another type, or a value is missing or infinite.
    """
    if not names:
        raise InputError(f"{frame.name} has no feature columns left; a table needs at least one.")
    columns = {name: _feature(frame, name, as_words=name in categories) for name in names}
    gone = np.zeros(len(frame.rows), bool)
    for name, column in columns.items():
        gaps = _gaps(column)
        if missing == "refuse" and gaps.any():
            raise InputError(
                f"{frame.name} has a missing value in column {name!r}, {frame.at(gaps.argmax())}; every cell needs a "
                f"value, or set `missing` to 'drop' or 'allow'."
            )
        gone |= gaps
    table = pa.table(columns)
    if missing == "drop" and gone.any():
        return _left(frame, ~gone), table.filter(pa.array(~gone)).combine_chunks()
    return frame, table


def _feature(frame: Frame, name: str, *, as_words: bool) -> pa.Array:
    column = frame.column(name)
    kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif kind == pa.float16():
        column = column.cast(pa.float32())
    elif is_string(kind):
        column = column.cast(pa.large_string())
    elif pa.types.is_temporal(kind):
        column = _moments(column, frame, name)
    if as_words:
        column = _words(column, frame, name)
    kind = column.type
    known = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_large_string,
        pa.types.is_timestamp,
        pa.types.is_null,
    )
    if not any(check(kind) for check in known):
        raise InputError(
            f"{frame.name} has values of type {short_type(kind)} in column {name!r}; a table holds numbers, booleans, "
            f"strings and dates (name others under `ignore`)."
        )
    if pa.types.is_floating(kind):
        infinite = pc.fill_null(pc.is_inf(column), False).to_numpy(zero_copy_only=False)
        if infinite.any():
            row = int(infinite.argmax())
            raise InputError(
                f"{frame.name} has {column[row]} in column {name!r}, {frame.at(row)}; numbers must be finite."
            )
    return column


def _moments(column: pa.Array, frame: Frame, name: str) -> pa.Array:
    """Points in time in microseconds; times of day and durations as seconds."""
    kind = column.type
    try:
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            # Nanoseconds are dropped; dates out of range raise.
            zone = kind.tz if pa.types.is_timestamp(kind) else None
            cut = pc.CastOptions(target_type=pa.timestamp("us", zone), allow_time_truncate=True)
            return pc.cast(column, options=cut).cast(pa.timestamp("us"))
        if pa.types.is_time(kind) or pa.types.is_duration(kind):
            units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
            whole = column.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
            return pc.divide(whole.cast(pa.float64()), float(units))
    except pa.ArrowException:
        raise InputError(
            f"{frame.name} has dates in column {name!r} that are out of range; years up to 290000 are allowed."
        ) from None
    raise InputError(
        f"{frame.name} has values of type {kind} in column {name!r}; dates, times and durations are allowed."
    )


def _words(column: pa.Array, frame: Frame, name: str) -> pa.Array:
    """Numbers that are categories as strings, whole ones without a decimal point."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        return column
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        fractions = pc.fill_null(pc.not_equal(pc.floor(column), column), False).to_numpy(zero_copy_only=False)
        if fractions.any():
            row = int(fractions.argmax())
            raise InputError(
                f"{frame.name} has {column[row]} in column {name!r}, {frame.at(row)}; numbers under `categories` must "
                f"be whole."
            )
        column = column.cast(pa.int64())
    return column.cast(pa.large_string())


def _gaps(column: pa.Array) -> Bool[np.ndarray, "N"]:
    gaps: np.ndarray = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
    return gaps


class NothingLeft(InputError):
    """No row is left after those without an input are dropped. It is not an error for one piece of a file."""


def _left(frame: Frame, kept: Bool[np.ndarray, "N"]) -> Frame:
    if not kept.any():
        raise NothingLeft(f"{frame.name} has no row left after dropping those without input; at least one is needed.")
    return replace(frame.keep(kept), dropped=frame.dropped + int((~kept).sum()))
