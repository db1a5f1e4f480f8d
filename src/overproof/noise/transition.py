"""Estimates the transition matrix: P(pseudo-label | true class)."""

from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import names_none
from overproof.functional.intervals import binomial_bounds
from overproof.functional.repeats import Repeats

LEVEL = 0.95
"""Coverage of the intervals."""


@overload
def transition_matrix(labels: Tensor, teacher_probs: Tensor, prior: float = 0.0) -> Tensor: ...
@overload
def transition_matrix(labels: NDArray[Any], teacher_probs: NDArray[Any], prior: float = 0.0) -> NDArray[np.float32]: ...
def transition_matrix(
    labels: Tensor | NDArray[Any], teacher_probs: Tensor | NDArray[Any], prior: float = 0.0
) -> Tensor | NDArray[np.float32]:
    """P(pseudo-label j | true class i): of the examples of class i, the share whose likeliest class is j.

    A class without examples is assumed to be as accurate as the teacher is overall, and mistaken for the others as
    often as those are predicted (evenly if none of them is ever predicted). cleanlab's `noise_matrix` is the transpose.

    Args:
        labels: [V], the true classes, in 0..K-1.
        teacher_probs: [V, K], out of sample; rows sum to one. Of equal classes the first is the pseudo-label, and where
            all are equal each counts 1/K.
        prior: Number of imaginary examples of every class, distributed as for a class without examples; 0 counts only.

    Returns:
        [K, K] float32, rows sum to one; a tensor for tensors, a NumPy array for arrays.

    Example:
        >>> answers = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> transition_matrix(torch.tensor([0, 0, 1]), answers).tolist()
        [[0.5, 0.5], [0.0, 1.0]]

    Raises:
        InputError: No examples, sizes that differ, a label that is not a class, or a negative `prior`.

    Source: Patrini et al. (2017), arXiv 1609.03683, section 2 (the convention).
    """
    if isinstance(labels, np.ndarray) or isinstance(teacher_probs, np.ndarray):
        matrix = transition_matrix(torch.as_tensor(labels), torch.as_tensor(teacher_probs), prior)
        return np.asarray(matrix)
    if not 0 <= prior < float("inf"):
        raise InputError(f"prior is {prior}; it must be a number of examples, 0 or more.")
    counts = _counts(labels, teacher_probs)
    num_examples = counts.sum(dim=1, keepdim=True)
    unseen = _row_of_an_unseen_class(counts)
    rows = (counts + prior * unseen) / (num_examples + prior).clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(num_examples + prior > 0, rows, unseen).float()


def transition_interval(
    labels: Int[Tensor, "_"],
    teacher_probs: Float[Tensor, "_ _"],
    level: float = LEVEL,
    repeats: Repeats | None = None,
) -> tuple[Float[Tensor, "K K"], Float[Tensor, "K K"]]:
    """Clopper and Pearson's interval for every entry of the transition matrix, each entry by itself.

    Args:
        labels: [V], the true classes, in 0..K-1.
        teacher_probs: [V, K], out of sample.
        level: In (0, 1); each interval holds the truth at least that often.
        repeats: Which examples count once; None for all.

    Returns:
        low and high, both [K, K] float32; 0 and 1 for a class without examples.

    Example:
        >>> low, high = transition_interval(torch.tensor([0]), torch.tensor([[0.9, 0.1]]))
        >>> round(low[0, 0].item(), 3), high[0, 0].item(), low[1, 1].item(), high[1, 1].item()
        (0.025, 1.0, 0.0, 1.0)

    Raises:
        InputError: As in `transition_matrix`.

    Source: Clopper and Pearson (1934), Biometrika 26.
    """
    check_labelled(labels, teacher_probs)
    if repeats is not None and repeats.any:
        once = repeats.once
        labels, teacher_probs, repeats = labels[once], teacher_probs[once], repeats.take(once)
    counts = _counts(labels, teacher_probs)
    num_examples = counts.sum(dim=1, keepdim=True)
    if repeats is not None and repeats.any:
        independent = [repeats.take((labels == i).nonzero()[:, 0]).num_independent for i in range(len(counts))]
        scale = torch.tensor(independent, dtype=torch.float64).unsqueeze(1) / num_examples.clamp(min=1)
        counts, num_examples = counts * scale, num_examples * scale
        # Rounding must not make all of a row less than all of it.
        counts = counts.where(counts < num_examples * (1 - 1e-12), num_examples)
    low, high = binomial_bounds(counts.numpy(), num_examples.numpy(), tail=(1 - level) / 2)
    return torch.from_numpy(low).float(), torch.from_numpy(high).float()


def global_accuracy(
    labels: Int[Tensor, "_"],
    teacher_probs: Float[Tensor, "_ _"],
    level: float = LEVEL,
    repeats: Repeats | None = None,
) -> tuple[float, float, float]:
    """The teacher's accuracy, with Clopper and Pearson's interval: (mean, low, high).

    Of examples with one content the first counts; the interval is that of as many examples as are independent
    (`overproof.functional.repeats`).

    Example:
        >>> mean, low, high = global_accuracy(torch.tensor([0, 0]), torch.tensor([[0.9, 0.1], [0.4, 0.6]]))
        >>> mean, round(low, 3), round(high, 3)
        (0.5, 0.013, 0.987)

    Raises:
        InputError: As in `transition_matrix`.
    """
    check_labelled(labels, teacher_probs)
    once = slice(None) if repeats is None else repeats.once
    counts = _counts(labels[once], teacher_probs[once])
    right, num_examples = counts.trace().numpy(), counts.sum().numpy()
    share = 1.0 if repeats is None else repeats.num_independent / float(num_examples)
    low, high = binomial_bounds(right * share, num_examples * share, tail=(1 - level) / 2)
    return float(right / num_examples), float(low), float(high)


def check_labelled(labels: Tensor, teacher_probs: Tensor) -> None:
    """Check that labelled examples exist, are aligned and have labels of known classes.

    Raises:
        InputError: What was found and what is allowed.
    """
    if len(labels) != len(teacher_probs):
        raise InputError(
            f"There are {len(labels)} labels and {len(teacher_probs)} teacher answers; they must be the same."
        )
    if len(labels) == 0:
        raise InputError("There are no labelled examples; the teacher's errors are estimated on at least one.")
    num_classes = teacher_probs.shape[1]
    odd = (labels < 0) | (labels >= num_classes)
    if odd.any():
        row = int(odd.nonzero()[0, 0])
        raise InputError(f"The label of row {row} is {int(labels[row])}; it must be a class, 0 to {num_classes - 1}.")


def _counts(labels: Tensor, teacher_probs: Tensor) -> Tensor:
    """[K, K] float64 on the CPU: examples of true class i and pseudo-label j; a row that names none counts evenly."""
    check_labelled(labels, teacher_probs)
    num_classes = teacher_probs.shape[1]
    even, label = names_none(teacher_probs), labels.long()
    pairs = (label * num_classes + teacher_probs.argmax(dim=1))[~even]
    counts = pairs.cpu().bincount(minlength=num_classes**2).double().reshape(num_classes, num_classes)
    return counts + label[even].cpu().bincount(minlength=num_classes).double().unsqueeze(1) / num_classes


def _row_of_an_unseen_class(counts: Tensor) -> Tensor:
    """[K, K], row i: the overall accuracy on i, the rest in proportion to the predicted classes."""
    accuracy = counts.trace() / counts.sum()
    named = counts.sum(dim=0).expand_as(counts).clone().fill_diagonal_(0)
    total = named.sum(dim=1, keepdim=True)
    evenly = torch.ones_like(counts).fill_diagonal_(0) / max(len(counts) - 1, 1)
    others = torch.where(total > 0, named / total.clamp(min=1), evenly)
    return (1 - accuracy) * others + accuracy * torch.eye(len(counts), dtype=counts.dtype)
