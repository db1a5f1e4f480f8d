"""RandAugment on whole batches: operations are drawn for every image; results agree with Pillow's up to rounding."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from overproof.errors import InputError
from overproof.training.image_operations import (
    NUM_LEVELS,
    Images,
    brightened,
    contrasted,
    saturated,
    to_bytes,
    warped,
)

_GEOMETRY = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "solarize",
    "posterize",
    "colour",
    "contrast",
    "brightness",
    "sharpness",
    *_GEOMETRY,
)
"""The operations of the paper."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RandAugment:
    """Some operations drawn at random, all of one magnitude and each in a random direction.

    Args:
        num_operations: Number of operations applied in sequence, 1 to 8.
        magnitude: Of all of them, 0 to 30; at 30 a rotation is by 30 degrees, a shear by .3, a shift by .45 of the
            side, a blend by a factor of .1 or 1.9, a posterization to 4 bits, a solarization of every pixel.

    Source: Cubuk, Zoph, Shlens and Le (2020), "RandAugment: practical automated data augmentation with a reduced search
    space", section 3. Differs from the paper: blends and shears have either direction, and operations on colours leave
    grey images unchanged.
    """

    name: Literal["rand_augment"] = "rand_augment"
    num_operations: int = 2
    magnitude: int = 9

    def __post_init__(self) -> None:
        if not 1 <= self.num_operations <= 8 or not 0 <= self.magnitude <= NUM_LEVELS:
            raise InputError(
                f"The augmentation 'rand_augment' has num_operations {self.num_operations!r} and magnitude "
                f"{self.magnitude!r}; 1 to 8 and 0 to {NUM_LEVELS} are allowed."
            )

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """The batch after all operations."""
        level = self.magnitude / NUM_LEVELS
        for _ in range(self.num_operations):
            drawn = torch.randint(len(OPERATIONS), (len(images),), generator=generator)
            sign = 2.0 * torch.randint(2, (len(images),), generator=generator) - 1
            images = images.clone()
            for number, name in enumerate(OPERATIONS):
                which = (drawn == number).nonzero()[:, 0]
                if name != "identity" and len(which):
                    place = which.to(images.device)
                    images[place] = operate(name, images[place], level, sign[which])
        return images


def operate(name: str, images: Images, level: float, sign: Float[Tensor, "B"]) -> Images:
    """Apply one operation to all images.

    Args:
        name: One of `OPERATIONS`.
        images: [B, C, H, W].
        level: Its magnitude, in [0, 1].
        sign: [B], 1 or -1: its direction, where it has one.
    """
    if name in _GEOMETRY:
        return warped(images, _matrix(name, level * sign))
    if name in _BLENDS:
        factor = (1 + 0.9 * level * sign).to(images.device).view(-1, 1, 1, 1)
        return to_bytes(_BLENDS[name](images.float(), factor))
    if name == "autocontrast":
        return _stretched(images)
    if name == "equalize":
        return _equalized(images)
    if name == "posterize":
        unkept = round(4 * level)
        return (images >> unkept) << unkept
    if name == "solarize":
        return torch.where(images.float() >= 256 * (1 - level), 255 - images, images)
    assert name == "identity", name
    return images


def _matrix(name: str, amount: Float[Tensor, "B"]) -> Float[Tensor, "B 2 3"]:
    """The affine map from each output pixel to its source, in coordinates from -1 to 1."""
    matrix = torch.zeros(len(amount), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1
    if name == "rotate":
        angle = amount * math.radians(30)
        matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
        matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin(), angle.sin()
    else:
        row, column = {"shear_x": (0, 1), "shear_y": (1, 0), "translate_x": (0, 2), "translate_y": (1, 2)}[name]
        # Both sides have length two.
        matrix[:, row, column] = amount * (0.3 if name.startswith("shear") else 2 * 0.45)
    return matrix


def _sharpened(images: Float[Tensor, "B C H W"], factor: Float[Tensor, "B 1 1 1"]) -> Float[Tensor, "B C H W"]:
    """The distance to the smoothed image times the factor; the outermost pixels do not change."""
    if min(images.shape[2:]) < 3:
        return images
    kernel = images.new_ones(1, 1, 3, 3)
    kernel[0, 0, 1, 1] = 5
    channels = images.shape[1]
    smooth = images.clone()
    inner = F.conv2d(images, (kernel / 13).expand(channels, 1, 3, 3), groups=channels)
    smooth[:, :, 1:-1, 1:-1] = inner.round()
    return (smooth + factor * (images - smooth)).clamp(0, 255)


def _coloured(images: Float[Tensor, "B C H W"], factor: Float[Tensor, "B 1 1 1"]) -> Float[Tensor, "B C H W"]:
    return saturated(images, factor) if images.shape[1] == 3 else images


def _stretched(images: Images) -> Images:
    """Every channel scaled linearly to 0..255."""
    low = images.amin(dim=(2, 3), keepdim=True).float()
    high = images.amax(dim=(2, 3), keepdim=True).float()
    scale = 255 / (high - low).clamp_min(1)
    stretched = (images * scale - low * scale).floor().clamp(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def _equalized(images: Images) -> Images:
    """Every channel with its histogram equalized."""
    flat = images.flatten(2).flatten(0, 1).long()
    counts = torch.zeros(len(flat), 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat))
    # The last value that occurs does not count towards the step.
    last = (counts > 0).long().mul(torch.arange(256, device=images.device)).amax(dim=1, keepdim=True)
    step = (counts.sum(dim=1, keepdim=True) - counts.gather(1, last)) // 255
    before = counts.cumsum(dim=1) - counts
    table = ((before + step // 2) // step.clamp_min(1)).clamp(0, 255)
    spread = table.gather(1, flat).to(torch.uint8).view(images.shape)
    return torch.where((step > 0).view(*images.shape[:2], 1, 1), spread, images)


_BLENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "colour": _coloured,
    "contrast": contrasted,
    "brightness": brightened,
    "sharpness": _sharpened,
}
