"""The margin of a prediction, the one measure of confidence that every teacher has."""

from typing import Any

import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from overproof import functional
from overproof.errors import InputError

MARGIN_OF_BITS = torch.arange(0x3C01, dtype=torch.int16).view(torch.float16).double()
"""Every margin that half precision can hold, 0 to 1, at the index of its bits: 15,361 of them, ascending."""


def margin(teacher_probs: Float[Tensor, "N K"]) -> Float32[Tensor, "N"]:
    """Largest probability less the second largest, in [0, 1].

    Args:
        teacher_probs: [N, K], rows sum to one; K at least 2.

    Example:
        >>> margin(torch.tensor([[0.5, 0.25, 0.25]])).item()
        0.25

    Raises:
        InputError: There is one class only.
    """
    if teacher_probs.shape[1] < 2:
        raise InputError(f"teacher_probs has {teacher_probs.shape[1]} class(es); a margin needs at least 2.")
    return functional.margin(teacher_probs.float())


def check_margin(name: str, margin: Tensor | NDArray[Any]) -> None:
    """Check that a vector can hold margins.

    Raises:
        InputError: A number outside [0, 1] or none at all, with its row.
    """
    inside = (margin >= 0) & (margin <= 1)
    if not inside.all():
        row = int((~inside).nonzero()[0][0])
        found = float(margin[~inside][0])
        raise InputError(f"{name} has {found:g} in row {row}; it must be in [0, 1].")


def bits_of_margin(margin: Float[Tensor, "N"]) -> Tensor:
    """The bits of a margin in half precision, [N] int32 in 0..0x3C00: an index into `MARGIN_OF_BITS`.

    Example:
        >>> bits_of_margin(torch.tensor([0.0, 1.0])).tolist()
        [0, 15360]
    """
    return margin.half().view(torch.int16).int()
