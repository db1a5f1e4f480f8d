"""Basic functions of probability vectors that the losses, targets and weights use: one-hot, margin, precision."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from overproof.contract import PerExample

SMALLEST_PROBABILITY = 1e-7
"""Mixed probabilities are clamped to this minimum before the logarithm, so that a loss is at most 16.1 nats."""


def one_hot(probs: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """The most likely class of every row as a distribution, [B, K]; the first one among ties.

    Example:
        >>> one_hot(torch.tensor([[0.2, 0.8]])).tolist()
        [[0.0, 1.0]]
    """
    return torch.zeros_like(probs).scatter_(1, probs.argmax(dim=1, keepdim=True), 1.0)


def names_none(probs: Float[Tensor, "B K"]) -> Bool[Tensor, "B"]:
    """True where all classes are equally likely, [B]: such a row names no class, and its first one by accident only.

    Example:
        >>> names_none(torch.tensor([[0.5, 0.5], [0.2, 0.8]])).tolist()
        [True, False]
    """
    return probs.amax(dim=1) == probs.amin(dim=1)


def likeliest(probs: Float[Tensor, "B K"]) -> Int[Tensor, "B"]:
    """The likeliest class of every row, [B], of equal ones the first; -1 where all are equally likely.

    Example:
        >>> likeliest(torch.tensor([[0.5, 0.5], [0.2, 0.8]])).tolist()
        [-1, 1]
    """
    return probs.argmax(dim=1).masked_fill(names_none(probs), -1)


def label_distribution(label: Int[Tensor, "B"], like: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """Given labels as distributions, [B, K], of the width, type and device of `like`; every label must be known.

    Example:
        >>> label_distribution(torch.tensor([1]), torch.tensor([[0.6, 0.4]])).tolist()
        [[0.0, 1.0]]
    """
    return torch.zeros_like(like).scatter_(1, label.unsqueeze(1), 1.0)


def margin(probs: Float[Tensor, "B K"]) -> PerExample:
    """Largest minus second largest probability, in [0, 1].

    Example:
        >>> margin(torch.tensor([[0.5, 0.25, 0.25]])).item()
        0.25
    """
    top = probs.topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def at_least_float32(values: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return values if values.dtype == torch.float64 else values.float()
