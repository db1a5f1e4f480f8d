"""Reads the rows of a query on a SQLite or DuckDB file, opened for reading alone."""

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from overproof.data.readers.number_columns import MOSTLY
from overproof.data.source import Source
from overproof.data.wording import at_row, listed, reason
from overproof.errors import InputError

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
"""What a query may do; not: attach another file, write, or set anything."""

_LISTING = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"

_SQLITE, _DUCKDB = b"SQLite format 3\0", b"DUCK"


def read_database(path: Path, source: Source, name: str) -> pa.Table:
    """The rows of `source.query`, in its order.

    Args:
        path: The file.
        source: Names the query.
        name: Name of the file in error messages.

    Raises:
        InputError: It names none, with the tables that there are; neither SQLite nor DuckDB; a query that fails or does
            more than to read; a column of values of several types; rows that are not in the file yet.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head == _SQLITE:
        return _sqlite(path, source.query, name)
    if head[8:12] == _DUCKDB:
        return _duckdb(path, source.query, name)
    raise InputError(f"{name} is no SQLite or DuckDB file.")


def tables_in(path: Path, name: str) -> list[str]:
    """The tables and views of a database, in alphabetical order.

    Args:
        path: The file.
        name: Name of the file in error messages.

    Raises:
        InputError: It cannot be opened.
    """
    listing = "SELECT table_name AS name FROM information_schema.tables ORDER BY 1"
    with path.open("rb") as file:
        if file.read(16) == _SQLITE:
            listing = _LISTING
    return list(read_database(path, Source(path=str(path), query=listing), name).column("name").to_pylist())


def _no_query(tables: list[str], name: str) -> InputError:
    first = tables[0] if tables else "TABLE"
    return InputError(
        f"{name} is a database, of which `query` says what is read, such as `query: SELECT * FROM {first}`; its tables "
        f"are {listed(tables) or 'none'}."
    )


def _sqlite(path: Path, query: str | None, name: str) -> pa.Table:
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        raise InputError(
            f"{name} has rows in {log.name} that are not in the file yet; close the program that writes it, or run "
            f"sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'."
        )
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        if query is None:
            raise _no_query([row[0] for row in connection.execute(_LISTING)], name)
        connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
        cursor = connection.execute(query)
        rows = cursor.fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{name}: the query {str(query)[:80]!r} fails: {reason(error)}.") from None
    finally:
        connection.close()
    columns = [each[0] for each in cursor.description or ()]
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.Table.from_arrays(
        [_column(each, column, name) for each, column in zip(values, columns, strict=True)], names=columns
    )


def _column(values: Any, column: str, name: str) -> pa.Array:
    """A column of SQLite, where every value has a type of its own."""
    kinds = sorted({type(value).__name__ for value in values if value is not None})
    if kinds == ["float", "int"]:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) > 1:
        odd = [row for row, value in enumerate(values) if isinstance(value, str)]
        if set(kinds) <= {"float", "int", "str"} and len(odd) <= (1 - MOSTLY) * len(values):
            cell = str(values[odd[0]])
            known = sum(value is not None for value in values)
            quoted = "'" + cell.replace("'", "''") + "'"
            raise InputError(
                f"{name} has {cell!r} in column {column!r}, {at_row(odd[0])}, where {known - len(odd)} of {known} are "
                f"numbers: write NULLIF({column}, {quoted}) AS {column} in the query, with `missing: allow` or `drop`, "
                f"if it means a missing value; or CAST({column} AS TEXT) AS {column} if the column holds categories "
                f"(CAST({column} AS REAL) would make another number of it)."
            )
        raise InputError(
            f"{name} has values of the types {listed(kinds)} in column {column!r}; write CAST({column} AS TEXT) AS "
            f"{column} in the query, or leave the column out."
        )
    return pa.array(
        values, {"str": pa.large_string(), "bytes": pa.large_binary()}.get(kinds[0]) if kinds else pa.null()
    )


def _duckdb(path: Path, query: str | None, name: str) -> pa.Table:
    try:
        import duckdb
    except ImportError:
        raise InputError(f"{name} needs the package duckdb; install it with: pip install duckdb.") from None
    try:
        # Nothing but this file is read, and no extension is loaded.
        settings = {"enable_external_access": "false", "autoload_known_extensions": "false", "threads": "1"}
        with duckdb.connect(str(path), read_only=True, config=settings) as connection:
            if query is None:
                raise _no_query([row[0] for row in connection.execute("SHOW TABLES").fetchall()], name)
            found = connection.sql(query)
            if found is None:
                raise InputError(f"{name}: the query {query[:80]!r} fails: it gives no rows; a SELECT does.")
            table: pa.Table = found.to_arrow_table()
    except duckdb.Error as error:
        raise InputError(f"{name}: the query {str(query)[:80]!r} fails: {reason(error)}.") from None
    for index, kind in enumerate(table.schema.types):
        if pa.types.is_decimal(kind):
            table = table.set_column(index, table.column_names[index], pc.cast(table.column(index), pa.float64()))
    return table
