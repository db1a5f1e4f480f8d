"""Recognise a row of numbers in another precision: as float32 or float16, or as text with four to six digits.

The numbers of a row are placed in a grid, and the numbers of their cells are hashed. A copy of the row differs from it
by a small part of each number, hence it is in the same cells, except where a number is near the edge of its cell: there
the cell beyond the edge is tried too, in all combinations. The cells are so wide that one number of a row is near an
edge on average, however many columns there are, and so narrow that hardly two rows share all of them: both are measured
on the rows themselves when the list is made. Where they cannot be had together, cells are narrower and copies must have
more digits.

A number x is placed at sign(x) · log(1 + |x| / middle), where a relative error p of x is an error of at most p.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from overproof.models.encoders import Encoder, PlainTable
from overproof.models.saved.digits import FEWEST, Rounding, offsets_of, roundings_of
from overproof.models.tables import TableEncoder

COARSEST = 5e-4
"""Relative error of a number with four digits, and the largest that is recognised; float16 has 4.9e-4."""

MOST_ALIKE = 0.005
"""So large a share of rows may be in the cells of another row, which is left out in its place."""

_FINER = 14
"""How often the cells may be halved: then a float32 is told from the next."""

_LARGEST = 1000
"""Exponents of two beyond which all numbers are treated alike."""

_MOST_EDGES = 10
"""Columns of a row whose other cell is tried too: 2**10 combinations at most."""

_SAMPLE, _NUMBERS_AT_A_TIME = 20_000, 2**22
_SLACK = 1.02
_LAST_BITS = 2.0**-22
"""Relative error of a standardised number itself, which is a float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Widths of cells, one for each of D encoded numbers of a row.

    Args:
        steps: [D], exponents of two.
        middles: [D], exponents of two; None for slots of categories and small whole numbers, which are placed at x.
        precision: Relative error of a number with which its row is recognised.
        rounding: [D], how the numbers were written that the grid was made for.
    """

    steps: tuple[int, ...]
    middles: tuple[int | None, ...]
    precision: float
    rounding: tuple[Rounding, ...]

    def config(self) -> dict[str, Any]:
        """Its fields, for JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Grid":
        """The inverse of `config`.

        Raises:
            ValueError: It is none.
            KeyError: A field is missing.
            TypeError: A field is of another type.
        """
        steps, precision = tuple(config["steps"]), float(config["precision"])
        rounding = tuple((decimals, digits) for decimals, digits in config["rounding"])
        middles = tuple(config["middles"])
        numbers = [each for some in (middles, *rounding) for each in some if each is not None]
        if not all(type(each) is int and abs(each) <= _LARGEST for each in (*steps, *numbers)):
            raise ValueError("a width of its cells is no small whole number")
        if not 0 <= precision <= COARSEST or not len(rounding) == len(middles) == len(steps):
            raise ValueError("its grid has a precision that no version writes")
        return cls(steps=steps, middles=middles, precision=precision, rounding=rounding)

    def placed(self, encoder: Encoder, rows: Float64[np.ndarray, "n D"]) -> "Cells":
        """The cells of rows.

        Args:
            encoder: Which encoded the rows.
            rows: As encoded.
        """
        plain = np.array([each is None for each in self.middles], bool)
        middle = np.exp2(np.array([each or 0 for each in self.middles], np.float64))
        # NaN and infinite numbers have cells of their own.
        known = np.clip(np.nan_to_num(rows, nan=2.0**900), -(2.0**900), 2.0**900)
        value = known + offsets_of(encoder, rows.shape[1])
        size = np.abs(value)
        where = np.where(plain, known, np.copysign(np.log1p(size / middle), value))
        slope = np.where(plain, 1.0, 1.0 / (middle + size))
        step = np.exp2(np.array(self.steps, np.float64))
        place = np.clip(where / step, -(2.0**60), 2.0**60)
        cell = np.rint(place)
        to_edge = (0.5 - np.abs(place - cell)) * step - _LAST_BITS * np.abs(known) * slope
        moved = np.maximum(size * slope, 1e-300)
        edge = np.where(to_edge <= 0, 0.0, np.minimum(to_edge / moved, 1.0))
        beyond = np.where(place < cell, -1, 1)
        return Cells(cells=cell.astype(np.int64), edge=edge, beyond=beyond, width=np.minimum(step / moved, 1.0))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cells:
    """Where rows are in a grid.

    Args:
        cells: [n, D], the cell of each number.
        edge: [n, D], the relative error at which each number is in the next cell.
        beyond: [n, D], 1 or -1: on which side the next cell is.
        width: [n, D], the relative error that is as wide as the cell.
    """

    cells: Int64[np.ndarray, "n D"]
    edge: Float64[np.ndarray, "n D"]
    beyond: Int64[np.ndarray, "n D"]
    width: Float64[np.ndarray, "n D"]


def is_numeric(encoder: Encoder) -> bool:
    """Whether its rows are numbers that may be written in several precisions."""
    return isinstance(encoder, TableEncoder | PlainTable)


def sample_of(num_rows: int, num_columns: int) -> Int64[np.ndarray, "n"]:
    """The rows on which a grid is fitted, evenly spaced.

    Args:
        num_rows: Of all.
        num_columns: Their encoded numbers.
    """
    size = min(num_rows, _SAMPLE, max(_NUMBERS_AT_A_TIME // max(num_columns, 1), FEWEST))
    return np.arange(size, dtype=np.int64) * num_rows // max(size, 1)


def fitted_grid(encoder: Encoder, rows: Float64[np.ndarray, "n D"], num_rows: int) -> Grid:
    """The grid with the widest cells that tell rows apart; its precision is 0 where none do.

    Args:
        encoder: Which encoded the rows.
        rows: A sample of all rows.
        num_rows: Of all.
    """
    size, largest = np.abs(rows + offsets_of(encoder, rows.shape[1])), np.abs(rows).max(axis=0, initial=0)
    # In the middle of a cell, never near its edge.
    whole = (rows == np.rint(rows)).all(axis=0) & (largest <= 200)
    # What is left of a zero in the last bits of a standardised number is a zero.
    known = np.where(size > 4 * _LAST_BITS * np.abs(rows), size, 0)
    middles = _exponents(np.array([np.median(each[each > 0]) if each.any() else 1.0 for each in known.T]))
    moved = size / (np.exp2(middles) + size)
    tolerance = COARSEST * (moved.mean(axis=0) if len(rows) else moved.sum(axis=0))
    narrowest = _exponents(4 * _LAST_BITS * (np.abs(rows) / (np.exp2(middles) + size)).max(axis=0, initial=0))
    steps = np.where(
        whole,
        np.clip(_exponents(4 * COARSEST * largest), -10, -1),
        _exponents(2 * max(int((~whole).sum()), 1) * tolerance),
    )
    rounding = roundings_of(encoder, rows, _LAST_BITS / 2)
    distinct = np.unique(rows + 0.0, axis=0) if len(rows) else rows
    grid = Grid(
        steps=tuple(steps.tolist()),
        middles=tuple(None if plain else int(each) for plain, each in zip(whole, middles, strict=True)),
        precision=0.0,
        rounding=rounding,
    )
    for finer in range(_FINER):
        each = np.where(whole, steps, np.maximum(steps - finer, narrowest))
        tried = replace(grid, steps=tuple(each.tolist()), precision=COARSEST * 2.0**-finer)
        if _share_alike(tried, encoder, distinct) * num_rows <= MOST_ALIKE * max(len(rows), 1):
            return tried
    return grid


def _exponents(values: Float64[np.ndarray, "D"]) -> Int64[np.ndarray, "D"]:
    """The next power of two of each."""
    return np.ceil(np.log2(np.clip(values, 2.0**-_LARGEST, 2.0**_LARGEST))).astype(np.int64)


def _share_alike(grid: Grid, encoder: Encoder, rows: Float64[np.ndarray, "n D"]) -> float:
    """The share of different rows that are in the cells of another."""
    if len(rows) < 2:
        return 0.0
    words = np.sort(near_words(b"", grid, encoder, rows))
    alike = words[1:] == words[:-1]
    return float((np.append(alike, False) | np.append(False, alike)).mean())


def near_words(key: bytes, grid: Grid, encoder: Encoder, rows: Float64[np.ndarray, "n D"]) -> Int64[np.ndarray, "n"]:
    """Hashes of the cells of rows.

    Args:
        key: The key of the list.
        grid: Of the list.
        encoder: Which encoded the rows.
        rows: As encoded.
    """
    cells = grid.placed(encoder, rows).cells
    state = _state(key)
    return np.fromiter((_word(state, row) for row in cells), np.int64, len(cells))


def words_around(
    key: bytes, grid: Grid, encoder: Encoder, rows: Float64[np.ndarray, "n D"]
) -> tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
    """Hashes of all cells that a copy of each row may be in.

    Args:
        key: Of the list.
        grid: Of the list.
        encoder: Which encoded the rows.
        rows: As encoded.

    Returns:
        The row of each hash, and the hashes.
    """
    placed = grid.placed(encoder, rows)
    edge, tried = placed.edge, placed.edge <= grid.precision * _SLACK
    state, owner, words = _state(key), list[int](), list[int]()
    for row in range(len(rows)):
        columns = np.flatnonzero(tried[row])
        columns = columns[np.argsort(edge[row, columns], kind="stable")][:_MOST_EDGES]
        for cell in _around(placed.cells[row], columns, placed.beyond[row, columns]):
            words.append(_word(state, cell))
            owner.append(row)
    return np.array(owner, np.int64), np.array(words, np.int64)


def _around(
    cell: NDArray[np.int64], columns: NDArray[np.int64], beyond: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """The cells of a row, and those beyond each combination of near edges."""
    for steps in product((0, 1), repeat=len(columns)):
        each = cell.copy()
        each[columns] += np.array(steps, np.int64) * beyond
        yield each


def recognised(grid: Grid, encoder: Encoder, rows: Float64[np.ndarray, "n D"]) -> Float64[np.ndarray, "n"]:
    """The relative error up to which each row is surely recognised: that of the grid, or where more edges are near than
    are tried, a smaller one.

    Args:
        grid: Of a list.
        encoder: Which encoded the rows.
        rows: As encoded.
    """
    placed = grid.placed(encoder, rows)
    # A number that passes its whole next cell is not recognised either.
    passes = (placed.edge + placed.width).min(axis=1, initial=np.inf)
    most = np.full(len(rows), grid.precision)
    if rows.shape[1] > _MOST_EDGES:
        most = np.minimum(most, np.partition(placed.edge, _MOST_EDGES, axis=1)[:, _MOST_EDGES])
    return np.minimum(most, passes) * _SLACK


def _state(key: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=5, key=key, person=b"cells")


def _word(state: "hashlib.blake2b", cells: NDArray[np.int64]) -> int:
    own = state.copy()
    own.update(np.ascontiguousarray(cells).astype("<i8").tobytes())
    return int.from_bytes(own.digest(), "little")
