"""Reads AnnData files (.h5ad): a matrix of cells and genes, and columns of what is known of each cell.

Source: anndata.readthedocs.io/en/stable/fileformat-prose.html (encodings of 0.8 and later).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from overproof.data.columns import Frame, check_names, whole
from overproof.data.readers.arrays import DAMAGE
from overproof.data.source import FLAG, Source
from overproof.data.wording import listed, reason
from overproof.errors import InputError

MATRIX = "X"
"""The matrix that is read where the source names none."""
CELLS = "obs_names"
"""The column of the names of the cells, where the file itself gives it none."""


def read_h5ad(path: Path, source: Source, name: str) -> tuple[Frame, pa.Table]:
    """The numbers of a matrix, and columns of `obs`. What else there is of the cells is not a feature.

    `source.input` names the matrix: `X`, which is the default, or one of `obsm` or `layers`. The columns of `X` and of
    layers are called as the genes, those of another matrix M are M0, M1, …; `label`, `id`, `group` and `where` name
    columns of `obs`, or `obs_names`. A categorical code -1 is a missing value.

    Args:
        path: The file.
        source: The use of each column.
        name: Name of the file in error messages.

    Raises:
        InputError: It is damaged or of an earlier format; h5py is not installed; there is no such matrix or column; two
            genes have one name; its content lies in another file; it is too large.
    """
    with _opened(path, name) as file:
        matrices, columns = _content(file, name)
        check_names(name, [*matrices, *columns], source)
        chosen = source.only_input or MATRIX
        if chosen not in matrices:
            raise InputError(
                f"{name} has {chosen!r} among the columns of its cells; `input` names a matrix: {listed(matrices)}."
            )
        beside = [word for word in (source.label, source.id, source.group, *source.where) if word is not None]
        if odd := next((word for word in beside if word not in columns), None):
            raise InputError(f"{name} has the matrix {odd!r}; a column of its cells is needed: {listed(columns)}.")
        values = _matrix(file, matrices[chosen], source, name)
        names = [f"{chosen}{index}" for index in range(values.shape[1])]
        if chosen == MATRIX or matrices[chosen].startswith("layers/"):
            names = _texts(file, f"var/{_index(file, 'var')}", name)
        if len(set(names)) < len(names):
            twice = next(each for each in names if names.count(each) > 1)
            raise InputError(
                f"{name} has several genes called {twice!r}; make them unique with `adata.var_names_make_unique()`."
            )
        if both := sorted(set(names) & set(beside)):
            raise InputError(f"{name} has {listed(both)} both as a gene and as a column of the cells; rename one.")
        held = {word: _column(file, columns[word], name) for word in dict.fromkeys(beside)}
    for word, column in held.items():
        if len(column) != len(values):
            raise InputError(f"{name} has {len(values)} cells, and {len(column)} values of {word!r}; it is damaged.")
    frame = whole(name, pa.table({**held, "": np.arange(len(values))}))
    return frame, pa.table(dict(zip(names, np.ascontiguousarray(values.T), strict=True)))


def columns_of(path: Path, name: str) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """The names of the matrices and of the columns of the cells of a file, and the number of cells.

    Args:
        path: The file.
        name: Its name in error messages.

    Raises:
        InputError: It is damaged or of an earlier format; h5py is not installed.
    """
    with _opened(path, name) as file:
        matrices, columns = _content(file, name)
        return tuple(matrices), tuple(columns), len(_column(file, f"obs/{_index(file, 'obs')}", name))


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise InputError(f"{name} needs the package h5py; install it with: pip install h5py.") from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except (*DAMAGE, AttributeError, RuntimeError) as error:
        raise InputError(f"{name} is no AnnData file, or damaged ({reason(error)}); a whole .h5ad is needed.") from None


def _content(file: Any, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Where each matrix and each column of the cells is in the file."""
    for part in ("obs", "var"):
        if part not in file or "_index" not in file[part].attrs:
            raise InputError(
                f"{name} has no {part!r} as AnnData 0.8 and later writes it; read it with anndata and write it again."
            )
    matrices = {MATRIX: MATRIX} if MATRIX in file else {}
    for part in ("layers", "obsm"):
        matrices |= {key: f"{part}/{key}" for key in file.get(part, {}) if key not in matrices}
    index = _index(file, "obs")
    columns = {CELLS if index == "_index" else index: f"obs/{index}"}
    return matrices, columns | {key: f"obs/{key}" for key in file["obs"] if key != index}


def _index(file: Any, part: str) -> str:
    return str(file[part].attrs["_index"])


def _dataset(file: Any, place: str, name: str) -> Any:
    """A data set, of which the values are in this file."""
    import h5py

    parts = place.split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if link is not None and not isinstance(link, h5py.HardLink):
            raise InputError(f"{name} has a link at {place!r}; all values must be in the file itself.")
    found = file[place]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise InputError(f"{name} keeps {place!r} in another file; all values must be in the file itself.")
    return found


def _matrix(file: Any, place: str, source: Source, name: str) -> np.ndarray:
    found = _dataset(file, place, name)
    sparse = str(found.attrs.get("encoding-type", "")) in ("csr_matrix", "csc_matrix")
    shape = tuple(int(side) for side in (found.attrs["shape"] if sparse else found.shape))
    if len(shape) != 2:
        raise InputError(f"{name} has {place!r} of shape {shape}; a matrix with a row for each cell is needed.")
    if shape[0] * shape[1] * 8 > source.max_unpacked_gb * 1e9:
        raise InputError(
            f"{name} has {shape[0]} cells of {shape[1]} values, {shape[0] * shape[1] * 8 / 1e9:.3g} GB with their zeros"
            f", and {source.max_unpacked_gb:g} are allowed; set `max_unpacked_gb` to more ({FLAG}), or name a smaller "
            f"matrix with `input`, such as X_pca."
        )
    if not sparse:
        values = np.asarray(found[:])
    else:
        from scipy.sparse import csc_matrix, csr_matrix

        parts = tuple(_dataset(file, f"{place}/{part}", name)[:] for part in ("data", "indices", "indptr"))
        kind = csr_matrix if found.attrs["encoding-type"] == "csr_matrix" else csc_matrix
        matrix = kind(parts, shape=shape)
        matrix.check_format(full_check=True)
        values = matrix.toarray()
    if values.dtype.kind not in "fiub":
        raise InputError(f"{name} has {place!r} of type {values.dtype}; numbers are needed.")
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _column(file: Any, place: str, name: str) -> pa.Array:
    """A column of the cells, as its encoding says."""
    found = _dataset(file, place, name)
    kind = str(found.attrs.get("encoding-type", ""))
    if kind == "categorical":
        codes = np.asarray(_dataset(file, f"{place}/codes", name)[:]).astype(np.int64)
        words = _column(file, f"{place}/categories", name)
        if len(codes) and (codes.min() < -1 or codes.max() >= len(words)):
            raise InputError(f"{name} has a code in {place!r} beyond its {len(words)} categories.")
        return words.take(pa.array(codes, mask=codes < 0))
    if kind.startswith("nullable-"):
        mask = np.asarray(_dataset(file, f"{place}/mask", name)[:]).astype(bool)
        values: Any = _dataset(file, f"{place}/values", name)
        return pa.array(_strings(values) if values.dtype.kind == "O" else values[:], mask=mask)
    if kind == "string-array" or (kind in ("", "array") and found.dtype.kind == "O"):
        return pa.array(_strings(found), pa.large_string())
    if kind in ("", "array") and found.dtype.kind in "fiub" and len(found.shape) == 1:
        return pa.array(found[:])
    raise InputError(f"{name} has {place!r} in the encoding {kind or found.dtype!r}, which is not read here.")


def _texts(file: Any, place: str, name: str) -> list[str]:
    """Names, as strings of one kind or the other: anndata writes pandas' nullable strings as a group of two arrays."""
    return [str(value) for value in _column(file, place, name).to_pylist()]


def _strings(found: Any) -> list[str]:
    return list(found.asstr()[:]) if found.dtype.kind == "O" else [str(value) for value in found[:]]
