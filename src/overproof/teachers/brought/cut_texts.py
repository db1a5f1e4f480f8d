"""How many texts a teacher does not read to their end."""

from collections.abc import Callable

from jaxtyping import Int64
from torch import Tensor

from overproof.data import Examples


def cut_texts(
    who: str, length: Callable[[Examples], Int64[Tensor, "n"]], max_tokens: int, examples: Examples
) -> list[str]:
    """A sentence, where texts are cut.

    Args:
        who: What to call the teacher.
        length: Texts to their numbers of tokens, uncut.
        max_tokens: Where they are cut.
        examples: N texts.
    """
    cut = sum(int((length(part) > max_tokens).sum()) for part in examples.parts())
    if not cut:
        return []
    longer = "is longer" if cut == 1 else "are longer"
    return [
        f"The {who} reads the first {max_tokens} tokens of a text, and {cut} of the {len(examples)} texts of "
        f"{examples.origin} {longer} (teacher.options.max_tokens)."
    ]
