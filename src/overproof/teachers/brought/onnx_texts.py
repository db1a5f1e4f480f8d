"""Texts as the inputs of an ONNX file: strings, or token ids by the `tokenizer.json` beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from overproof.data import Examples
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.teachers.brought.onnx_feed import TYPES, Feed, refused

TOKENS = ("input_ids", "attention_mask", "token_type_ids")

FROM_PAD = ("roberta", "camembert", "mpnet", "longformer", "data2vec-text", "esm")
"""Types of models whose positions are counted from behind the padding token: so many fewer tokens fit."""

MAX_TOKENS = 512
"""Where nothing beside a file says how long a text may be."""


def text_feed(inputs: Sequence[Any], max_tokens: int | None, path: Path) -> Feed:
    """What gives texts to a session.

    Args:
        inputs: As the session declares them: name, type and shape.
        max_tokens: A text is cut after that many tokens; None follows the files beside (`_limit`).
        path: The file, for errors and for its tokenizer.

    Raises:
        InputError: It reads something else, or its tokenizer is missing.
    """
    names = {each.name for each in inputs}
    if len(inputs) == 1 and inputs[0].type == "tensor(string)":
        rank = len(inputs[0].shape)

        def strings(some: Examples) -> dict[str, np.ndarray]:
            texts = np.array(_listed(some), dtype=object)
            return {inputs[0].name: texts.reshape(-1, *[1] * (rank - 1))}

        return Feed(of=strings)
    if "input_ids" not in names or not names <= set(TOKENS):
        raise refused(inputs, "text", "one input of strings, or input_ids (with attention_mask, token_type_ids)", path)
    tokenizer = path.parent / "tokenizer.json"
    if not tokenizer.is_file():
        raise InputError(f"teacher ({path}) reads token ids, and there is no tokenizer.json beside it.")
    fixed = _fixed_length(inputs)
    loaded = _tokenizer(tokenizer)
    stated = (loaded.truncation or {}).get("max_length")
    limit = fixed or max_tokens or _limit(path.parent, stated)
    padding = loaded.padding or {}
    pad = padding.get("pad_id", loaded.token_to_id("[PAD]") or 0)
    loaded.no_padding()
    loaded.no_truncation()
    whole = _copy(loaded)
    loaded.enable_truncation(limit)
    if fixed:
        loaded.enable_padding(pad_id=pad, pad_token=padding.get("pad_token", "[PAD]"), length=fixed)
    types = {each.name: TYPES[each.type] for each in inputs}

    def tokens(some: Examples) -> dict[str, np.ndarray]:
        encoded = loaded.encode_batch(_listed(some))
        # A text without any token is one of padding, which counts.
        batch = {
            "input_ids": [each.ids or [pad] for each in encoded],
            "attention_mask": [each.attention_mask or [1] for each in encoded],
            "token_type_ids": [each.type_ids or [0] for each in encoded],
        }
        return {name: np.array(batch[name]).astype(types[name]) for name in types}

    def length_by(tokenizer: Any, some: Examples) -> Tensor:
        return torch.tensor([max(len(each.ids), 1) for each in tokenizer.encode_batch(_listed(some))])

    return Feed(
        of=tokens,
        length=lambda some: length_by(loaded, some),
        whole_length=lambda some: length_by(whole, some),
        max_tokens=limit,
    )


def _limit(folder: Path, stated: int | None) -> int:
    """The length to which the model's own tools cut a text, by the files beside it.

    That is `model_max_length` of `tokenizer_config.json`, else what `tokenizer.json` truncates to; and no more than
    `max_position_embeddings` of `config.json`, each where it is there.
    """
    config = folder / "config.json"
    positions = _number(config, "max_position_embeddings")
    if positions and any(name in (_field(config, "model_type") or "") for name in FROM_PAD):
        positions -= (_number(config, "pad_token_id") or 1) + 1
    own = _number(folder / "tokenizer_config.json", "model_max_length") or stated
    return min((each for each in (own, positions) if each), default=MAX_TOKENS)


def _number(path: Path, key: str) -> int | None:
    """A number of a JSON file; None where it is not there, or so large that it stands for none."""
    value = _field(path, key)
    return int(value) if isinstance(value, int) and 1 <= value <= 10**6 else None


def _field(path: Path, key: str) -> Any:
    try:
        return json.loads(path.read_text()).get(key)
    except (OSError, ValueError, AttributeError):
        return None


def _fixed_length(inputs: Sequence[Any]) -> int | None:
    length = next(each.shape[1] for each in inputs if each.name == "input_ids")
    return length if isinstance(length, int) else None


def _tokenizer(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise InputError(
            "Token ids need the package tokenizers; install it with: pip install 'overproof[text]'."
        ) from None
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise InputError(f"{path} is no tokenizer: {reason(error)}.") from None


def _copy(tokenizer: Any) -> Any:
    return type(tokenizer).from_str(tokenizer.to_str())


def _listed(some: Examples) -> list[str]:
    assert isinstance(some.inputs, pa.Array | pa.ChunkedArray)
    texts: list[str] = some.inputs.to_pylist()
    return texts
