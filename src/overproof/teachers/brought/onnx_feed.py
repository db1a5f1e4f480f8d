"""What gives examples to an ONNX file, and the types of its inputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from overproof.data import Examples
from overproof.errors import InputError

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}

Fed = Callable[[Examples], Mapping[str, np.ndarray]]
"""Some examples -> the inputs of a session by name."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Feed:
    """Gives examples to a session.

    Args:
        of: Some examples to the inputs of a session.
        length: Of token ids: texts to their numbers of tokens, those that are cut; None elsewhere. Only texts of one
            length are given together, so that none is padded: what a graph makes of padding depends on its maker.
        whole_length: The same before texts are cut.
        max_tokens: Where they are cut; 0 elsewhere.
    """

    of: Fed
    length: Callable[[Examples], Int64[Tensor, "n"]] | None = None
    whole_length: Callable[[Examples], Int64[Tensor, "n"]] | None = None
    max_tokens: int = 0

    def batches(self, examples: Examples, size: int) -> Iterator[Tensor]:
        """The rows that are given together.

        Args:
            examples: All of them.
            size: Examples at a time, at most.
        """
        if self.length is None:
            yield from torch.arange(len(examples)).split(size)
        else:
            yield from batches_of_one_length(self.length(examples), size)


def batches_of_one_length(length: Int64[Tensor, "N"], size: int) -> Iterator[Int64[Tensor, "_"]]:
    """Rows of equal length, so many at a time.

    Args:
        length: The number of tokens of each.
        size: Rows at a time, at most.

    Example:
        >>> [rows.tolist() for rows in batches_of_one_length(torch.tensor([3, 1, 3, 3]), 2)]
        [[1], [0, 2], [3]]
    """
    for each in length.unique():
        yield from (length == each).nonzero()[:, 0].split(size)


def refused(inputs: Sequence[Any], kind: str, wanted: str, path: Path) -> InputError:
    """The error for a file that reads another kind of examples.

    Args:
        inputs: As the session declares them.
        kind: Of the examples.
        wanted: What would be needed.
        path: The file.
    """
    declared = ", ".join(f"{each.name} {each.type}{list(each.shape)}" for each in inputs[:5])
    return InputError(f"teacher ({path}) has the inputs {declared}; for examples of kind {kind!r} {wanted} is needed.")
