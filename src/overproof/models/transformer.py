"""The transformer student: a Hugging Face classifier made from a local configuration, with random initial weights."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from overproof.data import Examples, Kind
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models.frozen.texts import quiet
from overproof.models.inputs import Ragged
from overproof.models.saved.checked_fields import checked_fields
from overproof.seeds import digest

AT_A_TIME = 4096
"""Texts tokenised at a time."""

_NOT_OURS = ("architectures", "id2label", "label2id", "num_labels", "problem_type", "transformers_version", "dtype")

_UNUSED = ("_name_or_path", "id2label", "label2id", "architectures", "task_specific_params", "finetuning_task")
"""Keys of a configuration that hold names alone."""

_CODE = ("auto_map", "custom_pipelines", "trust_remote_code", "backbone", "quantization_config", "kernel_config")
"""Keys of a configuration that name code or another model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenEncoder:
    """Texts as token ids of a tokenizer that is saved with the student.

    Args:
        tokenizer: The content of a `tokenizer.json`.
        max_tokens: Longer texts are truncated to so many tokens, including special ones.
    """

    tokenizer: str
    max_tokens: int

    @property
    def kind(self) -> Kind:
        """Texts."""
        return "text"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The size of the vocabulary."""
        return (_tokenizer(self.tokenizer).get_vocab_size(),)

    def encode(self, examples: Examples) -> Ragged:
        """The token ids of every text in order, plus one; a batch is int64 [B, L], padded with 0.

        Raises:
            InputError: The examples are not texts.
        """
        if examples.kind != "text":
            raise InputError(f"{examples.origin} holds examples of kind {examples.kind!r}; the student reads 'text'.")
        tokenizer = _tokenizer(self.tokenizer)
        tokenizer.enable_truncation(self.max_tokens)
        tokenizer.no_padding()
        assert isinstance(examples.inputs, pa.Array)
        ids: list[list[int]] = []
        for start in range(0, len(examples), AT_A_TIME):
            texts = examples.inputs.slice(start, AT_A_TIME).to_pylist()
            ids += [encoded.ids for encoded in tokenizer.encode_batch_fast(texts)]
        lengths = np.array([len(each) for each in ids], np.int64)
        values = np.fromiter((token + 1 for each in ids for token in each), np.int32, int(lengths.sum()))
        offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
        return Ragged(values=torch.from_numpy(values), offsets=torch.from_numpy(offsets))

    def config(self) -> dict[str, Any]:
        """Its fields."""
        return {"type": "tokens", "tokenizer": self.tokenizer, "max_tokens": self.max_tokens}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TokenEncoder":
        """The inverse of `config`."""
        return checked_fields(cls, {name: each for name, each in config.items() if name != "type"}, "the encoder")


class Transformer(nn.Module):
    """A Hugging Face sequence classifier for token ids that are numbered from 1 and padded with 0.

    Args:
        config: The content of `config.json`, without classes.
        num_classes: K.
    """

    def __init__(self, config: Mapping[str, Any], num_classes: int) -> None:
        super().__init__()
        transformers = _transformers()
        check_config(config)
        known = {name: value for name, value in config.items() if name not in _NOT_OURS}
        try:
            made = transformers.AutoConfig.for_model(**known, num_labels=num_classes)
            self.pad = made.pad_token_id = made.pad_token_id or 0
            with quiet():
                self.model = transformers.AutoModelForSequenceClassification.from_config(made)
        except Exception as error:
            raise InputError(
                f"Option config of student 'transformer' is not valid for a classifier: {reason(error)}."
            ) from None

    def forward(self, tokens: Int64[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        """The classifier's logits; a text without tokens is one padding token."""
        present = tokens > 0
        ids = torch.where(present, tokens - 1, self.pad)
        present = present | (torch.arange(tokens.shape[1], device=tokens.device) == 0)
        logits: Tensor = self.model(input_ids=ids, attention_mask=present.long()).logits
        return logits


def check_config(config: Mapping[str, Any], option: str = "config of student 'transformer'") -> None:
    """Check that a configuration describes a network and names no code, no other model and no file.

    Args:
        config: The content of `config.json`.
        option: What to call it in errors.

    Example:
        >>> check_config({"model_type": "bert", "hidden_size": 8, "_name_or_path": "somebody/model"})

    Raises:
        InputError: A key or a text in it does.
    """
    left: list[tuple[str, Any]] = [(key, value) for key, value in config.items() if key not in _UNUSED]
    while left:
        key, value = left.pop()
        if isinstance(value, Mapping | list | tuple):
            left += value.items() if isinstance(value, Mapping) else [(key, each) for each in value]
        named = key in _CODE or key.endswith("_implementation") or (isinstance(value, str) and "/" in value)
        if named and value not in (None, "eager", "sdpa"):
            raise InputError(
                f"Option {option} has {key!r}: {str(value)[:80]!r}; code, files and other models are not loaded for a "
                f"configuration: remove this key."
            )


def transformer(input_shape: tuple[int, ...], num_classes: int, *, config: Any = None) -> Transformer:
    """A transformer for texts.

    Args:
        input_shape: The size of the vocabulary.
        num_classes: K.
        config: The content of `config.json`.

    Raises:
        InputError: The configuration has fewer tokens than the tokenizer, or is not valid for a classifier.
    """
    if config.get("vocab_size", input_shape[0]) < input_shape[0]:
        raise InputError(
            f"Option config of student 'transformer' has vocab_size {config['vocab_size']}, but the tokenizer has "
            f"{input_shape[0]} tokens."
        )
    return Transformer(config, num_classes)


def spelt_out(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a transformer, with paths replaced by the content of the configuration and the tokenizer's hash.

    Args:
        options: `config`, a folder with a `config.json` or such a file; `tokenizer`, the same for `tokenizer.json`, by
            default in the same folder; `max_tokens`. Options that are resolved already do not change.

    Raises:
        InputError: A file is missing or is not JSON; `max_tokens` is above the configuration's number of positions.
    """
    config, tokenizer = options["config"], options["tokenizer"]
    if config is None:
        raise InputError("Option config of student 'transformer' is missing; set it to a config.json or its folder.")
    if isinstance(config, str):
        tokenizer = tokenizer or str(Path(config).parent if Path(config).suffix == ".json" else Path(config))
        try:
            config = json.loads(_file(config, "config.json").read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"Option config of student 'transformer': {reason(error)}.") from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise InputError("Option config of student 'transformer' has no model_type, which every config.json needs.")
    if isinstance(tokenizer, str):
        path = _file(tokenizer, "tokenizer.json")
        try:
            content = digest(path.read_bytes())
        except OSError as error:
            raise InputError(f"Option tokenizer of student 'transformer': {path}: {error.strerror}.") from None
        tokenizer = {"file": str(path), "blake2b": content}
    places = config.get("max_position_embeddings")
    if isinstance(places, int) and options["max_tokens"] > places:
        raise InputError(
            f"Option max_tokens of student 'transformer' is {options['max_tokens']}, but its configuration has "
            f"max_position_embeddings {places}."
        )
    return {"config": config, "tokenizer": tokenizer, "max_tokens": options["max_tokens"]}


def token_encoder(options: Mapping[str, Any]) -> TokenEncoder:
    """The encoder of a transformer, from options that `spelt_out` has resolved.

    Raises:
        InputError: The tokenizer cannot be read, or has changed.
    """
    named = options["tokenizer"]
    try:
        data = Path(named["file"]).read_bytes()
    except OSError as error:
        raise InputError(f"Option tokenizer of student 'transformer': {named['file']}: {error.strerror}.") from None
    if digest(data) != named["blake2b"]:
        raise InputError(f"Option tokenizer of student 'transformer': {named['file']} has changed.")
    encoder = TokenEncoder(tokenizer=data.decode(), max_tokens=options["max_tokens"])
    try:
        _ = encoder.input_shape
    except ValueError as error:
        raise InputError(f"{named['file']} is not a tokenizer: {reason(error)}.") from None
    return encoder


def _file(path: str, name: str) -> Path:
    return Path(path) if Path(path).suffix == ".json" else Path(path) / name


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise InputError(
            "Student 'transformer' needs the package transformers; install it with: pip install 'overproof[text]'."
        ) from None
    return transformers


@functools.lru_cache(maxsize=2)
def _tokenizer(content: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise InputError(
            "Student 'transformer' needs the package tokenizers; install it with: pip install 'overproof[text]'."
        ) from None
    try:
        return Tokenizer.from_str(content)
    except Exception as error:
        raise ValueError(str(error)) from None
