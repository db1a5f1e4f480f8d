"""Write tables of predictions to a file that appears when it is complete, for spreadsheets without formulas."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from overproof.data.columns import is_string
from overproof.errors import InputError
from overproof.storage import atomic
from overproof.storage.one_writer import writing_file


@contextmanager
def table_writer(path: Path, schema: pa.Schema, spreadsheet_safe: bool, reads: Iterable[Path]) -> Iterator[Any]:
    """A function that writes a table to a file, which replaces another one at the end.

    Args:
        path: `.parquet` or `.csv`.
        schema: Of all tables.
        spreadsheet_safe: Write strings by `without_formulas`.
        reads: Files that it must not be.

    Raises:
        InputError: It has another ending, or is one of them.
    """
    makers = {".parquet": pq.ParquetWriter, ".csv": pyarrow.csv.CSVWriter}
    if path.suffix not in makers:
        raise InputError(f"--out {str(path)!r} must end in .parquet or .csv, not {path.suffix!r}.")
    if spreadsheet_safe and path.suffix != ".csv":
        raise InputError(f"--spreadsheet-safe is for CSV files; --out {str(path)!r} ends in {path.suffix!r}.")
    atomic.check_output(path, folder=False, reads=reads)
    if spreadsheet_safe:
        names = without_formulas(pa.array(schema.names)).to_pylist()
        schema = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
    with writing_file(path), atomic.replacing(path) as file:
        with makers[path.suffix](file, schema) as writer:
            if spreadsheet_safe:
                yield lambda table: writer.write(_without_formulas(table, schema))
            else:
                yield writer.write_table if path.suffix == ".parquet" else writer.write
        # It would describe the predictions that are replaced.
        path.with_suffix(".risk.json").unlink(missing_ok=True)


def without_formulas(words: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Strings with an apostrophe before those that a spreadsheet would run as a formula; numbers stay as they are.

    Args:
        words: [N] strings.

    Example:
        >>> without_formulas(pa.array(["=1+1", "-3", "-a", "@x", "plain", None])).to_pylist()
        ["'=1+1", '-3', "'-a", "'@x", 'plain', None]

    Source: OWASP, "CSV Injection".
    """
    formula = pc.match_substring_regex(words, "^[=+@\\-\t\r\n\uff1d\uff0b\uff0d\uff20]")
    number = pc.match_substring_regex(words, r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$")
    return pc.if_else(pc.and_not(formula, number), pc.binary_replace_slice(words, 0, 0, "'"), words)


def _without_formulas(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [without_formulas(column) if is_string(column.type) else column for column in table.columns]
    return pa.Table.from_arrays(columns, schema=schema)
