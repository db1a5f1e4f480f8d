"""Classes on whose answers the un-normalised mix of SLaM has (almost) no slope, because they are right too rarely."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.noise.accuracy import LOWER_BOUNDS

HARD_BOUND = 0.75
"""Least accuracy of a predicted class for the un-normalised mix on hard labels. The slope of a class with accuracy .7
is a seventieth of that of one with .99. Chosen on synthetic worlds (docs/log.md): from .55 to .72 the student
lost up to ten points to `hard`, from .8 on less than two."""

MARGIN_BOUND = 0.6
"""The same for the mean over the answers of a class where margins show which of them are doubtful: at .6 the slope is
half of that of plain distillation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoubtfulClasses:
    """Answers of classes below the bound.

    Args:
        num_rows: How many answers are of such classes.
        num_answers: Of how many.
        accuracy: By class, its mean estimated accuracy, the least first.
        bound: The bound.
    """

    num_rows: int
    num_answers: int
    accuracy: dict[int, float]
    bound: float


def accuracy_in_words(value: float, *, digits: int = 2) -> str:
    """An accuracy that a method uses; one at a lower bound that is chosen for it is not measured, but at most that.

    Args:
        value: The accuracy.
        digits: Of it.

    Example:
        >>> accuracy_in_words(0.55), accuracy_in_words(0.7312)
        ('at most 0.55', '0.73')
    """
    return f"{'at most ' if round(value, 4) in LOWER_BOUNDS else ''}{value:.{digits}f}"


def doubtful_classes(
    accuracy: Float[Tensor, "N"], pseudo_label: Int[Tensor, "N"], num_classes: int, *, hard: bool
) -> DoubtfulClasses:
    """The predicted classes whose estimated accuracy comes near one half, and how many answers are theirs.

    The un-normalised mix accuracy * f + (1 - accuracy) * (1 - f) has the slope 2 * accuracy - 1 in f: none at accuracy
    .5, reversed below. A class whose answers all have little of it is not learned from the pool, and vanishes beside
    those that have. The normalised mix has the slope accuracy - (1 - accuracy) / (K - 1).

    Args:
        accuracy: [N], estimated accuracy of every answer.
        pseudo_label: [N], the predicted classes.
        num_classes: K; with two classes both mixes are the same, and no class is doubtful.
        hard: Whether the teacher gives hard labels, so that all answers of a class have one accuracy.

    Example:
        >>> found = doubtful_classes(torch.tensor([0.9, 0.55, 0.55]), torch.tensor([0, 1, 1]), 3, hard=True)
        >>> found.num_rows, list(found.accuracy)
        (2, [1])
    """
    bound = HARD_BOUND if hard else MARGIN_BOUND
    count = torch.bincount(pseudo_label.long(), minlength=num_classes)
    mean = torch.bincount(pseudo_label.long(), weights=accuracy.double(), minlength=num_classes) / count.clamp(min=1)
    below = (count > 0) & (mean < bound) & (num_classes > 2)
    rows = below.nonzero()[:, 0]
    return DoubtfulClasses(
        num_rows=int(count[below].sum()),
        num_answers=len(pseudo_label),
        accuracy={int(each): round(float(mean[each]), 4) for each in rows[mean[rows].argsort()]},
        bound=bound,
    )
