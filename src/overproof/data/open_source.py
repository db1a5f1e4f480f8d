"""Files of rows, opened: which columns are what, and the rows as frames, all at once or piece by piece."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from overproof.data import columns
from overproof.data.examples import Examples, build
from overproof.data.find_files import Place, find_files
from overproof.data.inputs import features, texts
from overproof.data.labels import labels, with_class_names
from overproof.data.readers import images
from overproof.data.readers.arrow_files import ArrowRows, ParquetRows, class_names_in
from overproof.data.readers.data_set import class_names_of
from overproof.data.readers.row_files import RowFile, RowsInMemory, open_rows
from overproof.data.readers.svmlight import largest_feature
from overproof.data.source import Kind, Source, format_of
from overproof.data.wording import features_said, listed, short_type
from overproof.errors import InputError

FILE, FOLDER = "file", "folder"
"""The columns of a folder of images: an image's path within the folder, and its subfolder."""
_PIXELS = "\0image"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OpenedSource:
    """The files of a source, of which nothing but the columns is known yet.

    Args:
        source: What to read.
        place: The files.
        rows: Each of them, open.
        kind: What the examples are.
        inputs: The columns of the inputs.
        types: Of the columns that are needed, the type that holds the values of all files.
        class_names: The names of the numbers in the label column, where the files contain them, else ().
        folder: The folder of the image files that a column names.
    """

    source: Source
    place: Place
    rows: tuple[RowFile, ...]
    kind: Kind
    inputs: list[str]
    types: dict[str, pa.DataType]
    class_names: tuple[str, ...]
    folder: images.ImageFolder | None

    def frames(self, max_rows: int | None = None) -> Iterator[columns.Frame]:
        """All rows in order, each frame from one file and of at most `max_rows` rows."""
        each = self.place.family == "columns" and self.place.names_each
        for index, rows in enumerate(self.rows):
            start = 0
            for table in rows.tables(list(self.types), max_rows):
                frame = columns.Frame(
                    name=self.place.name,
                    table=_as_types(table, self.types),
                    rows=np.arange(start, start + len(table)),
                    files=(self.place.files[index].name,) if each else (),
                    file=np.zeros(len(table) if each else 0, np.int32),
                )
                start += len(table)
                yield frame

    def examples(self, frame: columns.Frame) -> Examples:
        """Rows as examples: chosen, checked, decoded, with their labels and ids.

        Raises:
            InputError: If a row does not match the source's options, or none is left.
        """
        source, frame = self.source, columns.where(frame, self.source)
        inputs: torch.Tensor | pa.Array | pa.Table
        if self.kind == "image":
            frame, inputs = images.decode(frame, self.inputs[0], source.missing, source.image, self.folder)
        elif self.kind == "text":
            frame, inputs = texts(frame, self.inputs, source.missing)
        else:
            frame, inputs = features(frame, self.inputs, source.missing, source.categories)
        if source.label is not None and self.class_names:
            source, frame = with_class_names(source, frame, self.class_names)
        return examples_of(source, frame, inputs)


def open_source(source: Source, place: Place, *, keep: bool = True, peek: bool = False) -> OpenedSource:
    """Open the files of a source and determine their columns.

    Args:
        source: What to read.
        place: Files of columns, or image files.
        keep: Whether files that can only be read whole stay in memory until their rows are read.
        peek: Read only the first lines of formats that do not store their columns.

    Raises:
        InputError: If a file is damaged or empty, lacks a column that the source or another file has, or has another
            type of values in it.
    """
    if place.family == "pictures":
        return _open_pictures(source, place)
    if len(place.files) > 1 and source.num_features is None and (widest := max(_reached(source, place), default=0)):
        source = replace(source, num_features=widest)
    rows = [open_rows(path, source, place.named(index), keep=keep, peek=peek) for index, path in enumerate(place.files)]
    for index, each in enumerate(rows):
        columns.check_names(place.named(index), each.columns, source)
    existing = [name for name in rows[0].columns]
    _check_same_columns(rows, place)
    words = _spelled_in_some(rows, existing, place)
    if words:
        rows = [
            open_rows(path, source, place.named(index), words, keep=keep, peek=peek)
            for index, path in enumerate(place.files)
        ]
    types = {name: _common([_type(each, name) for each in rows], name, place, source.label) for name in existing}
    kind, inputs = _plan(types, existing, source, place.name)
    beside = [word for word in (source.label, source.id, source.group, *source.where) if word is not None]
    return OpenedSource(
        source=source,
        place=place,
        rows=tuple(rows),
        kind=kind,
        inputs=inputs,
        types={name: types[name] for name in dict.fromkeys([*inputs, *beside])},
        class_names=_class_names(source.label, rows, place),
        folder=images.ImageFolder(
            path=place.files[0].parent if source.folder is None else Path(source.folder).expanduser(),
            named=source.folder is not None,
        ),
    )


def in_one_width(sources: Mapping[str, Source]) -> tuple[dict[str, Source], list[str]]:
    """The sources with one number of features for all files of LIBSVM: that of the options, else that of the widest.

    Args:
        sources: By role.

    Returns:
        The sources, and a sentence where the files of the roles reach different features.

    Raises:
        InputError: A file cannot be read, or the options give two numbers.

    Source:
        `sklearn.datasets.load_svmlight_files`, which counts the features of all files together.
    """
    places = {role: find_files(sources[role].paths, role) for role in sorted(sources)}
    holding = [role for role, place in places.items() if any(format_of(path) == "svmlight" for path in place.files)]
    given = {role: sources[role].num_features for role in holding if sources[role].num_features is not None}
    if len(set(given.values())) > 1:
        found = ", ".join(f"{number} for {role}" for role, number in given.items())
        raise InputError(f"Option `num_features` is {found}; all files of LIBSVM are read with one: write the largest.")
    reached = {role: max(_reached(sources[role], places[role]), default=0) for role in holding} if not given else {}
    if not given and len(set(reached.values())) < 2:
        return dict(sources), []
    number = next(iter(given.values())) if given else max(max(reached.values()), 1)
    wide = {role: replace(each, num_features=number) if role in holding else each for role, each in sources.items()}
    return wide, [] if given else [
        f"The files of LIBSVM reach different features ({', '.join(f'{role} {each}' for role, each in reached.items())}"
        f"): all are read with {number}, and a feature that a file leaves out is 0."
    ]


def _reached(source: Source, place: Place) -> list[int]:
    """The largest feature of each file of LIBSVM."""
    return [
        largest_feature(path, place.named(index), source.max_unpacked_gb)
        for index, path in enumerate(place.files)
        if format_of(path) == "svmlight"
    ]


def examples_of(source: Source, frame: columns.Frame, inputs: torch.Tensor | pa.Array | pa.Table) -> Examples:
    """Checked inputs with the labels and ids of their rows.

    Raises:
        InputError: If a label or an id is not valid.
    """
    label, class_names = labels(frame, source)
    keys = columns.keys(frame, source)
    made = build(inputs=inputs, label=label, class_names=class_names, keys=keys, origin=frame.name)
    return replace(made, image=source.image, group=columns.groups(frame, source), dropped=frame.dropped)


def _open_pictures(source: Source, place: Place) -> OpenedSource:
    if source.kind not in ("auto", "image"):
        raise InputError(f"{place.name} holds images, but kind is {source.kind!r}; 'image' or 'auto' is allowed.")
    if source.input is not None or source.folder is not None:
        option = "input" if source.input is not None else "folder"
        raise InputError(f"{place.name} holds image files; leave `{option}` out, it is for tables of file names.")
    inside = [path.relative_to(root) for path, root in zip(place.files, place.roots, strict=True)]
    folders = [path.parts[0] if len(path.parts) > 1 else None for path in inside]
    columns.check_names(place.name, (FILE, FOLDER), source)
    if source.label == FOLDER and None in folders:
        outside = inside[folders.index(None)]
        raise InputError(
            f"{place.name} has the image {str(outside)!r} outside of any subfolder, but the subfolder is the label; "
            f"move it, or use a table of labels as `path`."
        )
    table = pa.table(
        {
            _PIXELS: pa.array([str(path) for path in place.files], pa.large_string()),
            FILE: pa.array([path.as_posix() for path in inside], pa.large_string()),
            FOLDER: pa.array(folders, pa.large_string()),
        }
    )
    held = RowsInMemory(table=table)
    return OpenedSource(
        source=source,
        # All image files together are read as one table.
        place=replace(place, files=place.files[:1]),
        rows=(held,),
        kind="image",
        inputs=[_PIXELS],
        types=dict(zip(held.columns, held.types, strict=True)),
        class_names=(),
        folder=None,
    )


def _class_names(label: str | None, rows: Sequence[RowFile], place: Place) -> tuple[str, ...]:
    """The names of the numbers in the label column: a data set's own, else those in the metadata of all files."""
    described = class_names_of(place.data_set, place.name) if place.data_set is not None else {}
    if label is None or label in described:
        return described.get(label or "", ())
    found = [
        class_names_in(each.schema, place.named(index)).get(label, ())
        if isinstance(each, ArrowRows | ParquetRows) and label in each.columns
        else ()
        for index, each in enumerate(rows)
    ]
    for index, names in enumerate(found):
        if names != found[0]:
            raise InputError(
                f"{place.named(index)} names the classes {listed(names) or 'not at all'} in its metadata, "
                f"{place.files[0].name} {listed(found[0]) or 'not at all'}; all files must name the same ones in one "
                f"order."
            )
    return found[0]


def _check_same_columns(rows: Sequence[RowFile], place: Place) -> None:
    first = rows[0].columns
    for index, each in enumerate(rows):
        if odd := sorted(set(first) ^ set(each.columns)):
            raise InputError(
                f"{place.named(index)} and {place.files[0].name} do not have the same columns; {listed(odd)} are in "
                f"only one of them and must be in both"
                f"{features_said([place.named(index), place.files[0].name], odd)}."
            )


def _type(rows: RowFile, name: str) -> pa.DataType:
    return rows.types[rows.columns.index(name)]


def _spelled_in_some(rows: Sequence[RowFile], names: Sequence[str], place: Place) -> set[str]:
    """Columns of CSV files that hold strings in one file and another type in another: all are read as strings."""
    spelled: set[str] = set()
    if len(rows) == 1:
        return spelled
    for name in names:
        try:
            _unified([_type(each, name) for each in rows], name)
        except pa.ArrowException:
            spelled.add(name)
    return spelled


def _common(types: Sequence[pa.DataType], name: str, place: Place, label: str | None) -> pa.DataType:
    """One type for the values of all files; labels are strings where some are read from CSV, which has no types."""
    if len(types) == 1:
        return types[0]
    values = [_value_type(each) for each in types]
    stored = [each for each, path in zip(values, place.files, strict=True) if format_of(path) != "csv"]
    if name == label and len(stored) < len(values) and all(map(pa.types.is_integer, stored)):
        return pa.large_string()
    try:
        return _unified(types, name)
    except pa.ArrowException:
        odd = next(index for index, each in enumerate(types) if each != types[0])
        raise InputError(
            f"{place.named(odd)} has values of type {short_type(types[odd])} in column {name!r}, where "
            f"{place.files[0].name} has {short_type(types[0])}; all files must have the same type."
        ) from None


def _unified(types: Sequence[pa.DataType], name: str) -> pa.DataType:
    schemas = [pa.schema([(name, _value_type(each))]) for each in types]
    return pa.unify_schemas(schemas, promote_options="permissive").field(0).type


def _as_types(table: pa.Table, types: dict[str, pa.DataType]) -> pa.Table:
    for index, (name, wanted) in enumerate(types.items()):
        if table.schema.field(index).type != wanted:
            table = table.set_column(index, name, table.column(index).cast(wanted))
    return table


def _plan(types: dict[str, pa.DataType], existing: list[str], source: Source, name: str) -> tuple[Kind, list[str]]:
    """The kind of examples in the files, and which columns are their inputs."""
    used = {source.label, source.id, source.group, *source.ignore, *source.where}
    free = [column for column in existing if column not in used]
    values = {column: _value_type(kind) for column, kind in types.items()}
    encoded = [column for column in free if images.is_encoded(values[column])]
    kind: Kind
    if source.kind != "auto":
        kind = source.kind
    elif len(source.inputs) > 1:
        kind = "text"
    elif source.input is None:
        kind = "image" if encoded else "table"
    elif images.is_encoded(values[source.inputs[0]]):
        kind = "image"
    else:
        kind = "text" if columns.is_string(values[source.inputs[0]]) else "table"
    if kind == "table":
        return kind, list(source.inputs) or free
    if kind == "image":
        if source.input is None and len(encoded) != 1:
            raise InputError(
                f"{name} has {len(encoded)} columns of encoded images among {listed(existing)}; name one with `input`."
            )
        column = source.only_input or encoded[0]
        if not images.is_encoded(values[column]) and not columns.is_string(values[column]):
            raise InputError(
                f"{name} has values of type {short_type(values[column])} in the image column {column!r}; bytes of "
                f"images (such as PNG or JPEG), or the names of image files, are allowed."
            )
        return kind, [column]
    if source.input is None:
        raise InputError(f"{name}: texts need `input`, the name of their column; the columns are {listed(existing)}.")
    return kind, list(source.inputs)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
