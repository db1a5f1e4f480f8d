"""A preview of files before they are read: kind and number of rows, and a check that the named columns exist."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overproof.data.columns import check_names, chosen
from overproof.data.examples import Examples
from overproof.data.find_files import find_files, label_files
from overproof.data.open_source import open_source
from overproof.data.read import read
from overproof.data.readers.arrays import DAMAGE, only_input
from overproof.data.readers.h5ad import columns_of
from overproof.data.readers.image_sets import CIFAR_PIXELS, STL_PIXELS, cifar_labels, mat_input
from overproof.data.readers.mat_file import mat_variables
from overproof.data.readers.npz import headers_of
from overproof.data.readers.row_files import RowsInMemory
from overproof.data.source import Kind, Source, format_of
from overproof.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What is known of the files of a source without reading them.

    Args:
        name: Name of the files in error messages.
        kind: Kind of examples; None where only reading the files can tell.
        num_rows: Number of rows, before `where` and `missing` drop some.
        exact: Whether the rows were counted; otherwise the number is estimated from the length of the first lines.
    """

    name: str
    kind: Kind | None
    num_rows: int
    exact: bool


def preview(source: Source, *, role: str) -> Preview:
    """Look at files without reading them: headers, schemas, and the first lines of text.

    Args:
        source: The files and what to read in them.
        role: Role of the examples, for error messages.

    Raises:
        InputError: If a file is missing or not of the format of its name, lacks a column that the source names, or its
            columns do not match the source's options.
    """
    place = find_files(source.paths, role)
    if place.family == "arrays":
        shapes = [_shape(path, source, place.named(index)) for index, path in enumerate(place.files)]
        kinds = {kind for kind, _ in shapes}
        label_files(place, source.label, role)
        rows = [num for _, num in shapes]
        return Preview(
            name=place.name,
            kind=kinds.pop() if len(kinds) == 1 else None,
            num_rows=sum(num for num in rows if num is not None),
            exact=None not in rows,
        )
    opened = open_source(source, place, peek=True)
    return Preview(
        name=place.name,
        kind=opened.kind,
        num_rows=sum(rows.num_rows for rows in opened.rows),
        exact=not any(isinstance(rows, RowsInMemory) and rows.share < 1 for rows in opened.rows),
    )


def first_rows(source: Source, *, role: str, num_rows: int) -> Examples:
    """The first examples of files, to measure on.

    Args:
        source: The files and what to read in them.
        role: Role of the examples, for error messages.
        num_rows: At most so many.

    Raises:
        InputError: As for `read`.
    """
    place = find_files(source.paths, role)
    if place.family == "arrays":
        whole = read(source, role=role)
        return whole.take(np.arange(min(num_rows, len(whole))))
    opened = open_source(source, place, peek=True)
    for frame in opened.frames(num_rows):
        if len(chosen(frame, source).rows):
            return opened.examples(frame)
    return read(source, role=role)


def _shape(path: Path, source: Source, name: str) -> tuple[Kind | None, int | None]:
    """The kind and the number of rows of a file of arrays, as far as its header has them."""
    form = format_of(path)
    match form:
        case "idx":
            return "image", None
        case "cifar":
            return "image", path.stat().st_size // (CIFAR_PIXELS + len(cifar_labels(path, name)))
        case "stl":
            return "image", path.stat().st_size // STL_PIXELS
        case "mat":
            variables = mat_variables(path, name)
            check_names(name, variables, source, what="variable")
            rank = len(variables[mat_input(variables, source, name)].shape)
            return ("image" if rank == 4 else "table"), None
        case "h5ad":
            matrices, columns, num_cells = columns_of(path, name)
            check_names(name, [*matrices, *columns], source)
            return "table", num_cells
    # Damaged files raise when they are read.
    try:
        if form == "npz":
            return _in_archive(path, source, name) if zipfile.is_zipfile(path) else (None, None)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except InputError:
        raise
    except DAMAGE:
        return None, None
    return _of_shape(array.shape, array.dtype)


def _in_archive(path: Path, source: Source, name: str) -> tuple[Kind | None, int | None]:
    """As `_shape`, of an .npz archive."""
    with zipfile.ZipFile(path) as archive:
        names = [word.removesuffix(".npy") for word in archive.namelist()]
    check_names(name, names, source, what="array")
    headers = headers_of(path, name, "a whole .npz archive of plain arrays is needed")
    chosen = headers[source.only_input or only_input(headers, source, name)]
    return _of_shape(chosen.shape, chosen.dtype)


def _of_shape(shape: tuple[int, ...], dtype: np.dtype) -> tuple[Kind | None, int | None]:
    if not shape:
        return None, None
    if dtype.kind in "US":
        return "text", shape[0]
    return ("image" if len(shape) in (3, 4) else "table"), shape[0]


def check_one_kind(previews: dict[str, Preview]) -> Kind | None:
    """The kind of the files of all roles; None if it is unknown for all of them before they are read.

    Args:
        previews: By role.

    Raises:
        InputError: Two roles hold different kinds.

    Example:
        >>> check_one_kind({"pool": Preview(name="pool (x.csv)", kind="text", num_rows=3, exact=True)})
        'text'
    """
    known = [each for each in previews.values() if each.kind is not None]
    for each in known:
        if each.kind != known[0].kind:
            raise InputError(
                f"{each.name} holds examples of kind {each.kind!r}, {known[0].name} of kind {known[0].kind!r}; all "
                f"roles must hold one kind."
            )
    return known[0].kind if known else None
