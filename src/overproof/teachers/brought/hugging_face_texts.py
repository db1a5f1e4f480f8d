"""Texts as a Hugging Face model reads them: in batches of one length, cut where the model or its tokenizer ends."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.errors import InputError
from overproof.teachers.brought.onnx_feed import batches_of_one_length

MOST_TOKENS = 8192
"""Models without a limit of their own read so much of a text, unless `max_tokens` says more."""

NO_LIMIT = 10**6
"""A tokenizer whose `model_max_length` is larger says that it has none."""

AT_A_TIME = 4096
"""Texts tokenised at a time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Texts:
    """A tokenizer, and where a text is cut.

    No text is padded. With padding, what a model answers would depend on the batch: a model of absolute positions
    counts from another place where its tokenizer pads on the left, some read the last token, and some have no
    token for padding.

    Args:
        tokenizer: Of transformers.
        max_tokens: A text is cut after that many tokens.
        filler: Stands for a text without any token.
    """

    tokenizer: Any = field(repr=False)
    max_tokens: int
    filler: int

    def batches(self, texts: Sequence[str], size: int) -> Iterator[tuple[Int64[Tensor, "_"], Mapping[str, Tensor]]]:
        """Rows of texts of one length, and what the model takes of them.

        Args:
            texts: All of them.
            size: Texts at a time, at most.
        """
        encoded = [self._filled(each) for each in self._encoded(texts, cut=True)]
        length = torch.tensor([len(each["input_ids"]) for each in encoded])
        for rows in batches_of_one_length(length, size):
            some = [encoded[row] for row in rows.tolist()]
            yield rows, {name: torch.tensor([each[name] for each in some]) for name in some[0]}

    def whole_lengths(self, texts: Sequence[str]) -> Int64[Tensor, "N"]:
        """The numbers of tokens of texts that are not cut.

        Args:
            texts: N texts.
        """
        return torch.tensor([len(each["input_ids"]) for each in self._encoded(texts, cut=False)], dtype=torch.int64)

    def _encoded(self, texts: Sequence[str], *, cut: bool) -> Iterator[dict[str, list[int]]]:
        for start in range(0, len(texts), AT_A_TIME):
            some = list(texts[start : start + AT_A_TIME])
            options = {"truncation": True, "max_length": self.max_tokens} if cut else {"verbose": False}
            encoded = self.tokenizer(some, **options)
            yield from (dict(zip(encoded, each, strict=True)) for each in zip(*encoded.values(), strict=True))

    def _filled(self, encoded: dict[str, list[int]]) -> dict[str, list[int]]:
        if encoded["input_ids"]:
            return encoded
        filled = {"input_ids": self.filler, "attention_mask": 1}
        return {name: [filled.get(name, 0)] for name in encoded}


def texts_for(model: Any, tokenizer: Any, max_tokens: int | None, who: str) -> Texts:
    """How a model reads texts; a model without a token for padding is told that no token is one.

    Args:
        model: Of transformers.
        tokenizer: Its own.
        max_tokens: The option; None follows model and tokenizer.
        who: What to call the teacher in errors.

    Raises:
        InputError: The option is beyond the model's positions.
    """
    positions = _positions(model)
    if max_tokens and positions and max_tokens > positions:
        raise InputError(
            f"Option 'teacher.options.max_tokens' is {max_tokens}; {who} has positions for {positions} tokens."
        )
    known = [positions, tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT else None]
    limit = max_tokens or min((each for each in known if each), default=MOST_TOKENS)
    if model.config.pad_token_id is None:
        # Some classifiers refuse several texts at once without one; none is padded here.
        model.config.pad_token_id = -1
    filler = next((each for each in (tokenizer.pad_token_id, tokenizer.unk_token_id) if each is not None), 0)
    return Texts(tokenizer=tokenizer, max_tokens=min(limit, max_tokens or MOST_TOKENS), filler=filler)


def _positions(model: Any) -> int | None:
    """How many tokens a model has positions for; None where it has no table of them."""
    found = []
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if isinstance(module, torch.nn.Embedding) and ("position" in last or last == "wpe"):
            # Models like RoBERTa count from behind the padding token, others by an offset of their own.
            before = 0 if module.padding_idx is None else module.padding_idx + 1
            found.append(module.num_embeddings - before - int(getattr(module, "offset", 0)))
    return min(found, default=None)
