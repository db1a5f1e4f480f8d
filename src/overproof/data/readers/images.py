"""Images from .npz archives, IDX files and Parquet columns of encoded bytes."""

import io
import struct
import warnings
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from overproof.data.columns import UNKNOWN, Frame, check_names, is_string, whole
from overproof.data.inputs import Missing, image_tensor
from overproof.data.readers.columnar import file_bytes
from overproof.data.source import Source
from overproof.data.wording import listed, reason
from overproof.errors import InputError

_CLASS_NAMES = "class_names"
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4"}
_MODES = {"L": 1, "RGB": 3}
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_npz(path: Path, source: Source, name: str) -> tuple[Source, Frame, UInt8[Tensor, "N C H W"]]:
    """The images of a .npz archive, and its arrays [N] as columns.

    `source.input` names the images ([N, H, W], [N, H, W, C] or [N, C, H, W]); without it they are the only array of
    rank 3 or 4. The optional array `class_names` says in words what the integers 0..K-1 of the labels mean.

    Args:
        path: The file.
        source: Which array is what.
        name: What to call the file in errors.

    Returns:
        The source, with the archive's class names where it had none; the columns; and the images.

    Raises:
        InputError: If the file is damaged, holds pickled objects, or its arrays do not fit one another.
    """
    arrays = _npz_arrays(path, name)
    check_names(name, arrays, source, what="array")
    candidates = [key for key, array in arrays.items() if array.ndim in (3, 4)]
    if source.input is None and len(candidates) != 1:
        raise InputError(
            f"{name} has {len(candidates)} arrays of rank 3 or 4 among {listed(arrays)}; name the images with `input`."
        )
    images = image_tensor(arrays[source.input or candidates[0]], name)
    columns: dict[str, pa.Array] = {}
    for key in dict.fromkeys(key for key in (source.label, source.id, *source.where) if key is not None):
        column = arrays[key][:, 0] if arrays[key].ndim == 2 and arrays[key].shape[1] == 1 else arrays[key]
        if column.ndim != 1 or len(column) != len(images):
            raise InputError(
                f"{name} has the array {key!r} of shape {arrays[key].shape} beside {len(images)} images; one value per "
                f"image is needed."
            )
        columns[key] = _column(column, key, name)
    # A table without columns has no rows, so the rows themselves are one.
    frame = whole(name, pa.table({**columns, "": np.arange(len(images))}))
    if source.label is not None and _CLASS_NAMES in arrays:
        source, frame = _with_class_names(source, frame, arrays[_CLASS_NAMES])
    return source, frame, images


def read_idx(path: Path, labels: Path | None, source: Source, name: str) -> tuple[Frame, UInt8[Tensor, "N C H W"]]:
    """The images of an IDX file (MNIST's format, also gzipped) and the labels of another.

    Args:
        path: The images: unsigned bytes of rank 3 or 4.
        labels: The labels: integers of rank 1, as many.
        source: `source.label` becomes the name of the labels' column.
        name: What to call the images file in errors.

    Raises:
        InputError: If a file is not IDX, truncated or too long, or the numbers of images and labels differ.
    """
    if source.input is not None or source.id is not None or source.where or source.ignore:
        raise InputError(
            f"{name} is an IDX file, which has no columns; only `path`, `label` and `classes` are allowed."
        )
    images = _idx_array(path, name)
    if images.ndim not in (3, 4):
        raise InputError(f"{name} is an IDX file of rank {images.ndim}; images have rank 3 or 4.")
    columns = {"": np.arange(len(images))}
    if labels is not None and source.label is not None:
        label = _idx_array(labels, f"{name} label file {labels.name}")
        if label.ndim != 1 or len(label) != len(images):
            raise InputError(
                f"{name} has {len(images)} images, but its label file {labels.name} has shape {label.shape}; one label "
                f"per image is needed."
            )
        columns[source.label] = label.astype(label.dtype.newbyteorder("="))
    return whole(name, pa.table(columns)), image_tensor(images, name)


def decode(frame: Frame, name: str, missing: Missing) -> tuple[Frame, UInt8[Tensor, "N C H W"]]:
    """The PNG or JPEG images of a column of bytes, and the rows that are left.

    Args:
        frame: The rows.
        name: A column of bytes, or of structs with a field `bytes`.
        missing: "drop" leaves out rows without an image; else they are refused.

    Raises:
        InputError: If a row holds no image, a damaged one, one that is neither grey nor RGB, or one of another size or
            mode than the first.
    """
    column = frame.column(name)
    if pa.types.is_struct(column.type):
        column = pc.struct_field(column, "bytes")
    gone = pc.or_kleene(pc.is_null(column), pc.equal(pc.binary_length(column), 0)).to_numpy(zero_copy_only=False)
    if gone.any() and (missing != "drop" or gone.all()):
        raise InputError(
            f"{frame.name} has no image bytes in column {name!r}, {frame.at(gone.argmax())}; each needs an encoded "
            f"image, or set `missing` to 'drop'."
        )
    frame, encoded = frame.keep(~gone), column.filter(pa.array(~gone)).to_numpy(zero_copy_only=False)
    with warnings.catch_warnings():
        # A picture so large that Pillow warns is refused like one so large that it fails.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        first = _decoded(encoded[0], frame, 0, name)
        images = np.empty((len(encoded), *first.shape), np.uint8)
        for index, data in enumerate(encoded):
            image = _decoded(data, frame, index, name)
            if image.shape != first.shape:
                raise InputError(
                    f"{frame.name} has {_described(image)} in column {name!r}, {frame.at(index)}; all must be like "
                    f"{_described(first)} of row {frame.rows[0]}."
                )
            images[index] = image
    return frame, torch.from_numpy(images)


def is_encoded(kind: pa.DataType) -> bool:
    """Whether an Arrow type can hold encoded images: bytes, or a struct with a field `bytes`."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and is_encoded(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _decoded(data: bytes, frame: Frame, index: int, name: str) -> UInt8[np.ndarray, "C H W"]:
    where = f"{frame.name}, column {name!r}, {frame.at(index)}"
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        image.load()
    except Image.UnidentifiedImageError:
        raise InputError(f"{where}: the bytes are no image; PNG and JPEG are allowed.") from None
    except (*_DECODE_ERRORS, Image.DecompressionBombWarning) as error:
        raise InputError(f"{where}: the image is damaged ({reason(error)}); whole PNG and JPEG are allowed.") from None
    if image.mode not in _MODES:
        raise InputError(f"{where}: the image has mode {image.mode}; grey (L) and RGB are allowed.")
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _described(image: UInt8[np.ndarray, "C H W"]) -> str:
    channels, height, width = image.shape
    return f"{'a grey' if channels == 1 else 'an RGB'} image of {height}x{width} pixels"


def _npz_arrays(path: Path, name: str) -> dict[str, np.ndarray]:
    allowed = "a whole .npz archive of plain arrays is needed"
    if path.stat().st_size == 0:
        raise InputError(f"{name} is empty; {allowed}.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{name} is not a .npz archive, or a truncated one; {allowed}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except ValueError as error:
        if "Object arrays" in str(error):
            raise InputError(
                f"{name} holds an array of pickled objects, which could run code; save strings and numbers without "
                f"dtype=object."
            ) from None
        raise InputError(f"{name} is damaged ({reason(error)}); {allowed}.") from None
    except (OSError, EOFError, KeyError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{name} is damaged ({reason(error)}); {allowed}.") from None
    # NumPy hands out any other member of the archive as raw bytes.
    if other := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise InputError(f"{name} holds {listed(other)} beside arrays; {allowed}.")
    return arrays


def _column(array: np.ndarray, key: str, name: str) -> pa.Array:
    if array.dtype.kind not in "iufbUS":
        raise InputError(f"{name} has the array {key!r} of type {array.dtype}; numbers and strings are allowed.")
    if array.dtype.kind == "S":
        return pa.array([word.decode(errors="backslashreplace") for word in array])
    return pa.array(array.astype(array.dtype.newbyteorder("=")))


def _with_class_names(source: Source, frame: Frame, class_names: np.ndarray) -> tuple[Source, Frame]:
    assert source.label is not None
    column = frame.column(source.label)
    words = [
        word.decode(errors="backslashreplace") if isinstance(word, bytes) else str(word) for word in class_names.ravel()
    ]
    if len(set(words)) < len(words) or not (pa.types.is_integer(column.type) or is_string(column.type)):
        raise InputError(
            f"{frame.name} has class_names {listed(words)} beside labels of type {column.type}; integers from 0 or "
            f"strings, and a different name for each, are allowed."
        )
    fixed = source if source.classes else replace(source, classes=tuple(words))
    if is_string(column.type):
        return fixed, frame
    index = column.to_numpy().astype(np.int64)
    odd = (index < UNKNOWN) | (index >= len(words))
    if odd.any():
        row = int(odd.argmax())
        raise InputError(
            f"{frame.name} has the label {index[row]} in {frame.at(row)} but {len(words)} class_names; allowed are 0 "
            f"to {len(words) - 1}, and -1 for unknown."
        )
    named = pa.array([words[i] if i >= 0 else None for i in index], pa.large_string())
    place = frame.table.column_names.index(source.label)
    table = frame.table.set_column(place, source.label, named)
    return fixed, Frame(name=frame.name, table=table, rows=frame.rows)


def _idx_array(path: Path, name: str) -> np.ndarray:
    data = file_bytes(path, name)
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
            f"{name} has {len(data)} bytes, but its header promises {expected} (shape {shape}); a whole file is needed."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
