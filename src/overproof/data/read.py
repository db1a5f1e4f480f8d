"""Reads a `Source` into `Examples`: chooses the reader for each file, joins several files, checks every row."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import torch

from overproof.data import columns
from overproof.data.examples import Examples
from overproof.data.find_files import Place, find_files, label_files
from overproof.data.inputs import features, texts
from overproof.data.open_source import OpenedSource, examples_of, open_source
from overproof.data.readers import arrays, image_sets, images
from overproof.data.readers.h5ad import read_h5ad
from overproof.data.source import Source, check_format
from overproof.errors import InputError

Inputs: TypeAlias = torch.Tensor | pa.Array | pa.Table


def read(source: Source, *, role: str) -> Examples:
    """Read the files of a source, check them, and give every row its id.

    Rows are first filtered by `source.where`; row numbers in errors count from 0 in the file, without the header.

    Args:
        source: The files and what to read in them.
        role: Role of the examples, such as "labelled", "pool" or "test"; error messages start with it.

    Raises:
        InputError: If a file is missing, damaged or empty, or does not match the source's options.
    """
    place = find_files(source.paths, role)
    if place.family == "arrays":
        return _read_arrays(source, place, role)
    opened = open_source(source, place)
    frames = list(opened.frames())
    names = tuple(frame.files[0] for frame in frames if frame.files)
    return opened.examples(columns.joined(place.name, frames, names))


def pieces(source: Source, *, role: str, max_rows: int = 65_536) -> Iterator[Examples]:
    """The same rows as `read`, at most `max_rows` at a time, each piece with its own class names and ids.

    The caller must do what needs all rows: check that the user's ids are unique, and give all pieces one list of class
    names (`aligned` matches them by name). Pieces without a row that matches `source.where` are skipped.

    Args:
        source: Files of rows, or image files.
        role: Role of the examples, for error messages.
        max_rows: At least 1.

    Raises:
        InputError: As `read`, when the piece with the error is read; or the files hold arrays.
    """
    opened = open_pieces(source, role=role)
    for frame in opened.frames(max_rows):
        if len(kept := columns.chosen(frame, source).rows):
            assert len(kept) <= max_rows
            yield opened.examples(frame)


def open_pieces(source: Source, *, role: str) -> OpenedSource:
    """The files of a source, opened to be read piece by piece.

    Raises:
        InputError: As `read`; or the files hold arrays, which are mapped into memory instead.
    """
    place = find_files(source.paths, role)
    if place.family == "arrays":
        raise InputError(f"{place.name} holds whole arrays, which cannot be read in pieces.")
    return open_source(source, place, keep=False)


def _read_arrays(source: Source, place: Place, role: str) -> Examples:
    """All files of arrays as one set, each with its labels."""
    labels = _label_files(source, place, role)
    frames: list[columns.Frame] = []
    inputs: list[Inputs] = []
    fixed = source
    for index, (path, label) in enumerate(zip(place.files, labels, strict=True)):
        name = place.named(index)
        match check_format(path, name):
            case "npz":
                fixed, frame, part = arrays.read_npz(path, fixed, name)
            case "idx":
                frame, part = arrays.read_idx(path, label, source, name)
            case "cifar":
                frame, part = image_sets.read_cifar(path, source, name)
            case "stl":
                frame, part = image_sets.read_stl(path, label, source, name)
            case "mat":
                frame, part = image_sets.read_mat(path, source, name)
            case "h5ad":
                frame, part = read_h5ad(path, source, name)
            case _:
                frame, part = arrays.read_npy(path, label, source, name)
        frames.append(frame)
        inputs.append(part)
    several = tuple(path.name for path in place.files) if place.names_each else ()
    try:
        frame = columns.joined(place.name, frames, several)
    except pa.ArrowException:
        raise InputError(
            f"{place.name}: the files hold labels or ids of different types; one type is allowed."
        ) from None
    return _checked(fixed, frame, _joined(inputs, place))


def _checked(source: Source, frame: columns.Frame, inputs: Inputs) -> Examples:
    if isinstance(inputs, torch.Tensor):
        _check_kind(source, frame.name, "image")
        place = np.arange(len(frame.rows))
        kept = columns.where(replace(frame, table=frame.table.append_column(_PLACE, pa.array(place))), source)
        if len(kept.rows) < len(inputs):
            inputs = inputs[torch.from_numpy(kept.table.column(_PLACE).to_numpy().copy())]
        return examples_of(source, kept, images.reshaped(inputs, source.image))
    if isinstance(inputs, pa.Table):
        _check_kind(source, frame.name, "table")
        whole = columns.where(replace(frame, table=_beside(inputs, frame.table)), source)
        kept, table = features(whole, inputs.column_names, source.missing, source.categories)
        return examples_of(source, kept, table)
    _check_kind(source, frame.name, "text")
    whole = columns.where(replace(frame, table=frame.table.append_column(arrays.TEXT, inputs)), source)
    kept, words = texts(whole, [arrays.TEXT], source.missing)
    return examples_of(source, kept, words)


_PLACE = "\0place"


def _beside(inputs: pa.Table, others: pa.Table) -> pa.Table:
    for name in others.column_names:
        inputs = inputs.append_column(name, others.column(name))
    return inputs


def _label_files(source: Source, place: Place, role: str) -> Sequence[Path | None]:
    """The label files of formats that do not contain labels."""
    if not (labels := label_files(place, source.label, role)):
        return [None] * len(place.files)
    if len(labels) != len(place.files):
        raise InputError(
            f"{place.name} has {len(place.files)} files, but `label` matches {len(labels)}; each needs one label file."
        )
    return labels


def _joined(inputs: Sequence[Inputs], place: Place) -> Inputs:
    first = inputs[0]
    if len(inputs) == 1:
        return first
    for index, part in enumerate(inputs):
        if isinstance(first, torch.Tensor) and isinstance(part, torch.Tensor):
            if part.shape[1:] != first.shape[1:]:
                raise InputError(
                    f"{place.named(index)} has images of shape {tuple(part.shape[1:])}, {place.files[0].name} of "
                    f"{tuple(first.shape[1:])}; channels, height and width must agree."
                )
        elif isinstance(first, pa.Table) and isinstance(part, pa.Table):
            if part.num_columns != first.num_columns:
                raise InputError(
                    f"{place.named(index)} has {part.num_columns} numbers per row, {place.files[0].name} has "
                    f"{first.num_columns}; they must agree."
                )
        elif type(part) is not type(first):
            raise InputError(f"{place.named(index)} and {place.files[0].name} hold different kinds of examples.")
    if isinstance(first, torch.Tensor):
        return torch.cat([part for part in inputs if isinstance(part, torch.Tensor)])
    if isinstance(first, pa.Table):
        return pa.concat_tables(list(inputs), promote_options="permissive")
    return pa.concat_arrays(list(inputs))


def _check_kind(source: Source, name: str, kind: str) -> None:
    if source.kind not in ("auto", kind):
        held = {"image": "images", "table": "numbers", "text": "texts"}[kind]
        raise InputError(f"{name} holds {held}, but kind is {source.kind!r}; {kind!r} or 'auto' is allowed.")
