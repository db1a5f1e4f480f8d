"""Out-of-sample answers on one's own training data: every example is scored by a model that never saw it."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from overproof.errors import InputError

Rows = Int64[Tensor, "_"]
"""Row numbers."""


def folds(label: Int[Tensor, "N"], num_folds: int, seed: int) -> Int64[Tensor, "N"]:
    """The fold of every example, in 0..num_folds-1: within a class, and over all, fold sizes differ by one at most.

    Args:
        label: [N], classes to stratify by.
        num_folds: At least 2, at most N.
        seed: Seeds NumPy's PCG64; the same label and seed give the same folds.

    Example:
        >>> folds(torch.tensor([0, 0, 1, 1]), 2, seed=0).reshape(2, 2).sum(dim=1).tolist()
        [1, 1]

    Raises:
        InputError: Fewer than 2 folds, or fewer examples than folds.
    """
    if num_folds < 2:
        raise InputError(f"folds is {num_folds}; it must be at least 2.")
    if len(label) < num_folds:
        raise InputError(
            f"{len(label)} labelled examples are fewer than the {num_folds} folds; ask for fewer folds or label more."
        )
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(label))
    by_class = shuffled[np.argsort(label.numpy()[shuffled], kind="stable")]
    fold = np.empty(len(label), np.int64)
    # Dealt out class after class without a fresh start, so that the remainders of small classes spread as well.
    fold[by_class] = np.arange(len(label)) % num_folds
    return torch.from_numpy(fold)


def out_of_fold(fit: Callable[[Tensor], Callable[[Tensor], Tensor]], fold: Int[Tensor, "N"]) -> Float[Tensor, "N K"]:
    """Score every example by the model fitted without its fold.

    Args:
        fit: Takes the rows to train on (ascending row numbers) and returns a function from rows to their probabilities,
            [rows, K].
        fold: [N], the fold of every example (`folds`).

    Returns:
        [N, K], in the order of the examples.

    Example:
        Each example is "scored" by the mean of the rows its model saw.

        >>> fit = lambda rows: lambda held_out: rows.double().mean().expand(len(held_out), 1)
        >>> out_of_fold(fit, torch.tensor([0, 1, 0, 1])).squeeze(1).tolist()
        [2.0, 1.0, 2.0, 1.0]
    """
    parts, rows = [], []
    for index in fold.unique():
        held_out = (fold == index).nonzero().squeeze(1)
        predict = fit((fold != index).nonzero().squeeze(1))
        parts.append(predict(held_out))
        rows.append(held_out)
    return torch.cat(parts)[torch.cat(rows).argsort()]
