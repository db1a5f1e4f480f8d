"""How many texts a teacher does not read to their end."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import pyarrow as pa
from jaxtyping import Int64
from torch import Tensor

from overproof.data import Examples

LIMIT = "teacher.options.max_tokens"


def cut_texts(
    who: str,
    length: Callable[[Examples], Int64[Tensor, "n"]],
    max_tokens: int,
    examples: Examples,
    option: str = LIMIT,
) -> list[str]:
    """A sentence, where texts are cut.

    Args:
        who: What to call the teacher.
        length: Texts to their numbers of tokens, uncut.
        max_tokens: Where they are cut.
        examples: N texts.
        option: What moves that limit.
    """
    cut = sum(int((length(part) > max_tokens).sum()) for part in examples.parts())
    if not cut:
        return []
    longer = "is longer" if cut == 1 else "are longer"
    return [
        f"The {who} reads the first {max_tokens} tokens of a text, and {cut} of the {len(examples)} texts of "
        f"{examples.origin} {longer} ({option})."
    ]


@runtime_checkable
class Cutting(Protocol):
    """An encoder that reads the first tokens of a text."""

    @property
    def max_tokens(self) -> int:
        """So many."""
        ...

    def whole_lengths(self, texts: Sequence[str]) -> Int64[Tensor, "N"]:
        """The numbers of tokens of texts that are not cut."""
        ...


def texts_cut_by(encoder: object, who: str, examples: Examples, option: str = LIMIT) -> list[str]:
    """A sentence, where an encoder cuts texts; nothing of one that does not say how it reads them.

    Args:
        encoder: Of texts or of something else.
        who: What to call it.
        examples: N examples.
        option: What moves the limit.
    """
    if not isinstance(encoder, Cutting) or examples.kind != "text":
        return []

    def length(some: Examples) -> Int64[Tensor, "n"]:
        assert isinstance(some.inputs, pa.Array)
        return encoder.whole_lengths(some.inputs.to_pylist())

    return cut_texts(who, length, encoder.max_tokens, examples, option)
