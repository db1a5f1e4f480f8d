"""Estimates the teacher's accuracy by predicted class, for teachers whose margins are all equal."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Float64, Int
from torch import Tensor

from overproof.cross_fitting import folds, out_of_fold
from overproof.functional import SMALLEST_PROBABILITY
from overproof.noise.accuracy import LOWER_BOUNDS

SAME_MARGINS = (
    "All answers have the same margin (hard labels only), which does not show where the teacher errs: its expected "
    "accuracy on the pool follows from the predicted classes."
)
"""The finding for a teacher whose margins are all equal."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClassAccuracy:
    """P(the teacher is right | predicted class).

    Args:
        values: [K], in [lower, 1].
        lower: The bound at which they were clipped.
    """

    values: Float64[Tensor, "K"]
    lower: float

    def __call__(self, pseudo_label: Int[Tensor, "N"]) -> Float32[Tensor, "N"]:
        """The accuracy of every answer."""
        return self.values.to(pseudo_label.device)[pseudo_label.long()].float()


def same_margins(margin: Float[Tensor, "_"]) -> bool:
    """Whether margins cannot show where the teacher errs: two answers or more, all of the same margin.

    Example:
        >>> same_margins(torch.tensor([1.0, 1.0])), same_margins(torch.tensor([1.0, 0.5]))
        (True, False)
    """
    return len(margin) > 1 and bool((margin == margin[0]).all())


def class_accuracy(
    pseudo_label: Int[Tensor, "V"],
    correct: Bool[Tensor, "V"],
    num_classes: int,
    *,
    lower: float | None = None,
    prior: float = 0.0,
    group: Int[Tensor, "V"] | None = None,
) -> ClassAccuracy:
    """Share of right answers by predicted class.

    Args:
        pseudo_label: [V], the teacher's predicted classes, out of sample.
        correct: [V], whether it is the true class.
        num_classes: K.
        lower: Lower bound of the accuracies, in [0, 1]; None chooses the bound among `LOWER_BOUNDS` whose
            clipped accuracies best predict, out of fold, whether the teacher is right.
        prior: Number of imaginary examples of every class, as accurate as the teacher is overall (with one more of each
            kind, right and wrong); a class that is never predicted has that accuracy.
        group: [V], examples that are in one fold (`overproof.cross_fitting.folds`); None where all are independent.

    Example:
        Right in three of four where it names class 0, once where it names class 1.

        >>> named, right = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([True, True, True, False, True])
        >>> class_accuracy(named, right, 2, lower=0.0).values.tolist()
        [0.75, 1.0]
    """
    if lower is None:
        lower = _lower_bound(pseudo_label, correct, num_classes, prior, group)
    return ClassAccuracy(values=_shares(pseudo_label, correct, num_classes, prior).clamp(min=lower), lower=lower)


def _shares(pseudo_label: Tensor, correct: Tensor, num_classes: int, prior: float) -> Tensor:
    overall = (correct.sum().item() + 1) / (len(correct) + 2)
    named = torch.bincount(pseudo_label, minlength=num_classes).double()
    right = torch.bincount(pseudo_label[correct], minlength=num_classes).double()
    # Without a prior a class that is never named has nothing of its own.
    weight = torch.where(named + prior > 0, prior, 1.0)
    return (right + weight * overall) / (named + weight)


def _lower_bound(pseudo_label: Tensor, correct: Tensor, num_classes: int, prior: float, group: Tensor | None) -> float:
    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        shares = _shares(pseudo_label[rows], correct[rows], num_classes, prior)
        return lambda held_out: shares[pseudo_label[held_out]].unsqueeze(1)

    num = len(correct) if group is None else len(group.unique())
    fold = folds(correct.long(), min(10, num), 0, group)
    predicted = out_of_fold(fit, fold).squeeze(1)

    def loss(bound: float) -> float:
        accuracy = predicted.clamp(bound, 1.0)
        happened = torch.where(correct, accuracy, 1 - accuracy)
        return -happened.clamp(min=SMALLEST_PROBABILITY).log().mean().item()

    return min(LOWER_BOUNDS, key=loss)
