"""Opens a file of answers as a table with named columns: Parquet, Arrow, CSV or JSON."""

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet as pq

from overproof.answers.cell_values import csv_rows, opened_cells
from overproof.answers.form import Text, many_objects, records_table
from overproof.answers.names import CROWD_KIT, DRAWN, INCLUSION, LABELS, plain
from overproof.data.readers.text_files import UTF_16, check_utf8, file_bytes, separator
from overproof.data.source import COMPRESSED, MAX_UNPACKED_GB
from overproof.data.wording import nearest
from overproof.errors import InputError
from overproof.storage.shard import Ids


def read_table(path: Path, id_column: str, columns: Mapping[str, str] | None = None) -> pa.Table:
    """The content of a file of answers; ids and labels of text files as they are written.

    Args:
        path: `.parquet`, `.arrow`, `.feather`, `.csv`, `.tsv`, `.jsonl`, `.ndjson` or `.json`, text also compressed.
        id_column: The file's id column.
        columns: Names of the file's columns by what they are read as, such as `{"id": "ticket", "label": "llm"}`. If it
            names more than the id, no other column is read.

    Raises:
        InputError: The file cannot be read, or it has no such column.
    """
    columns = columns or {}
    try:
        names = (id_column, "annotator", *LABELS, *(columns[name] for name in _SPELLED if name in columns))
        table = _read(path, dict.fromkeys(names, pa.string()))
        # Names of columns are decoded when they are used, and strings of binary files are taken as they are.
        table.validate(full=True)
        assert all(isinstance(name, str) for name in table.column_names)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} has a name or a text that is not UTF-8 ({error.reason}); save it as UTF-8.") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} cannot be read: {(str(error).splitlines() or ['damaged'])[0].rstrip('.')}."
        ) from error
    return _called(path, table, id_column, columns)


_SPELLED = ("id", "annotator", "label")
_CROWD_KIT = {"worker": "annotator", "label": "label"}


def _called(path: Path, table: pa.Table, id_column: str, columns: Mapping[str, str]) -> pa.Table:
    """The table with its columns called by what they are read as."""
    for ours, theirs in columns.items():
        if theirs not in table.column_names:
            raise InputError(
                f"{path} has no column {theirs!r}{nearest(theirs, table.column_names)} for {ours!r} in option "
                f"'teacher.columns'; it has "
                f"{', '.join(table.column_names)}."
            )
    if not columns:
        if set(table.column_names) != CROWD_KIT or id_column in ("worker", "label"):
            return table
        return table.rename_columns([_CROWD_KIT.get(name, id_column) for name in table.column_names])
    named = {theirs: ours for ours, theirs in columns.items()}
    kept_always = {INCLUSION, DRAWN} - set(columns)
    others = [name for name in table.column_names if name not in named and name not in columns]
    kept = [id_column] if set(columns) - {id_column} and id_column not in columns else []
    wanted = [*named, *(others if set(columns) <= {id_column} else kept), *kept_always]
    table = table.select([name for name in table.column_names if name in wanted])
    return table.rename_columns([named.get(name, name) for name in table.column_names])


def is_binary(path: Path) -> bool:
    """Whether a file is Parquet or Arrow by its name."""
    return ".parquet" in path.suffixes or path.suffix in _ARROW


_ARROW = (".arrow", ".feather", ".ipc")


def _read(path: Path, text: Mapping[str, pa.DataType]) -> pa.Table:
    if ".parquet" in path.suffixes:
        return _with_class_names(path, pq.read_table(path, page_checksum_verification=True))
    if path.suffix in _ARROW:
        return _with_class_names(path, _arrow(path))
    suffix = _suffix(path)
    if suffix in (".csv", ".tsv"):
        return _csv(path, text)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json(path, text)
    raise InputError(
        f"{path} is not a file of answers by its name; it must end in .parquet, .csv or .jsonl (or .tsv, .ndjson, "
        f".json, .arrow, .feather; text files also in .gz or .zst), or be as a tool writes it (docs/answers.md)."
    )


def _suffix(path: Path) -> str:
    """The ending of a name without that of a compression."""
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return Path(name).suffix


def _source(path: Path) -> tuple[Path | bytes, bytes]:
    """A file as Arrow reads it (its bytes in UTF-8 where it is compressed or in UTF-16), and its beginning."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; a file of answers is needed.")
    with path.open("rb") as file:
        begin = file.read(2**20)
    if not path.name.lower().endswith(COMPRESSED) and begin[:2] not in UTF_16:
        return path, begin
    data = file_bytes(path, str(path), MAX_UNPACKED_GB)
    data = data.decode("utf-16").encode() if data[:2] in UTF_16 else data
    return data, data[: 2**20]


def _again(source: Path | bytes) -> Path | pa.BufferReader:
    return pa.BufferReader(source) if isinstance(source, bytes) else source


def _csv(path: Path, text: Mapping[str, pa.DataType]) -> pa.Table:
    source, begin = _source(path)
    lines = list(io.StringIO(begin.decode("utf-8-sig", errors="replace"), newline=""))
    # Semicolons as spreadsheets write them where the comma is the decimal sign.
    mark = separator(lines[0] if lines else "", path)
    header = next(iter(csv_rows(lines, mark=mark, most=1)), [])
    # Without types, the id 007 would be read as 7.
    votes = set(header) == CROWD_KIT
    spelled = {name: pa.string() for name in header if name in text or plain(name) in (*LABELS, "labels") or votes}
    table = pyarrow.csv.read_csv(
        _again(source),
        parse_options=pyarrow.csv.ParseOptions(delimiter=mark, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=spelled),
    )
    return opened_cells(table)


def _json(path: Path, text: Mapping[str, pa.DataType]) -> pa.Table:
    """JSON lines, or a JSON array of objects."""
    source, begin = _source(path)
    if begin.decode("utf-8-sig", errors="replace").lstrip().startswith("["):
        content = source if isinstance(source, bytes) else path.read_bytes()
        check_utf8(content, str(path))
        with many_objects():
            records = Text(path, content.decode("utf-8-sig")).values()
        if not records or not all(isinstance(each, dict) for each in records):
            raise InputError(
                f"{path} holds {'no rows' if not records else 'values that are no objects'}; objects are read."
            )
        return records_table(path, records)
    table = pyarrow.json.read_json(_again(source))
    # Arrow reads texts that look like dates as points in time.
    dates = [field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.name in text]
    if not dates:
        return table
    spelled = pa.schema([(name, pa.string()) for name in dates])
    return pyarrow.json.read_json(
        _again(source),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=spelled),
    )


def _arrow(path: Path) -> pa.Table:
    with path.open("rb") as file:
        in_file = file.read(6) == b"ARROW1"
    if in_file:
        return pyarrow.feather.read_table(path, memory_map=False)
    with pa.OSFile(str(path)) as stream:
        return pa.ipc.open_stream(stream).read_all()


def _with_class_names(path: Path, table: pa.Table) -> pa.Table:
    """Class numbers spelled by the names that Hugging Face `datasets` keeps in the metadata; views as plain strings."""
    features: Mapping[str, object] = {}
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
        features = dict(json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"])
    for place, field in enumerate(table.schema):
        column = table.column(place)
        value = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string_view(value):
            chunks = [
                chunk.dictionary.cast(pa.large_string()).take(chunk.indices)
                if isinstance(chunk, pa.DictionaryArray)
                else chunk.cast(pa.large_string())
                for chunk in column.chunks
            ]
            table = table.set_column(place, field.name, pa.chunked_array(chunks, pa.large_string()))
        feature = features.get(field.name)
        names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
        if isinstance(names, list) and pa.types.is_integer(field.type):
            codes = [code if code is not None and code >= 0 else None for code in column.to_pylist()]
            if odd := [code for code in codes if code is not None and code >= len(names)]:
                raise InputError(f"{path}: column {field.name!r} holds {odd[0]}, but has {len(names)} class names.")
            spelled = pa.array([None if code is None else str(names[code]) for code in codes], pa.large_string())
            table = table.set_column(place, field.name, spelled)
    return table


def as_text(ids: pa.Array | pa.ChunkedArray | Ids) -> pa.Array:
    """Ids as text; content ids in hex."""
    if isinstance(ids, np.ndarray):
        return pa.array([content.hex() for content in ids.tolist()], pa.large_string())
    if pa.types.is_fixed_size_binary(ids.type) or pa.types.is_binary(ids.type):
        return pa.array([None if content is None else content.hex() for content in ids.to_pylist()], pa.large_string())
    text = ids.cast(pa.large_string())
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def check_id_column(path: Path, table: pa.Table, id_column: str) -> None:
    """Check that a file has a column of ids.

    Args:
        path: The file, for errors.
        table: Its content.
        id_column: Its id column.

    Raises:
        InputError: It has none.
    """
    if id_column not in table.column_names:
        called = " If `task` is that id: `columns: {id: task}` under `teacher`." if "task" in table.column_names else ""
        if "" in table.column_names and not called:
            called = " If the column without a name is that id: `columns: {id: ''}` under `teacher`."
        raise InputError(
            f"{path} has no column {id_column!r} for the ids; it has {', '.join(table.column_names)}. The ids are "
            f"those of the data's id column; a file without any that has the data's rows in order is read by "
            f"`align: rows`.{called}"
        )


def ids_of(path: Path, table: pa.Table, id_column: str) -> pa.Array:
    """The id of every row, as text.

    Args:
        path: The file, for errors.
        table: Its content.
        id_column: Its id column.

    Raises:
        InputError: There is no such column, or a row has no id.
    """
    check_id_column(path, table, id_column)
    ids = as_text(table.column(id_column))
    if ids.null_count:
        row = int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(f"{path}, row {row} (counted from 0): it has no {id_column}; every row needs one.")
    return ids


def check_ids_differ(path: Path, ids: pa.Array, id_column: str) -> None:
    """Check that every id stands in one row.

    Args:
        path: The file, for errors.
        ids: [N], as text.
        id_column: What to call them.

    Raises:
        InputError: One stands in several.
    """
    codes = ids.dictionary_encode().indices.to_numpy()
    first_rows = np.unique(codes, return_index=True)[1]
    if len(first_rows) < len(ids):
        row = int(np.setdiff1d(np.arange(len(ids)), first_rows)[0])
        first = int(np.argmax(codes == codes[row]))
        raise InputError(
            f"{path}, rows {first} and {row} (counted from 0): both have {id_column} {ids[row].as_py()!r}; "
            "an id may stand in one row only."
        )
