"""Steps of image augmentation: tensor operations on a whole batch, with separate random numbers for every image."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from overproof.errors import InputError

Images = UInt8[Tensor, "B C H W"]

NUM_LEVELS = 30
"""Magnitudes of RandAugment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """Shift by up to `padding` pixels in each direction; zeros fill the border.

    Args:
        padding: Pixels, 0 or more.
    """

    name: Literal["crop"] = "crop"
    padding: int = 4

    def __post_init__(self) -> None:
        _check(self, "padding", self.padding, 0, 1024)

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """The batch with every image shifted."""
        return shifted(images, self.padding, generator, flip=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """Mirror half of the images, left to right."""

    name: Literal["flip"] = "flip"

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """The batch with some images mirrored."""
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(3), images)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResizedCrop:
    """Crop a part of the image and enlarge it to the size of the image.

    Args:
        smallest: Smallest share of the area that is kept, in (0, 1]; drawn for each image between this and 1.
    """

    name: Literal["resized_crop"] = "resized_crop"
    smallest: float = 0.25

    def __post_init__(self) -> None:
        _check(self, "smallest", self.smallest, 1e-3, 1)

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """The batch with every image cropped."""
        area, across, down = torch.rand(3, len(images), generator=generator)
        scale = (self.smallest + (1 - self.smallest) * area).sqrt()
        zero = torch.zeros_like(scale)
        # The centre of the part, such that all of it is inside the image.
        rows = [scale, zero, (2 * across - 1) * (1 - scale), zero, scale, (2 * down - 1) * (1 - scale)]
        return warped(images, torch.stack(rows, dim=1).view(-1, 2, 3), outside="border")


@dataclass(frozen=True, kw_only=True, slots=True)
class Colour:
    """Brightness, contrast, saturation and hue, changed in this order, each by a separate random factor or angle.

    Args:
        brightness: The factor is drawn from 1 - brightness to 1 + brightness; in [0, 1].
        contrast: The same for the distance to the image's mean grey.
        saturation: The same for the distance to the pixel's grey; grey images do not change.
        hue: Largest rotation of the hue in either direction, as a share of a full turn; in [0, 0.5].
    """

    name: Literal["colour"] = "colour"
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.0

    def __post_init__(self) -> None:
        for option in ("brightness", "contrast", "saturation"):
            _check(self, option, getattr(self, option), 0, 1)
        _check(self, "hue", self.hue, 0, 0.5)

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """The batch in other colours."""
        draws = (2 * torch.rand(4, len(images), generator=generator) - 1).to(images.device)
        brightness, contrast, saturation, hue = (each.view(-1, 1, 1, 1) for each in draws)
        colours = brightened(images.float(), 1 + self.brightness * brightness)
        colours = contrasted(colours, 1 + self.contrast * contrast)
        if images.shape[1] == 3:
            colours = saturated(colours, 1 + self.saturation * saturation)
            if self.hue:
                colours = _rotated(colours, self.hue * hue)
        return to_bytes(colours)


@dataclass(frozen=True, kw_only=True, slots=True)
class CutOut:
    """Fill a square at a random position with the image's mean colour; parts of it may be outside the image.

    Args:
        side: Of the square, as a share of the shorter side of the image, in (0, 1].

    Source: DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with cutout".
    Differs from the paper: the hole has the mean of its own image, not of all images.
    """

    name: Literal["cutout"] = "cutout"
    side: float = 0.5

    def __post_init__(self) -> None:
        _check(self, "side", self.side, 1e-3, 1)

    def __call__(self, images: Images, generator: torch.Generator) -> Images:
        """The batch with a hole in every image."""
        num_images, _, height, width = images.shape
        side = max(round(self.side * min(height, width)), 1)
        rows = torch.randint(height, (num_images, 1), generator=generator)
        columns = torch.randint(width, (num_images, 1), generator=generator)
        first_row, first_column = rows - side // 2, columns - side // 2
        down, across = torch.arange(height), torch.arange(width)
        in_rows = (down >= first_row) & (down < first_row + side)
        in_columns = (across >= first_column) & (across < first_column + side)
        hole = (in_rows.unsqueeze(2) & in_columns.unsqueeze(1)).unsqueeze(1).to(images.device)
        mean = to_bytes(images.float().mean(dim=(2, 3), keepdim=True))
        return torch.where(hole, mean, images)


def shifted(images: Images, padding: int, generator: torch.Generator, *, flip: bool) -> Images:
    """Shifted crops of the padded images, half of them mirrored if `flip`.

    Args:
        images: [B, C, H, W].
        padding: Pixels on every side.
        generator: On the CPU.
        flip: Whether to mirror half of them.
    """
    num_images, _, height, width = images.shape
    shifts = torch.randint(0, 2 * padding + 1, (2, num_images), generator=generator)
    columns = torch.arange(width).expand(num_images, width)
    if flip:
        flipped = torch.rand(num_images, generator=generator) < 0.5
        columns = torch.where(flipped.unsqueeze(1), width - 1 - columns, columns)
    rows = (torch.arange(height) + shifts[0].unsqueeze(1)).to(images.device)
    columns = (columns + shifts[1].unsqueeze(1)).to(images.device)
    padded = F.pad(images, (padding,) * 4)
    which = torch.arange(num_images, device=images.device).view(-1, 1, 1)
    # Indexing with a slice between index tensors puts the channels last; move them back.
    return padded[which, :, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)


def warped(images: Images, source: Float[Tensor, "B 2 3"], *, outside: Literal["zeros", "border"] = "zeros") -> Images:
    """Images whose pixel at (x, y) is that of the input at `source` @ (x, y, 1); coordinates are from -1 to 1.

    Args:
        images: [B, C, H, W].
        source: [B, 2, 3].
        outside: Values outside of the image: zeros, or those of the nearest border pixel.
    """
    grid = F.affine_grid(source.to(images.device), list(images.shape), align_corners=False)
    return to_bytes(F.grid_sample(images.float(), grid, mode="bilinear", padding_mode=outside, align_corners=False))


def grey_of(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 1 H W"]:
    """The luma of ITU-R 601-2: .299 red, .587 green, .114 blue; grey images are returned unchanged."""
    if images.shape[1] == 1:
        return images
    weight = images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (images * weight).sum(dim=1, keepdim=True)


def brightened(images: Float[Tensor, "B C H W"], factor: Float[Tensor, "B 1 1 1"]) -> Float[Tensor, "B C H W"]:
    """Every pixel times the factor."""
    return (images * factor).clamp(0, 255)


def contrasted(images: Float[Tensor, "B C H W"], factor: Float[Tensor, "B 1 1 1"]) -> Float[Tensor, "B C H W"]:
    """The distance to the image's mean grey times the factor."""
    mean = grey_of(images).mean(dim=(2, 3), keepdim=True)
    return (mean + factor * (images - mean)).clamp(0, 255)


def saturated(images: Float[Tensor, "B C H W"], factor: Float[Tensor, "B 1 1 1"]) -> Float[Tensor, "B C H W"]:
    """The distance to the pixel's grey times the factor."""
    grey = grey_of(images)
    return (grey + factor * (images - grey)).clamp(0, 255)


def to_bytes(images: Float[Tensor, "B C H W"]) -> Images:
    """Rounded to whole numbers from 0 to 255."""
    return images.clamp(0, 255).round().to(torch.uint8)


def _rotated(images: Float[Tensor, "B C H W"], share: Float[Tensor, "B 1 1 1"]) -> Float[Tensor, "B C H W"]:
    """Colours rotated about the grey axis of YIQ by a share of a full turn."""
    to_yiq = images.new_tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    angle = 2 * math.pi * share.view(-1)
    rotation = torch.zeros(len(images), 3, 3, device=images.device)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
    rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
    whole = torch.linalg.inv(to_yiq) @ rotation @ to_yiq
    return torch.einsum("bij,bjhw->bihw", whole, images).clamp(0, 255)


def _check(
    step: Crop | ResizedCrop | Colour | CutOut, option: str, value: int | float, low: int | float, high: int | float
) -> None:
    if not low <= value <= high:
        raise InputError(f"Option {option} of the augmentation {step.name!r} is {value!r}; {low} to {high} is allowed.")
