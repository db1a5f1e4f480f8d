"""Reads images, numbers and texts from .npz archives, .npy files and IDX files."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from torch import Tensor

from overproof.data.columns import Frame, check_names, whole
from overproof.data.inputs import image_tensor
from overproof.data.labels import with_class_names
from overproof.data.readers.npz import ArrayHeader, headers_of, load_arrays
from overproof.data.readers.text_files import file_bytes
from overproof.data.source import Source
from overproof.data.wording import listed, reason
from overproof.errors import InputError

_CLASS_NAMES = "class_names"
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4"}
DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
)
"""The exceptions that NumPy raises for a damaged file."""
TEXT = "\0text"
"""The column of the texts of an .npy file."""


Held: TypeAlias = UInt8[Tensor, "N C H W"] | pa.Table | pa.Array
"""Images, numbers or texts."""


def read_npz(path: Path, source: Source, name: str) -> tuple[Source, Frame, Held]:
    """The images, numbers or texts of a .npz archive, and its arrays [N] as columns.

    `source.input` names the images ([N, H, W], [N, H, W, C] or [N, C, H, W]), the numbers ([N, D]) or the strings [N];
    without it they are the only array of rank 3 or 4, or, where there is none, the only matrix of numbers. The optional
    array `class_names` has the names of the labels 0..K-1.

    Args:
        path: The file.
        source: The use of each array.
        name: Name of the file in error messages.

    Returns:
        The source, with the archive's class names where it had none; the columns; and the inputs.

    Raises:
        InputError: If the file is damaged, holds pickled objects, or its arrays have different lengths.
    """
    allowed = "a whole .npz archive of plain arrays is needed"
    if path.stat().st_size == 0:
        raise InputError(f"{name} is empty; {allowed}.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{name} is not a .npz archive, or a truncated one; {allowed}.")
    with _readable(name, allowed):
        headers = headers_of(path, name, allowed)
        check_names(name, headers, source, what="array")
        pixels = source.only_input or only_input(headers, source, name)
        beside = [key for key in (source.label, source.id, source.group, *source.where) if key is not None]
        names = [_CLASS_NAMES] if source.label is not None else []
        arrays = load_arrays(path, name, headers, [pixels, *beside, *names], source.max_unpacked_gb)
    inputs = inputs_of(arrays[pixels], name, source.kind)
    num_rows, what = len(arrays[pixels]), "image" if isinstance(inputs, Tensor) else "row"
    columns: dict[str, pa.Array] = {}
    for key in dict.fromkeys(beside):
        column = arrays[key][:, 0] if arrays[key].ndim == 2 and arrays[key].shape[1] == 1 else arrays[key]
        if column.ndim != 1 or len(column) != num_rows:
            raise InputError(
                f"{name} has the array {key!r} of shape {arrays[key].shape} and {num_rows} {what}s; one value per "
                f"{what} is needed."
            )
        if isinstance(inputs, pa.Table) and key in inputs.column_names:
            raise InputError(
                f"{name} has an array {key!r}, and the columns of {pixels!r} are called f0 to "
                f"f{inputs.num_columns - 1}; give the array another name."
            )
        columns[key] = column_of(column, key, name)
    # A table without columns has no rows, so the row numbers are a column.
    frame = whole(name, pa.table({**columns, "": np.arange(num_rows)}))
    if source.label is not None and _CLASS_NAMES in arrays:
        source, frame = with_class_names(source, frame, _words(arrays[_CLASS_NAMES]))
    return source, frame, inputs


def read_idx(path: Path, labels: Path | None, source: Source, name: str) -> tuple[Frame, UInt8[Tensor, "N C H W"]]:
    """The images of an IDX file (MNIST's format, also gzipped) and the labels of another.

    Args:
        path: The images: unsigned bytes of rank 3 or 4.
        labels: The labels: as many integers, of rank 1.
        source: `source.label` becomes the name of the label column.
        name: Name of the image file in error messages.

    Raises:
        InputError: If a file is not IDX, is truncated or too long, or the numbers of images and labels differ.
    """
    if source.input or source.id or source.group or source.where or source.ignore:
        raise InputError(
            f"{name} is an IDX file, which has no columns; only `path`, `label` and `classes` are allowed."
        )
    images = _idx_array(path, name, source)
    if images.ndim not in (3, 4):
        raise InputError(f"{name} is an IDX file of rank {images.ndim}; images have rank 3 or 4.")
    columns = {"": np.arange(len(images))}
    if labels is not None and source.label is not None:
        label = _idx_array(labels, f"{name} label file {labels.name}", source)
        if label.ndim != 1 or len(label) != len(images):
            raise InputError(
                f"{name} has {len(images)} images, but its label file {labels.name} has shape {label.shape}; one label "
                f"per image is needed."
            )
        columns[source.label] = label.astype(label.dtype.newbyteorder("="))
    return whole(name, pa.table(columns)), image_tensor(images, name)


def read_npy(path: Path, labels: Path | None, source: Source, name: str) -> tuple[Frame, Held]:
    """The images, numbers or texts of an .npy file, and the labels of another.

    Args:
        path: Images (uint8, of rank 3 or 4), numbers [N, D] (columns f0 to f<D-1>), or strings [N].
        labels: The labels: integers or strings [N].
        source: `source.label` becomes the name of the label column.
        name: Name of the file in error messages.

    Raises:
        InputError: If a file is not a .npy file, is truncated or holds pickled objects, or the numbers of rows and
            labels differ.
    """
    if source.input or source.id or source.group or source.where or source.ignore or source.categories:
        raise InputError(
            f"{name} is an .npy file, which has no columns; only `path`, `label`, `classes` and `image` are allowed."
        )
    array = _npy_array(path, name)
    inputs = inputs_of(array, name, source.kind)
    columns: dict[str, pa.Array] = {"": pa.array(np.arange(len(array)))}
    if labels is not None and source.label is not None:
        label = _npy_array(labels, f"{name} label file {labels.name}")
        if label.ndim != 1 or len(label) != len(array):
            raise InputError(
                f"{name} has {len(array)} rows, but its label file {labels.name} has shape {label.shape}; one label "
                f"per row is needed."
            )
        columns[source.label] = column_of(label, labels.name, name)
    return whole(name, pa.table(columns)), inputs


def only_input(headers: Mapping[str, ArrayHeader], source: Source, name: str) -> str:
    """The array of the inputs where none is named: the only one of images, or else the only matrix of numbers.

    Args:
        headers: Of the archive.
        source: What the other arrays are.
        name: Name of the file in error messages.

    Raises:
        InputError: There are several, or none.
    """
    images = [key for key, header in headers.items() if len(header.shape) in (3, 4)]
    matrices = [key for key, each in headers.items() if len(each.shape) == 2 and each.dtype.kind in "fiu"]
    matrices = [key for key in matrices if key not in (source.label, source.id, source.group, *source.where)]
    candidates = images or matrices
    if len(candidates) != 1:
        what = "arrays of rank 3 or 4" if images or not matrices else "matrices of numbers"
        raise InputError(f"{name} has {len(candidates)} {what} among {listed(headers)}; name one with `input`.")
    return candidates[0]


def inputs_of(array: np.ndarray, name: str, kind: str) -> Held:
    """Images, numbers or texts, by type and rank; bytes [N, D] are numbers only where the source says table."""
    if array.ndim == 1 and array.dtype.kind == "U":
        return pa.array(array.tolist(), pa.large_string())
    numbers = array.dtype.kind in "fiu" and (array.dtype != np.uint8 or kind == "table")
    if array.ndim == 2 and numbers:
        wide = array.astype(np.float32) if array.dtype == np.float16 else array
        native = np.ascontiguousarray(wide.T, dtype=wide.dtype.newbyteorder("="))
        return pa.table({f"f{column}": values for column, values in enumerate(native)})
    if array.ndim in (3, 4):
        return image_tensor(array, name)
    table = "; write `kind: table` for numbers" if array.ndim == 2 and array.dtype == np.uint8 else ""
    raise InputError(
        f"{name} holds an array of type {array.dtype} and shape {array.shape}; allowed are images (uint8, [N, H, W], "
        f"[N, H, W, C] or [N, C, H, W]), numbers [N, D] and strings [N]{table}."
    )


@contextmanager
def _readable(name: str, allowed: str) -> Iterator[None]:
    """Turn NumPy's exceptions for an unreadable file into an InputError."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        if "Object arrays" in str(error):
            raise InputError(
                f"{name} holds an array of pickled objects, which could run code; save strings and numbers without "
                f"dtype=object."
            ) from None
        raise InputError(f"{name} is damaged ({reason(error)}); {allowed}.") from None
    except DAMAGE as error:
        raise InputError(f"{name} is damaged ({reason(error)}); {allowed}.") from None


def _npy_array(path: Path, name: str) -> np.ndarray:
    allowed = "a whole .npy file of numbers or strings is needed"
    if path.stat().st_size == 0:
        raise InputError(f"{name} is empty; {allowed}.")
    with _readable(name, allowed):
        with path.open("rb") as file:
            if file.read(6) != np.lib.format.MAGIC_PREFIX:
                raise InputError(f"{name} does not have the header of a .npy file; {allowed}.")
        array = np.load(path, allow_pickle=False)
    if array.ndim == 0 or array.dtype.hasobject or array.dtype.names is not None:
        raise InputError(
            f"{name} holds type {array.dtype} of shape {array.shape}; one array with a row per example is needed."
        )
    return array


def column_of(array: np.ndarray, key: str, name: str) -> pa.Array:
    """An array [N] of numbers or strings as a column.

    Args:
        array: The array.
        key: Its name.
        name: Name of the file in error messages.

    Raises:
        InputError: It holds something else.
    """
    if array.dtype.kind not in "iufbUS":
        raise InputError(f"{name} has the array {key!r} of type {array.dtype}; numbers and strings are allowed.")
    if array.dtype.kind == "S":
        return pa.array([word.decode(errors="backslashreplace") for word in array])
    # Arrow would end a string of NumPy at the first zero within it.
    return pa.array(array.tolist() if array.dtype.kind == "U" else array.astype(array.dtype.newbyteorder("=")))


def _words(class_names: np.ndarray) -> list[str]:
    return [
        word.decode(errors="backslashreplace") if isinstance(word, bytes) else str(word) for word in class_names.ravel()
    ]


def _idx_array(path: Path, name: str, source: Source) -> np.ndarray:
    data = file_bytes(path, name, source.max_unpacked_gb)
    if not data:
        raise InputError(f"{name} is empty; an IDX file is needed.")
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES or not 1 <= data[3] <= 4:
        raise InputError(
            f"{name} starts with the bytes {data[:4].hex(' ')}; an IDX file starts with 00 00, a type (08 for unsigned "
            f"bytes) and a rank of 1 to 4."
        )
    dtype, rank = np.dtype(_IDX_TYPES[data[2]]), data[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", data[4:start]) if len(data) >= start else ()
    expected = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(data) != expected:
        raise InputError(
            f"{name} has {len(data)} bytes, but by its header {expected} (shape {shape}); a whole file is needed."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
