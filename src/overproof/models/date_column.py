"""Encodes a column of dates as numbers: standardised time, and position in the week, the year and the day."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

DAY = np.int64(86_400_000_000)
"""In microseconds."""
WEEK = 7 * DAY
# The mean year of the calendar; dates differ from it by at most two days.
YEAR = np.int64(31_556_952_000_000)
# 1970-01-01 was a Thursday; weeks start on Monday.
MONDAY = 4 * DAY


@dataclass(frozen=True, kw_only=True, slots=True)
class DateColumn:
    """A column of points in time: (time - mean) / std; then sine and cosine of the position in the week, in the year
    and, if there were times of day, in the day; and a last slot that is 1 where the value is missing.

    A missing value is 0 in all slots but the last.

    Args:
        name: The column.
        mean: Mean of the times at fitting, in microseconds since 1970.
        std: Their standard deviation; if it is 0, the first slot is always 0.
        daily: Whether there was a time of day other than midnight at fitting.
        gaps: Whether a value was missing at fitting; otherwise there is no last slot.

    Example:
        Noon of 2 July 2026 is the middle of its day and, nearly, of its year.

        >>> moment = DateColumn(name="at", mean=0.0, std=0.0, daily=True, gaps=False)
        >>> block = np.empty((1, moment.width), np.float32)
        >>> moment.encode(pa.chunked_array([["2026-07-02 12:00:00"]]).cast(pa.timestamp("us")), block)
        >>> [bool(abs(value) < 0.01) for value in block[0, 3:]], block[0, 4:7:2].round(3).tolist()
        ([True, False, True, False], [-1.0, -1.0])
    """

    name: str
    mean: float
    std: float
    daily: bool
    gaps: bool

    @classmethod
    def fit(cls, name: str, columns: list[pa.ChunkedArray]) -> "DateColumn":
        """Fit to the values of all columns, at least one of which is known."""
        times = np.concatenate([microseconds(column)[0] for column in columns])
        missing = np.concatenate([microseconds(column)[1] for column in columns])
        known = times[~missing]
        real = known.astype(np.float64)
        return cls(
            name=name,
            mean=float(real.mean()),
            std=float(real.std()) if (known != known[0]).any() else 0.0,
            daily=bool((known % DAY != 0).any()),
            gaps=bool(missing.any()),
        )

    @property
    def family(self) -> str:
        """Dates."""
        return "dates"

    @property
    def width(self) -> int:
        """Number of slots."""
        return 5 + 2 * self.daily + self.gaps

    def circles(self) -> list[tuple[np.int64, np.int64]]:
        """Start and length of week, year and (where it has one) day, in microseconds."""
        nothing = np.int64(0)
        return [(MONDAY, WEEK), (nothing, YEAR), *([(nothing, DAY)] if self.daily else [])]

    def encode(self, column: pa.ChunkedArray, block: NDArray[np.float32]) -> None:
        """Fill `block` [N, width]."""
        times, missing = microseconds(column)
        block[:] = 0
        if self.std > 0:
            block[:, 0] = (times - self.mean) / self.std
        for number, (shift, turn) in enumerate(self.circles()):
            _circle((times - shift) % turn / turn, block[:, 1 + 2 * number : 3 + 2 * number])
        block[missing] = 0
        if self.gaps:
            block[:, -1] = missing


def _circle(share: NDArray[np.float64], block: NDArray[np.float32]) -> None:
    """Sine and cosine of shares of a full turn."""
    block[:, 0], block[:, 1] = np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)


def microseconds(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since 1970, and where a value is missing (0 there)."""
    missing: NDArray[np.bool_] = pc.is_null(column).to_numpy()
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64), missing
    times: NDArray[np.int64] = pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), 0).to_numpy()
    return times, missing
