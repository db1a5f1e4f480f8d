"""Which examples of a set repeat or depend on each other, by content and by the user's groups."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.data.columns import Frame, groups_of
from overproof.data.examples import Examples
from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.functional.top_k import words_of


def repeats_in(examples: Examples) -> Repeats:
    """Which of the examples repeat or depend on each other.

    Example:
        >>> from overproof.data import from_arrays
        >>> repeats_in(from_arrays(["x", "y", "x"])).group.tolist()
        [0, 1, 0]
    """
    return Repeats.of(examples.ids, group_words(examples))


def group_words(examples: Examples) -> Int64[Tensor, "N"] | None:
    """[N], a 64-bit number for the group of each example, the same in every set; None without groups.

    An example without a group has a number of its own, that of its content.
    """
    if examples.group is None:
        return None
    own = words_of(examples.ids)
    missing = pc.is_null(examples.group).to_numpy(zero_copy_only=False)
    named = words_of([f"group {name}" for name in pc.fill_null(examples.group, "").to_pylist()])
    return torch.from_numpy(np.where(missing, own, named))


def with_joined_groups(examples: Examples) -> Examples:
    """The same examples, where groups that share a content have one name: the first of theirs in alphabetical order.

    So they stay together when only one row of the content is drawn.

    Example:
        >>> from overproof.data import from_arrays
        >>> three = grouped(from_arrays(["x", "x", "y"]), ["p", "q", "q"], "group")
        >>> with_joined_groups(three).group.to_pylist()
        ['p', 'p', 'p']
    """
    if examples.group is None:
        return examples
    words = pc.unique(examples.group.drop_null()).sort()
    rank = pc.index_in(examples.group, words).fill_null(len(words)).to_numpy(zero_copy_only=False)
    together = repeats_in(examples).group.numpy()
    least = np.full(int(together.max(initial=-1)) + 1, len(words))
    np.minimum.at(least, together, rank)
    joined = least[together]
    if (joined == rank).all():
        return examples
    return replace(examples, group=words.take(pa.array(joined, mask=joined == len(words))))


def grouped(examples: Examples, group: Any, option: str) -> Examples:
    """The same examples with these groups.

    Args:
        examples: N examples.
        group: [N] names or whole numbers; None (or NaN) for an example without a group.
        option: What to call `group` in errors.

    Raises:
        InputError: It has another length, or holds other values.
    """
    if isinstance(group, str | bytes) or not hasattr(group, "__len__"):
        raise InputError(
            f"{option} is {group!r}; a value for each of the {len(examples)} examples is needed, as a list or a column "
            f"of a data frame."
        )
    values = group.tolist() if hasattr(group, "tolist") else list(group)
    if len(values) != len(examples):
        raise InputError(f"{option} has {len(values)} values for {len(examples)} examples; each needs one.")
    try:
        column = pa.array(values, from_pandas=True)
    except pa.ArrowException:
        raise InputError(
            f"{option} holds values of several types; all strings or all whole numbers are allowed."
        ) from None
    frame = Frame(name=option, table=pa.table({}), rows=np.arange(len(values)))
    return replace(examples, group=groups_of(column, frame, option))
