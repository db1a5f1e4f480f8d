"""Image augmentation on the device, a whole batch at a time."""

from typing import Literal

import torch
from torch import Tensor

Augmentation = Literal["none", "crop", "crop_flip"]


def augment(images: Tensor, kind: Augmentation, padding: int, generator: torch.Generator) -> Tensor:
    """Shifted crops of the padded image and mirror images, drawn from `generator` alone.

    Args:
        images: [B, C, H, W], any dtype.
        kind: `crop` shifts by up to `padding` pixels (zeros come in); `crop_flip` also mirrors half of them.
        padding: Pixels, 0 or more.
        generator: On the CPU; the same state gives the same batch.

    Returns:
        [B, C, H, W], the same dtype.
    """
    if kind == "none":
        return images
    num_images, _, height, width = images.shape
    shifts = torch.randint(0, 2 * padding + 1, (2, num_images), generator=generator)
    columns = torch.arange(width).expand(num_images, width)
    if kind == "crop_flip":
        flipped = torch.rand(num_images, generator=generator) < 0.5
        columns = torch.where(flipped.unsqueeze(1), width - 1 - columns, columns)
    rows = (torch.arange(height) + shifts[0].unsqueeze(1)).to(images.device)
    columns = (columns + shifts[1].unsqueeze(1)).to(images.device)
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    which = torch.arange(num_images, device=images.device).view(-1, 1, 1)
    # Indexing with a slice between index tensors puts the channels last; move them back.
    return padded[which, :, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
