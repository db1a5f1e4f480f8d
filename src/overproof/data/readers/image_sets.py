"""Reads images as data sets publish them: binary files of CIFAR-10, CIFAR-100 and STL-10, and MATLAB files as of SVHN.

Sources: cs.toronto.edu/~kriz/cifar.html, cs.stanford.edu/~acoates/stl10, ufldl.stanford.edu/housenumbers,
docs.scipy.org/doc/scipy/reference/io.html.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from torch import Tensor

from overproof.data.columns import Frame, check_names, whole
from overproof.data.inputs import image_tensor
from overproof.data.readers.arrays import Held, column_of, inputs_of
from overproof.data.readers.mat_file import NUMERIC, MatVariable, mat_values, mat_variables
from overproof.data.source import Source
from overproof.data.wording import listed
from overproof.errors import InputError

CIFAR_PIXELS = 3 * 32 * 32
STL_PIXELS = 3 * 96 * 96

_CIFAR_LABELS: Mapping[int, tuple[str, ...]] = {
    CIFAR_PIXELS + 1: ("label",),
    CIFAR_PIXELS + 2: ("coarse_label", "fine_label"),
}
"""What the bytes before the pixels are, by the bytes of a record."""

_MOST_LABELS = {"label": 10, "coarse_label": 20, "fine_label": 100}


def cifar_labels(path: Path, name: str) -> tuple[str, ...]:
    """The labels that each record of a binary file has: of CIFAR-10 `label`, of CIFAR-100 `coarse_label`, `fine_label`.

    Args:
        path: The file.
        name: Its name in error messages.

    Raises:
        InputError: Its size is no number of records, or fits both.
    """
    size = path.stat().st_size
    fits = [labels for record, labels in _CIFAR_LABELS.items() if size and size % record == 0]
    if len(fits) == 2:
        # 9.4 MB, or a multiple: the names of the published files tell.
        fits = fits[1:] if path.name in ("train.bin", "test.bin") else fits[:1] if "batch" in path.name else fits
    if len(fits) == 1:
        return fits[0]
    raise InputError(
        f"{name} has {size} bytes, {'records of CIFAR-10 and of CIFAR-100' if fits else 'no number of records'}; a "
        f".bin file is read as CIFAR-10 (records of {CIFAR_PIXELS + 1} bytes, a name with 'batch'), CIFAR-100 "
        f"({CIFAR_PIXELS + 2} bytes, train.bin or test.bin) or, by a name that ends in _X.bin, as STL-10."
    )


def read_cifar(path: Path, source: Source, name: str) -> tuple[Frame, UInt8[Tensor, "N 3 32 32"]]:
    """The images of a binary file of CIFAR-10 or CIFAR-100, and the label that the source names, a number from 0.

    Args:
        path: The file.
        source: `label` is `label`, of CIFAR-100 `coarse_label` or `fine_label`.
        name: Name of the file in error messages.

    Raises:
        InputError: Its size is no number of records; it has no such label; a label out of its range.
    """
    names = cifar_labels(path, name)
    _no_columns(source, name)
    if source.label is not None:
        check_names(name, names, source, what="label")
    records = np.fromfile(path, np.uint8).reshape(-1, CIFAR_PIXELS + len(names))
    for index, label in enumerate(names):
        if (most := int(records[:, index].max())) >= _MOST_LABELS[label]:
            raise InputError(
                f"{name} has the {label} {most} in row {records[:, index].argmax()}, and 0 to "
                f"{_MOST_LABELS[label] - 1} are allowed; it is no file of CIFAR-{100 if len(names) == 2 else 10}."
            )
    columns = {"": np.arange(len(records))}
    if source.label is not None:
        columns[source.label] = records[:, names.index(source.label)].astype(np.int64)
    pixels = records[:, len(names) :].reshape(-1, 3, 32, 32)
    return whole(name, pa.table(columns)), image_tensor(pixels, name)


def read_stl(path: Path, labels: Path | None, source: Source, name: str) -> tuple[Frame, UInt8[Tensor, "N 3 96 96"]]:
    """The images of a binary file of STL-10, whose pixels lie column by column, and the labels of another.

    Args:
        path: The images, `train_X.bin`, `test_X.bin` or `unlabeled_X.bin`.
        labels: The labels, one byte each, from 1.
        source: `source.label` becomes the name of the label column.
        name: Name of the image file in error messages.

    Raises:
        InputError: A size is no number of images; the numbers of images and labels differ.
    """
    size = path.stat().st_size
    if not size or size % STL_PIXELS:
        raise InputError(
            f"{name} has {size} bytes; by its name it is a file of STL-10, of {STL_PIXELS} bytes for each image."
        )
    _no_columns(source, name)
    images = np.fromfile(path, np.uint8).reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)
    columns = {"": np.arange(len(images))}
    if labels is not None and source.label is not None:
        values = np.fromfile(labels, np.uint8)
        if len(values) != len(images):
            raise InputError(
                f"{name} has {len(images)} images, and its label file {labels.name} {len(values)} bytes; one for each "
                f"image is needed."
            )
        columns[source.label] = values.astype(np.int64)
    return whole(name, pa.table(columns)), image_tensor(images, name)


def read_mat(path: Path, source: Source, name: str) -> tuple[Frame, Held]:
    """The images or numbers of a MATLAB file (of version 5, as SciPy writes it too), and its vectors as columns.

    `source.input` names the images ([H, W, C, N], as MATLAB has them, or [N, H, W, C]) or the numbers [N, D]; without
    it they are the only variable of rank 4, or, where there is none, the only matrix. In files of SVHN (`X` of
    [32, 32, 3, N], and `y` from 1 to 10) the label 10 is the digit 0.

    Args:
        path: The file.
        source: The use of each variable.
        name: Name of the file in error messages.

    Raises:
        InputError: It is damaged, of version 7.3, or has other variables.
    """
    variables = mat_variables(path, name)
    check_names(name, variables, source, what="variable")
    chosen = mat_input(variables, source, name)
    beside = [key for key in (source.label, source.id, source.group, *source.where) if key is not None]
    wanted = {key: variables[key] for key in dict.fromkeys((chosen, *beside))}
    values = mat_values(path, name, wanted, source.max_unpacked_gb)
    array = values[chosen]
    if array.ndim == 4:
        array = _images_first(array, chosen, name)
    elif array.ndim == 2 and array.dtype == np.uint8 and source.kind != "image":
        array = array.astype(np.float32)
    inputs = inputs_of(np.ascontiguousarray(array), name, source.kind)
    columns: dict[str, pa.Array] = {"": pa.array(np.arange(len(array)))}
    for key in dict.fromkeys(beside):
        vector = np.ravel(values[key])
        if len(vector) != len(array) or (values[key].ndim > 1 and 1 not in values[key].shape):
            raise InputError(
                f"{name} has the variable {key!r} of shape {values[key].shape}, and {len(array)} rows in {chosen!r}; "
                f"one value for each row is needed."
            )
        plain = _plain(vector)
        columns[key] = column_of(plain % 10 if _is_svhn(values[chosen], key, plain) else plain, key, name)
    return whole(name, pa.table(columns)), inputs


def mat_input(variables: Mapping[str, MatVariable], source: Source, name: str) -> str:
    """The variable of the inputs: the one that the source names, or the only one that can be.

    Args:
        variables: From `mat_variables`.
        source: Names it, or the others.
        name: Name of the file in error messages.

    Raises:
        InputError: There are several, or none.
    """
    if source.only_input is not None:
        return source.only_input
    others = (source.label, source.id, source.group, *source.where)
    images = [key for key, each in variables.items() if len(each.shape) == 4]
    matrices = [
        key
        for key, each in variables.items()
        if len(each.shape) == 2 and 1 not in each.shape and key not in others and each.kind in (*NUMERIC, "sparse")
    ]
    found = images or matrices
    if len(found) != 1:
        what = "variables of rank 4" if images or not matrices else "matrices"
        raise InputError(f"{name} has {len(found)} {what} among {listed(variables)}; name one with `input`.")
    return found[0]


def _images_first(array: np.ndarray, key: str, name: str) -> np.ndarray:
    """Images [N, H, W, C]."""
    last, first = array.shape[2] in (1, 3), array.shape[3] in (1, 3)
    if last == first:
        raise InputError(
            f"{name} has the variable {key!r} of shape {array.shape}; images are [H, W, C, N], or [N, H, W, C], with C "
            f"1 or 3."
        )
    return array.transpose(3, 0, 1, 2) if last else array


def _is_svhn(images: Any, key: str, vector: np.ndarray) -> bool:
    cropped = images.ndim == 4 and images.shape[:3] == (32, 32, 3)
    return bool(cropped and key == "y" and vector.dtype.kind in "iu" and vector.min() >= 1 and vector.max() == 10)


def _plain(vector: np.ndarray) -> np.ndarray:
    """Whole numbers, which MATLAB keeps as floats, as integers; rows of characters and cells of text as strings."""
    if vector.dtype.kind == "f" and (np.abs(vector) <= 2.0**53).all() and (vector == np.round(vector)).all():
        return vector.astype(np.int64)
    if vector.dtype.kind == "U":
        # All rows of a matrix of characters have one length.
        return np.strings.rstrip(vector)
    cells = [each.item() if isinstance(each, np.ndarray) and each.size == 1 else each for each in vector]
    if vector.dtype.kind == "O" and all(isinstance(each, str) for each in cells):
        return np.array(cells, str)
    return vector


def _no_columns(source: Source, name: str) -> None:
    if source.input or source.id or source.group or source.where or source.ignore:
        raise InputError(
            f"{name} is a binary file, which has no columns; only `path`, `label` and `classes` are allowed."
        )
