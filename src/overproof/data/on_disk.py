"""Reads files of examples piece by piece into memory-mapped arrays on disk, for pools larger than memory.

The files are read once, with the checks and ids of `read`, into a folder. An interrupted reading resumes there; as long
as the files and the options are the same, the next run opens the arrays without reading the files again.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.data import columns
from overproof.data.columns import UNKNOWN
from overproof.data.examples import Examples
from overproof.data.find_files import Place, find_files, label_files
from overproof.data.labels import sorted_classes
from overproof.data.mapped import IDS, arrays_of, mapped, strings_in, strings_of
from overproof.data.read import open_pieces, read
from overproof.data.source import COMPRESSED, Source, format_of
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.registry import described
from overproof.seeds import digest
from overproof.storage import arrays as array_files
from overproof.storage.arrays import Arrays
from overproof.storage.atomic import write_json
from overproof.storage.digests import content_digest
from overproof.storage.keys import STAGED_FORMAT, canonical_json

ROWS_PER_PIECE = 2**14
"""Rows read at a time; for images a sixteenth of it."""

_LABEL, _KEY, _GROUP = "label", "key", "group"


def num_bytes(source: Source, *, role: str) -> int:
    """Estimate of the memory that the files of a source would take, from their sizes alone.

    Compressed files, Parquet and images count four times their size.

    Raises:
        InputError: If there are no such files.
    """
    total = 0
    for path in find_files(source.paths, role).files:
        packed = path.suffix.lower() in COMPRESSED or format_of(path) in ("parquet", "picture")
        total += path.stat().st_size * (4 if packed else 1)
    return total


def read_on_disk(source: Source, *, role: str, folder: Path) -> Examples:
    """The same examples as `read`, with their inputs on disk.

    Args:
        source: The files and what to read in them.
        role: Role of the examples, for error messages.
        folder: The arrays are kept in a subfolder of this one.

    Raises:
        InputError: As for `read`.
    """
    place = find_files(source.paths, role)
    name = _key(source, place, role)
    home = folder / name
    arrays = array_files.fill(home, name, lambda done: _pieces(source, place, role, home, done))
    if not arrays:
        raise InputError(f"{place.name} has no rows; at least one is needed.")
    about = json.loads((home / "about.json").read_text())
    label, class_names = _labels(arrays, about)
    types = {column: pa.type_for_alias(kind) for column, kind in about["types"]}
    inputs = {
        array: values for array, values in arrays.items() if array.partition(".")[0] not in (_LABEL, _KEY, _GROUP)
    }
    return Examples(
        kind=about["kind"],
        held=mapped(inputs, types),
        label=label,
        class_names=class_names,
        keys=_keys(arrays, source, place),
        origin=place.name,
        ids=np.asarray(arrays[IDS]).view("V16").reshape(-1),
        image=source.image,
        group=None if source.group is None else _groups(strings_in(arrays, _GROUP)),
    )


def _key(source: Source, place: Place, role: str) -> str:
    """Key of the arrays: the options, and each file's name and content."""
    files = list(place.files)
    files += label_files(place, source.label, role)
    if source.kind == "image" and place.family == "columns":
        # Image files that the table may name.
        beside = files[0].parent if source.folder is None else Path(source.folder)
        files += sorted(path for path in beside.rglob("*") if format_of(path) == "picture" and path.is_file())
    # The folder of an image may be its label.
    names = [*map(str, map(os.path.relpath, place.files, place.roots))] or [path.name for path in place.files]
    names += [path.name for path in files[len(names) :]]
    seen = [(name, content_digest(path)) for name, path in zip(names, files, strict=True)]
    options = {**described(source), "path": "", "folder": "" if source.folder is None else "a folder"}
    return digest(canonical_json({"format": STAGED_FORMAT, "source": options, "files": seen}).encode())


def _pieces(source: Source, place: Place, role: str, home: Path, done: int) -> Iterator[Arrays]:
    about: dict[str, Any] = {}
    for number, (part, fixed) in enumerate(_examples(source, place, role, done)):
        if not about:
            table = part.held if isinstance(part.held, pa.Table) else pa.table({})
            types = [[column, str(table.schema.field(column).type)] for column in table.column_names]
            about = {"kind": part.kind, "types": types, "classes": fixed}
            if number + done == 0:
                write_json(home / "about.json", about)
        words = pa.array([*part.class_names, ""], pa.large_string())
        label = pa.array(np.where(part.label.numpy() < 0, len(part.class_names), part.label.numpy()))
        yield {
            IDS: part.ids.view(np.uint8).reshape(-1, 16),
            **arrays_of(part.inputs, gaps=source.missing == "allow"),
            **strings_of(_LABEL, words.take(label)),
            **({} if part.keys is None else strings_of(_KEY, part.keys)),
            **({} if part.group is None else strings_of(_GROUP, pc.fill_null(part.group, ""))),
        }


def _examples(source: Source, place: Place, role: str, done: int) -> Iterator[tuple[Examples, tuple[str, ...] | None]]:
    """The pieces not read yet, and their class names where these are fixed."""
    if place.family == "arrays":
        # A reader of arrays reads them whole.
        whole = read(source, role=role)
        for start in range(done * ROWS_PER_PIECE, len(whole), ROWS_PER_PIECE):
            yield whole.take(np.arange(start, min(start + ROWS_PER_PIECE, len(whole)))), whole.class_names
        return
    opened = open_pieces(source, role=role)
    fixed = source.classes or opened.class_names or (() if source.label is None else None)
    number = 0
    for frame in opened.frames(ROWS_PER_PIECE // 16 if opened.kind == "image" else ROWS_PER_PIECE):
        if not len(columns.chosen(frame, source).rows):
            continue
        number += 1
        if number > done:
            yield opened.examples(frame), fixed


def _labels(arrays: Arrays, about: dict[str, Any]) -> tuple[Int64[Tensor, "N"], tuple[str, ...]]:
    """Indices into the class names of all pieces, sorted as when the file is read whole."""
    encoded = strings_in(arrays, _LABEL).dictionary_encode()
    found = encoded.dictionary.to_pylist()
    names = about["classes"]
    if names is None:
        names = sorted_classes([word for word in found if word])
    table = np.array([names.index(word) if word else UNKNOWN for word in found], np.int64)
    return torch.from_numpy(table[encoded.indices.to_numpy()]), tuple(names)


def _groups(words: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(words, ""), None, words)


def _keys(arrays: Arrays, source: Source, place: Place) -> pa.Array | None:
    if source.id is None:
        return None
    keys = strings_in(arrays, _KEY)
    counted = keys.value_counts()
    twice = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    if len(twice):
        raise InputError(
            f"{place.name} has {listed(twice.slice(0, 10).to_pylist())} in column {source.id!r} twice; every row needs "
            f"an id of its own."
        )
    return keys
