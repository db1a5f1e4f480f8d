"""From a `Source` to `Examples`: the one place that knows which reader serves which file."""

import pyarrow as pa
import torch

from overproof.data import columns
from overproof.data.examples import Examples, build
from overproof.data.inputs import features, texts
from overproof.data.readers import columnar, images
from overproof.data.source import Kind, Source, format_of, locate
from overproof.data.wording import listed
from overproof.errors import InputError


def read(source: Source, *, role: str) -> Examples:
    """Read one file of examples, check it, and give every row its id.

    Rows are first chosen by `source.where`; rows in errors are counted from 0 in the file, header apart.

    Args:
        source: The file and what to read in it.
        role: What the examples are for, such as "labelled", "pool" or "test"; errors start with it.

    Raises:
        InputError: If the file is missing, damaged or empty, or does not hold what the source says.
    """
    path = locate(source.path, role)
    name = f"{role} ({path.name})"
    match format_of(path, role):
        case "npz":
            _check_kind(source, name)
            source, frame, pixels = images.read_npz(path, source, name)
            return _images(source, frame, pixels)
        case "idx":
            _check_kind(source, name)
            labels = None if source.label is None else locate(source.label, role)
            frame, pixels = images.read_idx(path, labels, source, name)
            return _images(source, frame, pixels)
        case "csv":
            table = columnar.read_csv(path, source, name)
            columns.check_names(name, table.column_names, source)
            kind, inputs = _plan(table.schema, table.column_names, source, name)
        case "parquet":
            file, existing = columnar.open_parquet(path, name)
            columns.check_names(name, existing, source)
            kind, inputs = _plan(file.schema_arrow, existing, source, name)
            beside = [word for word in (source.label, source.id, *source.where) if word is not None]
            table = columnar.read_parquet(file, list(dict.fromkeys([*inputs, *beside])), name)
    frame = columns.where(columns.whole(name, table), source)
    read_inputs: torch.Tensor | pa.Array | pa.Table
    if kind == "image":
        frame, read_inputs = images.decode(frame, inputs[0], source.missing)
    elif kind == "text":
        frame, read_inputs = texts(frame, inputs[0], source.missing)
    else:
        frame, read_inputs = features(frame, inputs, source.missing)
    return _examples(source, frame, read_inputs)


def _plan(schema: pa.Schema, existing: list[str], source: Source, name: str) -> tuple[Kind, list[str]]:
    """What kind of examples the file holds, and which columns are their inputs."""
    used = {source.label, source.id, *source.ignore, *source.where}
    free = [column for column in existing if column not in used]
    types = {column: _value_type(schema.field(column).type) for column in existing}
    encoded = [column for column in free if images.is_encoded(types[column])]
    kind: Kind
    if source.kind != "auto":
        kind = source.kind
    elif source.input is None:
        kind = "image" if encoded else "table"
    elif images.is_encoded(types[source.input]):
        kind = "image"
    else:
        kind = "text" if columns.is_string(types[source.input]) else "table"
    if kind == "table":
        return kind, free if source.input is None else [source.input]
    if kind == "image":
        if source.input is None and len(encoded) != 1:
            raise InputError(
                f"{name} has {len(encoded)} columns of encoded images among {listed(existing)}; name one with `input`."
            )
        column = source.input or encoded[0]
        if not images.is_encoded(types[column]):
            raise InputError(
                f"{name} has values of type {types[column]} in the image column {column!r}; PNG or JPEG bytes in a "
                f"Parquet column are allowed."
            )
        return kind, [column]
    if source.input is None:
        raise InputError(f"{name}: texts need `input`, the column that holds them; it has {listed(existing)}.")
    return kind, [source.input]


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_kind(source: Source, name: str) -> None:
    if source.kind not in ("auto", "image"):
        raise InputError(f"{name} holds images, but kind is {source.kind!r}; 'image' or 'auto' is allowed.")


def _images(source: Source, frame: columns.Frame, pixels: torch.Tensor) -> Examples:
    kept = columns.where(frame, source)
    return _examples(source, kept, pixels if kept is frame else pixels[torch.from_numpy(kept.rows)])


def _examples(source: Source, frame: columns.Frame, inputs: torch.Tensor | pa.Array | pa.Table) -> Examples:
    label, class_names = columns.labels(frame, source)
    return build(
        inputs=inputs, label=label, class_names=class_names, keys=columns.keys(frame, source), source=frame.name
    )
