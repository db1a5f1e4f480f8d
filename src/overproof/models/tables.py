"""Encodes tables as float32: standardised numbers, one-hot categories, cyclic dates, indicators of missing values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from overproof.data import Examples, Kind
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.models.date_column import DateColumn
from overproof.models.inputs import Dense
from overproof.models.saved.checked_fields import checked_fields, checked_names

Family = Literal["numbers", "booleans", "strings", "dates"]

MAX_CATEGORIES = 64
"""The most frequent categories of a column have a slot each; the rest share `other`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberColumn:
    """A column of numbers: (value - mean) / std, and a second slot that is 1 where the value is missing.

    Args:
        name: The column.
        mean: Mean of the values at fitting; it replaces a missing one.
        std: Their standard deviation. If it is 0, the slot is always 0, because no weight was fitted to another value.
        gaps: Whether a value was missing at fitting; otherwise there is no second slot.
    """

    name: str
    mean: float
    std: float
    gaps: bool

    @property
    def family(self) -> Family:
        """Numbers."""
        return "numbers"

    @property
    def width(self) -> int:
        """Number of slots."""
        return 1 + self.gaps

    def encode(self, column: pa.ChunkedArray, block: NDArray[np.float32]) -> None:
        """Fill `block` [N, width]."""
        values = numbers_of(column)
        missing = np.isnan(values)
        if self.std > 0:
            block[:, 0] = np.where(missing, 0.0, (values - self.mean) / self.std)
        else:
            block[:, 0] = 0
        if self.gaps:
            block[:, 1] = missing


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryColumn:
    """A column of strings or booleans: one slot per category, and `other` for unseen and missing ones.

    Args:
        name: The column.
        family: Its type of values at fitting.
        categories: The categories with a slot.
    """

    name: str
    family: Family
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of slots."""
        return len(self.categories) + 1

    @property
    def numbered(self) -> bool:
        """Whether all categories are whole numbers, such as postcodes."""
        return all(category.removeprefix("-").isdigit() for category in self.categories)

    def words(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """The column's values as strings, in the form of the categories."""
        return _spelled(column) if _family(column) == "numbers" else column.cast(pa.large_string())

    def encode(self, column: pa.ChunkedArray, block: NDArray[np.float32]) -> None:
        """Fill `block` [N, width]."""
        known = pa.array(self.categories, pa.large_string())
        place = pc.index_in(_strings(self.words(column)), value_set=known, skip_nulls=True)
        slot = pc.fill_null(place, len(self.categories)).to_numpy()
        block[:] = 0
        block[np.arange(len(block)), slot] = 1

    def unknown(self, column: pa.ChunkedArray) -> pa.Array:
        """The values without a slot of their own, one for each of their rows; missing ones are left out."""
        words = _strings(self.words(column))
        return words.filter(pc.invert(pc.is_in(words, pa.array(self.categories, pa.large_string())))).drop_null()


@dataclass(frozen=True, kw_only=True, slots=True)
class EmptyColumn:
    """A column without any value at fitting: it has no slot, and later values are ignored.

    Args:
        name: The column.
    """

    name: str

    @property
    def family(self) -> None:
        """Any type of values."""
        return None

    @property
    def width(self) -> int:
        """Number of slots: none."""
        return 0

    def encode(self, column: pa.ChunkedArray, block: NDArray[np.float32]) -> None:
        """Do nothing."""


TableColumn = NumberColumn | CategoryColumn | DateColumn | EmptyColumn


@dataclass(frozen=True, kw_only=True, slots=True)
class TableEncoder:
    """Tables as float32 [N, D], the concatenated slots of all columns.

    Args:
        columns: In the order of their slots.

    Example:
        >>> from overproof.data import from_arrays
        >>> table = from_arrays(pa.table({"size": [1.0, 3.0], "colour": ["red", "blue"]}))
        >>> TableEncoder.fit([table]).encode(table).values.tolist()
        [[-1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    """

    columns: tuple[TableColumn, ...]

    @classmethod
    def fit(cls, parts: Sequence[Examples]) -> "TableEncoder":
        """Fit means, standard deviations and categories to all rows of all parts.

        Args:
            parts: Labelled and pool examples, with the same columns.

        Raises:
            InputError: A part is not a table, lacks a column or has another type of values in it.
        """
        names = parts[0].column_names if parts[0].kind == "table" else []
        for part in parts:
            check_columns(part, names)
        fitted = tuple(_fitted(name, parts) for name in names)
        if not any(column.width for column in fitted):
            raise InputError(f"{parts[0].origin} has no value in any of its columns {listed(names)}; all are empty.")
        return cls(columns=fitted)

    @property
    def kind(self) -> Kind:
        """Tables."""
        return "table"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The number of slots."""
        return (sum(column.width for column in self.columns),)

    def encode(self, examples: Examples) -> Dense:
        """float32 [N, D].

        Raises:
            InputError: A column is missing, extra, or has another type of values than at fitting.
        """
        table = table_of(examples, [column.name for column in self.columns])
        encoded = np.empty((len(examples), *self.input_shape), np.float32)
        start = 0
        for column in self.columns:
            values = table.column(column.name)
            family = _family(values)
            if family == "numbers" and isinstance(column, CategoryColumn) and column.numbered:
                family = column.family
            if column.family is not None and family not in (column.family, None):
                raise InputError(
                    f"{examples.origin} has {family} in column {column.name!r}; the student was fitted on "
                    f"{column.family}."
                )
            column.encode(values, encoded[:, start : start + column.width])
            start += column.width
        return Dense(values=torch.from_numpy(encoded))

    def new_gap(self, examples: Examples) -> tuple[str, int] | None:
        """The first column, and its first row, in which a number or a date is missing where none was at fitting.

        No slot says so to the student, which would read it as the column's mean.

        Args:
            examples: A table; columns that it does not have, or that the student does not read, are not looked at.
        """
        if examples.kind != "table":
            return None
        for column in self.columns:
            if not isinstance(column, NumberColumn | DateColumn) or column.gaps:
                continue
            if column.name not in examples.column_names:
                continue
            gaps = pc.is_null(examples.column(column.name), nan_is_null=True)
            if pc.any(gaps).as_py():
                return column.name, pc.index(gaps, True).as_py()
        return None

    @property
    def had_gaps(self) -> bool:
        """Whether a number or a date was missing in some column at fitting."""
        return any(isinstance(column, NumberColumn | DateColumn) and column.gaps for column in self.columns)

    def missing(self, examples: Examples) -> dict[str, tuple[int, str]]:
        """The columns with missing values: in how many rows, and what the student reads them as.

        Args:
            examples: A table with all columns of the student.
        """
        found: dict[str, tuple[int, str]] = {}
        for column in self.columns:
            gaps = pc.is_null(examples.column(column.name), nan_is_null=True)
            if (num := pc.sum(gaps).as_py()) and not isinstance(column, EmptyColumn):
                known = isinstance(column, CategoryColumn) or column.gaps
                reading = "a category that it does not know" if isinstance(column, CategoryColumn) else "missing"
                found[column.name] = num, reading if known else "the column's mean"
        return found

    def unknown(self, examples: Examples) -> dict[str, tuple[int, str]]:
        """The columns with categories that the student does not know: in how many rows, and the first of them.

        Args:
            examples: A table with all columns of the student.

        Example:
            >>> from overproof.data import from_arrays
            >>> encoder = TableEncoder.fit([from_arrays(pa.table({"colour": ["red", "blue"]}))])
            >>> encoder.unknown(from_arrays(pa.table({"colour": ["Red", "blue", "Red"]})))
            {'colour': (2, 'Red')}
        """
        found: dict[str, tuple[int, str]] = {}
        for column in self.columns:
            if isinstance(column, CategoryColumn) and len(words := column.unknown(examples.column(column.name))):
                found[column.name] = len(words), words[0].as_py()
        return found

    def config(self) -> dict[str, Any]:
        """Its fields."""
        return {"type": "table", "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TableEncoder":
        """The inverse of `config`."""
        if not isinstance(config["columns"], list):
            raise ValueError(f"columns is {str(config['columns'])[:60]}; a list is needed")
        columns = tuple(_column_from(each, number) for number, each in enumerate(config["columns"]))
        checked_names([column.name for column in columns], "the list of columns")
        return cls(columns=columns)


def table_of(examples: Examples, expected: Sequence[str]) -> pa.Table:
    """The table of examples that have exactly these columns, in any order.

    Raises:
        InputError: As for `check_columns`.
    """
    check_columns(examples, expected)
    table = examples.inputs
    assert isinstance(table, pa.Table)
    return table


def with_columns_of(encoder: Any, table: pa.Table) -> pa.Table:
    """The columns that an encoder reads, where all are there; else the table as it is, which encoding refuses.

    Args:
        encoder: Of tables.
        table: With other columns too, such as the label.
    """
    names = [getattr(column, "name", column) for column in encoder.columns]
    return table.select(names) if set(names) <= set(table.column_names) else table


def check_columns(examples: Examples, expected: Sequence[str]) -> None:
    """Check that examples are a table of exactly these columns, in any order, without reading them.

    Raises:
        InputError: They are not a table; or columns are missing or extra, which the message lists.
    """
    if examples.kind != "table":
        raise InputError(f"{examples.origin} holds examples of kind {examples.kind!r}; the student reads 'table'.")
    wrong = {
        "lacks the columns": [name for name in expected if name not in examples.column_names],
        "has the extra columns": [name for name in examples.column_names if name not in expected],
    }
    errors = [f"{words} {listed(names)}" for words, names in wrong.items() if names]
    if errors:
        raise InputError(f"{examples.origin} {' and '.join(errors)}; the student was fitted on {listed(expected)}.")


def numbers_of(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of numbers as a new array, NaN where a value is missing."""
    # An unchecked cast: above 2**53 the nearest float64 is precise enough for a standardised value.
    real = pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan"))
    values: NDArray[np.float64] = np.array(real.to_numpy())
    return values


def _fitted(name: str, parts: Sequence[Examples]) -> TableColumn:
    # One column at a time, because a table on disk may be larger than memory.
    columns = [(part.origin, table_of(part.only([name]), [name]).column(name)) for part in parts]
    families = {found: origin for origin, column in columns if (found := _family(column)) is not None}
    if len(families) > 1:
        found_types = " and ".join(f"{found} in {origin}" for found, origin in families.items())
        raise InputError(f"Column {name!r} holds {found_types}; one type of values is allowed.")
    if not families:
        return EmptyColumn(name=name)
    family = next(iter(families))
    if family == "dates":
        return DateColumn.fit(name, [column for _, column in columns])
    if family == "numbers":
        values = np.concatenate([numbers_of(column) for _, column in columns])
        known = values[~np.isnan(values)]
        if len(known) == 0:
            return EmptyColumn(name=name)
        # Equal values may differ from their rounded mean, and squares of very large numbers overflow.
        largest = float(np.abs(known).max())
        scale = largest if largest > 1e150 else 1.0
        std = float((known / scale).std()) * scale if (known != known[0]).any() else 0.0
        return NumberColumn(
            name=name, mean=float((known / scale).mean()) * scale, std=std, gaps=len(known) < len(values)
        )
    words = pa.chunked_array([_strings(column) for _, column in columns], pa.large_string())
    counts = words.value_counts()
    frequency = {entry["values"]: entry["counts"] for entry in counts.to_pylist() if entry["values"] is not None}
    frequent = sorted(frequency, key=lambda category: (-frequency[category], category))[:MAX_CATEGORIES]
    return CategoryColumn(name=name, family=family, categories=tuple(sorted(frequent)))


def _family(column: pa.ChunkedArray) -> Family | None:
    """The type of values of a column; None if it has none."""
    if pa.types.is_null(column.type):
        return None
    if pa.types.is_boolean(column.type):
        return "booleans"
    if pa.types.is_timestamp(column.type):
        return "dates"
    return "numbers" if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) else "strings"


def _column_from(config: Mapping[str, Any], number: int) -> TableColumn:
    """The inverse of a column's fields.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"column {number} is {config!r}; an object is needed")
    kind: type[TableColumn] = EmptyColumn
    if "categories" in config:
        kind = CategoryColumn
    elif "mean" in config:
        kind = DateColumn if "daily" in config else NumberColumn
    found = checked_fields(kind, config, f"column {number}")
    if isinstance(found, NumberColumn | DateColumn) and found.std < 0:
        raise ValueError(f"column {number} has std {found.std}; it must be at least 0")
    return found


def _spelled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as strings, whole ones without a decimal point."""
    real = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
    whole = pc.equal(pc.floor(real), real)
    digits = pc.cast(pc.if_else(whole, real, None), pa.int64(), safe=False)
    return pc.if_else(whole, digits.cast(pa.large_string()), real.cast(pa.large_string()))


def _strings(column: pa.ChunkedArray) -> pa.Array:
    strings = column.cast(pa.large_string()).combine_chunks()
    return strings.combine_chunks() if isinstance(strings, pa.ChunkedArray) else strings
