"""Examples as the inputs of an ONNX file: which form it wants follows from the names, types and ranks it declares."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import Tensor

from overproof.data import Examples
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.models.tables import numbers_of
from overproof.teachers.brought.onnx_feed import TYPES, Fed, Feed, refused
from overproof.teachers.brought.onnx_texts import text_feed

Pixels = Literal["unit", "bytes"]
"""The range of pixels as floats: 0 to 1, or 0 to 255."""


def reader_for(inputs: Sequence[Any], options: Any, examples: Examples, path: Path, pixels: Pixels) -> Feed:
    """What turns examples into the inputs of a session.

    Args:
        inputs: As the session declares them: name, type and shape.
        options: `OnnxOptions`.
        examples: Some of the examples that it will answer.
        path: The file, for errors and for its tokenizer.
        pixels: The range of images as floats.

    Raises:
        InputError: It reads another kind of examples.
    """
    if examples.kind == "image":
        return Feed(of=_images(inputs, options, examples, path, pixels))
    if examples.kind == "text":
        return text_feed(inputs, options.max_tokens, path)
    return Feed(of=_tables(inputs, options, examples, path))


def _images(inputs: Sequence[Any], options: Any, examples: Examples, path: Path, pixels: Pixels) -> Fed:
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in TYPES:
        raise refused(inputs, "image", "one input [B, C, H, W] or [B, H, W, C]", path)
    name, kind, shape = inputs[0].name, inputs[0].type, inputs[0].shape
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels, size = (shape[3], shape[1:3]) if last else (shape[1], shape[2:])
    assert isinstance(examples.inputs, Tensor)
    own = examples.inputs.shape[1]
    if isinstance(channels, int) and channels != own and (own, channels) != (1, 3):
        raise InputError(f"teacher ({path}) reads images of {channels} channels; {examples.origin} has {own}.")
    width = channels if isinstance(channels, int) else own
    for option in ("mean", "std"):
        if len(getattr(options, option)) not in (0, 1, width):
            raise InputError(
                f"Option 'teacher.options.{option}' has {len(getattr(options, option))} numbers; one for each of "
                f"{width} channels is needed, or one for all."
            )
    as_bytes = kind == "tensor(uint8)"

    def feed(some: Examples) -> dict[str, np.ndarray]:
        assert isinstance(some.inputs, Tensor)
        images = resized(some.inputs, size)
        images = images.expand(-1, width, -1, -1)
        if as_bytes:
            images = images.round().clamp(0, 255)
        elif pixels == "unit":
            images = normalised(images, options.mean, options.std)
        values = (images.permute(0, 2, 3, 1) if last else images).contiguous().numpy()
        return {name: values.astype(TYPES[kind])}

    return feed


def resized(images: Tensor, size: Sequence[Any]) -> Tensor:
    """Images [B, C, H, W] as floats of another size, bilinear and antialiased; a size that is no number is any.

    Example:
        >>> resized(torch.full((1, 1, 4, 4), 7, dtype=torch.uint8), (2, 2)).tolist()
        [[[[7.0, 7.0], [7.0, 7.0]]]]
    """
    wanted = tuple(each if isinstance(each, int) else had for each, had in zip(size, images.shape[2:], strict=True))
    if wanted == tuple(images.shape[2:]):
        return images.float()
    return F.interpolate(images.float(), wanted, mode="bilinear", antialias=True, align_corners=False)


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pixels 0 to 255 as numbers in [0, 1], less the mean and over the deviation of each channel.

    Example:
        >>> normalised(torch.full((1, 1, 1, 1), 255.0), (0.5,), (0.25,)).item()
        2.0
    """
    scaled = images / 255
    if mean:
        scaled = scaled - torch.tensor(mean).view(1, -1, 1, 1)
    return scaled / torch.tensor(std).view(1, -1, 1, 1) if std else scaled


def _tables(inputs: Sequence[Any], options: Any, examples: Examples, path: Path) -> Fed:
    assert isinstance(examples.inputs, pa.Table)
    known = examples.inputs.column_names
    if len(inputs) > 1 or inputs[0].name in known:
        return _by_column(inputs, known, path)
    first = inputs[0]
    columns = list(options.columns) or known
    if missing := [name for name in columns if name not in known]:
        raise InputError(f"Option 'teacher.options.columns' names {listed(missing)}; the data have {listed(known)}.")
    if len(first.shape) != 2 or first.type not in TYPES:
        raise refused(inputs, "table", "one matrix [B, D], or inputs that are called like the columns,", path)
    if isinstance(first.shape[1], int) and first.shape[1] != len(columns):
        raise InputError(
            f"teacher ({path}) reads {first.shape[1]} numbers a row, and the data have {len(columns)} columns "
            f"({listed(columns)}); choose and order them in 'teacher.options.columns'."
        )

    def matrix(some: Examples) -> dict[str, np.ndarray]:
        return {first.name: number_matrix(some, columns, f"teacher ({path})").astype(TYPES[first.type])}

    return matrix


def _by_column(inputs: Sequence[Any], known: list[str], path: Path) -> Fed:
    if missing := [each.name for each in inputs if each.name not in known]:
        raise InputError(
            f"teacher ({path}) has inputs called {listed(missing)}; the data have the columns {listed(known)}."
        )
    wanted = {each.name: (each.type, len(each.shape)) for each in inputs}

    def feed(some: Examples) -> dict[str, np.ndarray]:
        given = {}
        for name, (kind, rank) in wanted.items():
            assert isinstance(some.inputs, pa.Table)
            column = some.inputs.column(name)
            if kind == "tensor(string)":
                # As Arrow spells them; a gap is the empty word.
                words = pc.fill_null(column.cast(pa.large_string()), "")
                values = np.array(words.to_pylist(), dtype=object)
            else:
                values = number_matrix(some, [name], f"teacher ({path})")[:, 0].astype(TYPES[kind])
            given[name] = values.reshape(-1, *[1] * (rank - 1))
        return given

    return feed


def number_matrix(some: Examples, columns: Sequence[str], who: str) -> np.ndarray:
    """Columns of numbers side by side, float64 [N, D], NaN where a value is missing.

    Raises:
        InputError: A column that holds something else.
    """
    table = some.inputs
    assert isinstance(table, pa.Table)
    for name in columns:
        kind = table.column(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise InputError(f"{who} reads numbers, and {some.origin} has {kind} in column {name!r}.")
    values = [
        numbers_of(column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column)
        for column in (table.column(name) for name in columns)
    ]
    return np.stack(values, axis=1)
