"""A teacher of images whose answers are the same for all: most likely it expects pixels in another range."""

from collections.abc import Callable

import torch
from torch import Tensor

from overproof.data import Examples
from overproof.errors import InputError
from overproof.teachers.brought.onnx_inputs import Pixels

ENOUGH = 8
"""So many different images are needed to say that all answers are the same."""

SAME = 0.01
"""The answers of a class differ by less than this where they count as the same."""

LARGER = 10.0
"""In the other range they must differ by so many times more."""


def check_range(
    probs: Callable[[Pixels], Tensor], pixels: Pixels, may_be_other: bool, who: str, examples: Examples
) -> None:
    """Check that a teacher's answers depend on the image.

    Args:
        probs: The answers to some images [n, K], with their pixels in a range.
        pixels: The range that is used.
        may_be_other: Whether nothing has said which it is.
        who: What to call the teacher in errors.
        examples: The n images.

    Raises:
        InputError: They are the same for all images, or almost and not in the other range.
    """
    assert isinstance(examples.inputs, Tensor)
    if len(torch.unique(examples.inputs.flatten(1), dim=0)) < ENOUGH:
        return
    spread = _spread(probs(pixels))
    other: Pixels = "unit" if pixels == "bytes" else "bytes"
    if spread < SAME and may_be_other and (larger := _spread(probs(other))) > max(SAME, LARGER * spread):
        ranges = {"unit": "0 to 1", "bytes": "0 to 255"}
        raise InputError(
            f"{who} gives almost the same answer to the first {len(examples)} images of {examples.origin} where pixels "
            f"are {ranges[pixels]} (a class differs by {spread:.2g} at most), and not where they are {ranges[other]} "
            f"({larger:.2g}); say which it was trained on: 'teacher.options.pixels: {other}' or 'pixels: {pixels}'."
        )
    if spread == 0:
        raise InputError(
            f"{who} gives the very same answer to the first {len(examples)} images of {examples.origin}; it does not "
            f"see them as it was trained to: compare it with the tool that made it."
        )


def _spread(probs: Tensor) -> float:
    return float((probs.max(dim=0).values - probs.min(dim=0).values).max())
