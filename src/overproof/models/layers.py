"""The networks of the built-in students: factories of (input shape, number of classes, keyword options)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from overproof.models.ngram_bag import NgramBag


class Normalise(nn.Module):
    """Standardises uint8 pixels per channel; mean and standard deviation are stored with the weights.

    Args:
        num_channels: C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, num_channels, 1, 1))
        self.register_buffer("std", torch.ones(1, num_channels, 1, 1))

    def forward(self, images: Shaped[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """(pixel - mean) / std, in float32."""
        return (images.float() - self.mean) / self.std


class UnitRange(nn.Module):
    """Scales uint8 pixels to [0, 1]."""

    def forward(self, images: Shaped[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """pixel / 255, in float32."""
        return images.float() / 255


class Residual(nn.Module):
    """Residual block: two 3x3 convolutions and a skip connection, with a 1x1 convolution where the shape changes.

    Args:
        num_inputs: Input channels.
        num_channels: Output channels.
        stride: Of the first convolution.
    """

    def __init__(self, num_inputs: int, num_channels: int, *, stride: int) -> None:
        super().__init__()
        self.changed = nn.Sequential(
            _convolution(num_inputs, num_channels, size=3, stride=stride),
            nn.ReLU(),
            _convolution(num_channels, num_channels, size=3),
        )
        self.carried: nn.Module = nn.Identity()
        if stride != 1 or num_inputs != num_channels:
            self.carried = _convolution(num_inputs, num_channels, size=1, stride=stride)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        """relu(changed(x) + carried(x))."""
        return torch.relu(self.changed(x) + self.carried(x))


class Mean(nn.Module):
    """Global average pooling."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C"]:
        """[B, C]."""
        return x.mean(dim=(2, 3))


def linear(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A linear map of the flattened input.

    Args:
        input_shape: Without the batch axis.
        num_classes: K.
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))


def mlp(
    input_shape: tuple[int, ...], num_classes: int, *, hidden: Sequence[int] = (256,), dropout: float = 0.0
) -> nn.Module:
    """Linear maps with ReLU between them, on the flattened input.

    Args:
        input_shape: Without the batch axis.
        num_classes: K.
        hidden: Units of each hidden layer; an empty list gives a linear map.
        dropout: Dropout rate of the hidden units, in [0, 1).
    """
    layers: list[nn.Module] = [nn.Flatten()]
    num_inputs = math.prod(input_shape)
    for units in hidden:
        layers += [nn.Linear(num_inputs, units), nn.ReLU(), nn.Dropout(dropout)]
        num_inputs = units
    return nn.Sequential(*layers, nn.Linear(num_inputs, num_classes))


def head(
    input_shape: tuple[int, ...], num_classes: int, *, hidden: Sequence[int] = (), dropout: float = 0.0
) -> nn.Module:
    """The head of a frozen encoder: `mlp`, by default without hidden layers.

    Args:
        input_shape: The dimension of the encoder.
        num_classes: K.
        hidden: Units of each hidden layer.
        dropout: Dropout rate of the hidden units, in [0, 1).
    """
    return mlp(input_shape, num_classes, hidden=hidden, dropout=dropout)


def cnn(input_shape: tuple[int, ...], num_classes: int, *, width: int = 32) -> nn.Module:
    """A small convolutional network with batch norm, for images of any size: 62 thousand weights for 28x28 and K = 10.

    Three 3x3 convolutions, with pooling after the first two, then a linear map of the averages over a coarse grid,
    which keeps the position of objects.

    Args:
        input_shape: Channels, height, width; images above 64 pixels are first halved until they are smaller.
        num_classes: K.
        width: Channels of the first convolution; the other two have twice as many.
    """
    stem, size = _stem(input_shape, width)
    height, wide = (_halved(_halved(side)) for side in size)
    # Fixed windows; adaptive ones that overlap cannot be exported.
    window = (max(height // 3, 1), max(wide // 3, 1))
    return nn.Sequential(
        *stem,
        nn.MaxPool2d(2, ceil_mode=True),
        _convolution(width, 2 * width, size=3),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        _convolution(2 * width, 2 * width, size=3),
        nn.ReLU(),
        nn.AvgPool2d(window),
        nn.Flatten(),
        nn.Linear(2 * width * (height // window[0]) * (wide // window[1]), num_classes),
    )


def resnet(input_shape: tuple[int, ...], num_classes: int, *, width: int = 64) -> nn.Module:
    """A residual network of eight layers with batch norm, for images of any size: 1.2 million weights at width 64.

    Args:
        input_shape: Channels, height, width; images above 64 pixels are first halved until they are smaller.
        num_classes: K.
        width: Channels of the first block; the next two have twice and four times as many.

    Source: He et al., "Deep residual learning for image recognition" (CVPR 2016), the basic block.
    """
    return nn.Sequential(
        *_stem(input_shape, width)[0],
        Residual(width, width, stride=1),
        Residual(width, 2 * width, stride=2),
        Residual(2 * width, 4 * width, stride=2),
        Mean(),
        nn.Linear(4 * width, num_classes),
    )


def resnet18(input_shape: tuple[int, ...], num_classes: int, *, width: int = 64) -> nn.Module:
    """ResNet-18 for small images: 11.2 million weights at width 64.

    Args:
        input_shape: Channels, height, width; images above 64 pixels are first halved until they are smaller.
        num_classes: K.
        width: Channels of the first stage; every further one has twice as many.

    Source: He et al. (2016), as `resnet`; with a 3x3 convolution as stem and no pooling after it, as is usual for 32x32
    images.
    """
    return _residual_stages(input_shape, num_classes, width, blocks=(2, 2, 2, 2))


def resnet34(input_shape: tuple[int, ...], num_classes: int, *, width: int = 64) -> nn.Module:
    """ResNet-34 for small images: 21.3 million weights at width 64.

    Args:
        input_shape: Channels, height, width; images above 64 pixels are first halved until they are smaller.
        num_classes: K.
        width: Channels of the first stage; every further one has twice as many.

    Source: as `resnet18`.
    """
    return _residual_stages(input_shape, num_classes, width, blocks=(3, 4, 6, 3))


def ngram(input_shape: tuple[int, ...], num_classes: int, *, dim: int | None = None, dropout: float = 0.0) -> nn.Module:
    """A bag of hashed n-grams.

    Args:
        input_shape: The number of buckets.
        num_classes: K.
        dim: Hidden units; None gives a linear model.
        dropout: Dropout rate of the hidden units, in [0, 1).
    """
    return NgramBag(input_shape[0], num_classes, dim=dim, dropout=dropout)


def _stem(input_shape: tuple[int, ...], width: int) -> tuple[list[nn.Module], list[int]]:
    """A convolution to `width` channels after as many of stride 2 as reduce an image to 64 pixels; the reduced size."""
    num_channels, *size = input_shape
    layers: list[nn.Module] = []
    while max(size) > 64:
        layers += [_convolution(num_channels, width // 2 or 1, size=3, stride=2), nn.ReLU()]
        num_channels, size = width // 2 or 1, [_halved(side) for side in size]
    return [*layers, _convolution(num_channels, width, size=3), nn.ReLU()], size


def _residual_stages(
    input_shape: tuple[int, ...], num_classes: int, width: int, *, blocks: tuple[int, ...]
) -> nn.Module:
    """Stages of residual blocks; each except the first halves the image and doubles the channels."""
    layers, num_channels = _stem(input_shape, width)[0], width
    for stage, num_blocks in enumerate(blocks):
        for block in range(num_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(Residual(num_channels, width * 2**stage, stride=stride))
            num_channels = width * 2**stage
    return nn.Sequential(*layers, Mean(), nn.Linear(num_channels, num_classes))


def _halved(side: int) -> int:
    return (side + 1) // 2


def _convolution(num_inputs: int, num_channels: int, *, size: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(num_inputs, num_channels, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(num_channels))
