"""Examples as the inputs of an ONNX file: which form it wants follows from the names, types and ranks it declares."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import Tensor

from overproof.data import Examples
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.tables import numbers_of

Feed = Callable[[Examples], Mapping[str, np.ndarray]]
"""Some examples -> the inputs of a session by name."""

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}

TOKENS = ("input_ids", "attention_mask", "token_type_ids")


def reader_for(inputs: Sequence[Any], options: Any, examples: Examples, path: Path) -> Feed:
    """What turns examples into the inputs of a session.

    Args:
        inputs: As the session declares them: name, type and shape.
        options: `OnnxOptions`.
        examples: Some of the examples that it will answer.
        path: The file, for errors and for its tokenizer.

    Raises:
        InputError: It reads another kind of examples.
    """
    if examples.kind == "image":
        return _images(inputs, options, examples, path)
    if examples.kind == "text":
        return _texts(inputs, options, path)
    return _tables(inputs, options, examples, path)


def _refused(inputs: Sequence[Any], kind: str, wanted: str, path: Path) -> InputError:
    declared = ", ".join(f"{each.name} {each.type}{list(each.shape)}" for each in inputs[:5])
    return InputError(f"teacher ({path}) has the inputs {declared}; for examples of kind {kind!r} {wanted} is needed.")


def _images(inputs: Sequence[Any], options: Any, examples: Examples, path: Path) -> Feed:
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in TYPES:
        raise _refused(inputs, "image", "one input [B, C, H, W] or [B, H, W, C]", path)
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
        images = images.round().clamp(0, 255) if as_bytes else normalised(images, options.mean, options.std)
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


def _texts(inputs: Sequence[Any], options: Any, path: Path) -> Feed:
    names = {each.name for each in inputs}
    if len(inputs) == 1 and inputs[0].type == "tensor(string)":
        rank = len(inputs[0].shape)

        def strings(some: Examples) -> dict[str, np.ndarray]:
            texts = np.array(_listed(some), dtype=object)
            return {inputs[0].name: texts.reshape(-1, *[1] * (rank - 1))}

        return strings
    if "input_ids" not in names or not names <= set(TOKENS):
        raise _refused(inputs, "text", "one input of strings, or input_ids (with attention_mask, token_type_ids)", path)
    tokenizer = path.parent / "tokenizer.json"
    if not tokenizer.is_file():
        raise InputError(f"teacher ({path}) reads token ids, and there is no tokenizer.json beside it.")
    encode = token_batches(tokenizer, options.max_tokens, _fixed_length(inputs))
    types = {each.name: TYPES[each.type] for each in inputs}

    def tokens(some: Examples) -> dict[str, np.ndarray]:
        batch = encode(_listed(some))
        return {name: batch[name].astype(types[name]) for name in types}

    return tokens


def _fixed_length(inputs: Sequence[Any]) -> int | None:
    length = next(each.shape[1] for each in inputs if each.name == "input_ids")
    return length if isinstance(length, int) else None


def token_batches(tokenizer: Path, max_tokens: int, length: int | None) -> Callable[[list[str]], dict[str, np.ndarray]]:
    """Texts to token ids by a `tokenizer.json`, each padded to the longest of its batch or to a fixed length.

    Raises:
        InputError: The package is missing, or the file is no tokenizer.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise InputError(
            "Token ids need the package tokenizers; install it with: pip install 'overproof[text]'."
        ) from None
    try:
        loaded = Tokenizer.from_file(str(tokenizer))
    except Exception as error:
        raise InputError(f"{tokenizer} is no tokenizer: {reason(error)}.") from None
    padding = loaded.padding or {}
    loaded.enable_truncation(length or max_tokens)
    loaded.enable_padding(
        pad_id=padding.get("pad_id", loaded.token_to_id("[PAD]") or 0),
        pad_token=padding.get("pad_token", "[PAD]"),
        length=length,
    )

    def encode(texts: list[str]) -> dict[str, np.ndarray]:
        encoded = loaded.encode_batch(texts)
        return {
            "input_ids": np.array([each.ids for each in encoded]),
            "attention_mask": np.array([each.attention_mask for each in encoded]),
            "token_type_ids": np.array([each.type_ids for each in encoded]),
        }

    return encode


def _listed(some: Examples) -> list[str]:
    assert isinstance(some.inputs, pa.Array | pa.ChunkedArray)
    texts: list[str] = some.inputs.to_pylist()
    return texts


def _tables(inputs: Sequence[Any], options: Any, examples: Examples, path: Path) -> Feed:
    assert isinstance(examples.inputs, pa.Table)
    known = examples.inputs.column_names
    if len(inputs) > 1 or inputs[0].name in known:
        return _by_column(inputs, known, path)
    first = inputs[0]
    columns = list(options.columns) or known
    if missing := [name for name in columns if name not in known]:
        raise InputError(f"Option 'teacher.options.columns' names {listed(missing)}; the data have {listed(known)}.")
    if len(first.shape) != 2 or first.type not in TYPES:
        raise _refused(inputs, "table", "one matrix [B, D], or inputs that are called like the columns,", path)
    if isinstance(first.shape[1], int) and first.shape[1] != len(columns):
        raise InputError(
            f"teacher ({path}) reads {first.shape[1]} numbers a row, and the data have {len(columns)} columns "
            f"({listed(columns)}); choose and order them in 'teacher.options.columns'."
        )

    def matrix(some: Examples) -> dict[str, np.ndarray]:
        return {first.name: number_matrix(some, columns, f"teacher ({path})").astype(TYPES[first.type])}

    return matrix


def _by_column(inputs: Sequence[Any], known: list[str], path: Path) -> Feed:
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
