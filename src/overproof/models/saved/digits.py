"""With how many digits the numbers of a table were written, and whether these are too few to recognise a row by."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64

from overproof.data import Examples
from overproof.models.encoders import Encoder, PlainTable
from overproof.models.tables import NumberColumn, TableEncoder, numbers_of

FEWEST = 20
"""In fewer rows, or values of a column, digits may be few by chance."""

_HALF_STEPS = {pa.float16(): 2.0**-11, pa.float32(): 2.0**-24}
"""Relative error of these types."""

Rounding = tuple[int | None, int | None]
"""The fewest decimals and the fewest significant digits that hold all numbers of a column; None for more."""


def offsets_of(encoder: Encoder, num: int) -> Float64[np.ndarray, "D"]:
    """What to add to the encoded numbers of a row so that they are as large as the original ones, in the same unit."""
    offsets = np.zeros(num)
    for slot, column in numbers(encoder):
        offsets[slot] = column.mean / column.std
    return offsets


def numbers(encoder: Encoder) -> Iterator[tuple[int, NumberColumn]]:
    """The slots of standardised numbers."""
    start = 0
    for column in encoder.columns if isinstance(encoder, TableEncoder) else ():
        if isinstance(column, NumberColumn) and column.std > 0:
            yield start, column
        start += column.width


def names_of(encoder: Encoder) -> dict[int, str]:
    """The columns of numbers by their slot."""
    if isinstance(encoder, PlainTable):
        return dict(enumerate(encoder.columns))
    return {slot: column.name for slot, column in numbers(encoder)}


def roundings_of(encoder: Encoder, rows: Float64[np.ndarray, "n D"], error: float) -> tuple[Rounding, ...]:
    """How the numbers of each slot were written, as far as encoded ones tell.

    Args:
        encoder: Which encoded the rows.
        rows: A sample of them.
        error: Relative error of an encoded number.
    """
    result: list[Rounding] = [(None, None)] * rows.shape[1]
    columns = dict(numbers(encoder))
    for slot in names_of(encoder):
        column = columns.get(slot)
        scale, mean = (column.std, column.mean) if column else (1.0, 0.0)
        # A missing number is encoded as the mean, whose digits are nobody's; the next slot marks it.
        own = rows[rows[:, slot + 1] == 0, slot] if column and column.gaps else rows[:, slot]
        if len(rows) >= FEWEST and len(own):
            result[slot] = rounding_of(own * scale + mean, np.abs(own) * scale * error)
    return tuple(result)


def rounding_of(values: Float64[np.ndarray, "n"], error: Float64[np.ndarray, "n"], most: int = 6) -> Rounding:
    """The fewest decimals (from -3) and the fewest significant digits that hold all numbers.

    Args:
        values: The numbers.
        error: How exactly each is known.
        most: So many decimals or digits are looked for.

    Example:
        >>> rounding_of(np.array([0.5, 1.25, 120.0]), np.zeros(3))
        (2, 3)
    """
    known = np.isfinite(values)
    values, error = values[known], error[known] + 1e-15 * np.abs(values[known])
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    fits = {
        "decimals": [(each, np.full(len(values), 10.0**-each)) for each in range(-3, most + 1)],
        "digits": [(each, 10.0 ** (size - each + 1)) for each in range(1, most + 1)],
    }
    least = dict[str, int | None](decimals=None, digits=None)
    for how, units in fits.items():
        for each, unit in units:
            # Where the error is larger than the unit, anything fits.
            if (error > 0.05 * unit).any():
                break
            if (np.abs(values - np.rint(values / unit) * unit) <= error).all():
                least[how] = each
                break
    return least["decimals"], least["digits"]


def unsure_rows(
    rounding: Sequence[Rounding], known: Float64[np.ndarray, "n"], encoder: Encoder, examples: Examples
) -> tuple[Bool[np.ndarray, "n"], dict[str, Rounding]]:
    """The rows that may be one of a list's and would not be recognised, because one of both has too few digits.

    Args:
        rounding: How the numbers of the list were written.
        known: The relative error up to which each row is surely recognised.
        encoder: Of the list.
        examples: n examples.

    Returns:
        [n] whether it may; and the columns that say so, with the digits that they have.
    """
    unsure, columns = np.zeros(len(known), bool), dict[str, Rounding]()
    if len(known) < FEWEST:
        return unsure, columns
    table = examples.inputs
    assert isinstance(table, pa.Table)
    for slot, name in names_of(encoder).items():
        column = table.column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        values = numbers_of(column)
        if np.isfinite(values).sum() < FEWEST:
            continue
        own, theirs = rounding_of(values, np.zeros(len(values)), most=12), rounding[slot]
        size, same = np.abs(np.nan_to_num(values)), _same(own, theirs)
        coarser = np.zeros(len(known)) if same else np.maximum(_error(own, size), _error(theirs, size))
        if (not same or not known.any()) and column.type in _HALF_STEPS:
            coarser = np.maximum(coarser, size * _HALF_STEPS[column.type])
        # A zero is in the middle of a wide cell.
        scale = np.where(size > 0, size, np.median(size[size > 0]) / 4 if size.any() else 1.0)
        missed = (coarser > known * scale) & np.isfinite(values)
        if missed.any():
            unsure |= missed
            columns[name] = own
    return unsure, columns


def _same(own: Rounding, theirs: Rounding) -> bool:
    """Whether two columns may have been written in the same way; of a list's fewer digits can be told."""
    return any(one is not None and one == other for one, other in zip(own, theirs, strict=True)) or (
        theirs == (None, None) and all(each is None or each > 6 for each in own)
    )


def _error(rounding: Rounding, size: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """The largest error of numbers that were rounded so."""
    decimals, digits = rounding
    options = [np.zeros(len(size))]
    if decimals is not None:
        options.append(np.full(len(size), 0.5 * 10.0**-decimals))
    if digits is not None:
        last = 10.0 ** (np.floor(np.log10(np.maximum(size, 1e-300))) - digits + 1)
        options.append(np.where(size > 0, 0.5 * last, 0.0))
    # With few digits the smallest number decides on the decimals, and the other way round.
    return np.max(options, axis=0)
