"""Image augmentation on the device, a whole batch at a time: the options, and the function that applies them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

import pydantic
import torch
from torch import Tensor

from overproof.errors import InputError, suggest
from overproof.training.image_operations import Colour, Crop, CutOut, Flip, ResizedCrop, shifted
from overproof.training.rand_augment import RandAugment

Step = Crop | Flip | ResizedCrop | Colour | CutOut | RandAugment

STEPS: Mapping[str, type[Step]] = {
    "crop": Crop,
    "flip": Flip,
    "resized_crop": ResizedCrop,
    "colour": Colour,
    "cutout": CutOut,
    "rand_augment": RandAugment,
}
"""The steps by their name in an experiment."""

_TOGETHER = ("none", "crop", "crop_flip")


def _steps(value: Any) -> Any:
    """The steps of a list of names and options; the name of a whole recipe is returned unchanged."""
    if isinstance(value, str):
        if value in _TOGETHER:
            return value
        if value in STEPS:
            return (_step(value),)
        raise InputError(f"There is no augmentation {value!r}; {suggest(value, [*_TOGETHER, *STEPS])}.")
    if not isinstance(value, list | tuple):
        raise InputError(f"Option 'train.augmentation' is {value!r}; a name or a list of names and options is allowed.")
    return tuple(map(_step, value))


def _step(value: Any) -> Step:
    if isinstance(value, Step):
        return value
    options = {"name": value} if isinstance(value, str) else value
    if not isinstance(options, Mapping) or not isinstance(options.get("name"), str):
        raise InputError(f"Option 'train.augmentation' holds {value!r}; a name, or options with a `name`, is allowed.")
    name = options["name"]
    if name not in STEPS:
        raise InputError(f"There is no augmentation {name!r}; {suggest(name, list(STEPS))}.")
    known = [each.name for each in fields(STEPS[name])]
    for option in options:
        if option not in known:
            raise InputError(f"The augmentation {name!r} has no option {option!r}; {suggest(option, known)}.")
    try:
        made: Step = pydantic.TypeAdapter(STEPS[name]).validate_python(dict(options))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise InputError(str(first["ctx"]["error"])) from None
        raise InputError(
            f"Option {first['loc'][-1]} of the augmentation {name!r} is {first['input']!r}: {first['msg'].lower()}."
        ) from None
    return made


Augmentation = Annotated[
    Literal["none", "crop", "crop_flip"] | tuple[Step, ...],
    pydantic.BeforeValidator(_steps),
]


def augment(images: Tensor, kind: Augmentation, padding: int, generator: torch.Generator) -> Tensor:
    """Images changed at random, all draws from `generator` alone.

    Args:
        images: [B, C, H, W]; any dtype for crops and flips, uint8 for the others.
        kind: `crop` shifts by up to `padding` pixels (zeros come in); `crop_flip` also mirrors half of them; or steps,
            one after the other.
        padding: Pixels, 0 or more; a step has its own.
        generator: On the CPU; the same state gives the same batch.

    Returns:
        [B, C, H, W], the same dtype.

    Example:
        >>> augment(torch.ones(1, 1, 2, 2, dtype=torch.uint8), (Flip(),), 0, torch.Generator()).flatten().tolist()
        [1, 1, 1, 1]
    """
    if isinstance(kind, tuple):
        for step in kind:
            images = step(images, generator)
        return images
    return images if kind == "none" else shifted(images, padding, generator, flip=kind == "crop_flip")
