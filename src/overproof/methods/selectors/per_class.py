"""The selector that keeps the most confident predictions of each class, the same number of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.errors import InputError
from overproof.functional.top_k import Hashed, NumericColumn, RowIndices, highest, numbers
from overproof.methods.selectors.selector import Array, LogConfidences, check_budget, counted, like, same_length
from overproof.options import Budget
from overproof.papers import DFND_2021
from overproof.registry import register


class ShortClasses(InputError):
    """Some classes have fewer rows than their quota.

    Args:
        short: By class: the number of its rows, and the quota.
        names: Names of the classes; by default their numbers.
    """

    def __init__(self, short: Mapping[int, tuple[int, int]], names: Sequence[str] = ()) -> None:
        self.short = short
        shortages = [
            f"class {repr(names[index]) if names else index} has {found} of {wanted}"
            for index, (found, wanted) in list(short.items())[:5]
        ]
        more = f", and {len(short) - 5} more" if len(short) > 5 else ""
        super().__init__(
            f"The quota cannot be met, because there are too few candidates: {', '.join(shortages)}{more}."
        )

    def named(self, names: Sequence[str]) -> "ShortClasses":
        """The same, with the classes' names."""
        return ShortClasses(self.short, names)


def per_class(
    score: Array,
    pseudo_label: Any,
    quota: int | float | Sequence[int],
    ids: Any = None,
    *,
    num_classes: int | None = None,
) -> Array:
    """The rows of every class with the highest scores, exactly as many as its quota.

    Args:
        score: [N], the teacher's confidence, higher is more confident; as for `confident`.
        pseudo_label: [N], the teacher's class of every row, 0..K-1.
        quota: How many rows of each class to keep; below one, that share of each class's rows; or K numbers.
        ids: [N], as for `confident`: of equal scores those whose ids have the smallest hashes are kept.
        num_classes: K; by default as many as `quota` is long, or one more than the highest class there is.

    Returns:
        The selected rows, ascending, in the same kind of array as `score`.

    Example:
        >>> per_class(np.array([0.5, 0.9, 0.7, 0.8]), np.array([0, 1, 1, 0]), 1)
        array([1, 3])

    Raises:
        InputError: A class has fewer rows than its quota, a score is NaN, or a row is of none of the classes.
    """
    same_length(pseudo_label, score, "pseudo_label")
    if num_classes is None and np.ndim(quota) == 1:
        num_classes = np.size(quota)
    return like(_rows(numbers(score), numbers(pseudo_label), quota, ids, num_classes), score)


def _rows(score: NumericColumn, label: NumericColumn, quota: Any, ids: Any, num_classes: int | None) -> RowIndices:
    counts = counted(label, num_classes)
    quotas = quotas_of(quota, counts)
    short = {index: (int(counts[index]), int(quotas[index])) for index in np.flatnonzero(quotas > counts).tolist()}
    if short:
        raise ShortClasses(short)
    if ids is not None:
        same_length(ids, score, "ids")
    return highest(score, quotas, Hashed(ids, len(score)), label)


def quotas_of(quota: Any, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """[K], how many rows of each class are wanted.

    Args:
        quota: As in `per_class`.
        counts: [K], how many there are.

    Raises:
        InputError: It does not fit the classes.
    """
    if np.ndim(quota) == 1:
        quotas = np.asarray(quota, np.int64)
        if len(quotas) != len(counts):
            raise InputError(
                f"quota holds {len(quotas)} numbers for {len(counts)} classes; there must be one for each."
            )
        if (quotas < 0).any():
            index = int(np.argmax(quotas < 0))
            raise InputError(f"quota is {quotas[index]} for class {index}; it must not be negative.")
        return quotas
    check_budget(quota, "quota")
    if quota < 1:
        return np.array([round(quota * count) for count in counts.tolist()], np.int64)
    return np.full(len(counts), int(quota), np.int64)


@register("select", "per_class", paper=DFND_2021)
@dataclass(frozen=True, kw_only=True, slots=True)
class PerClass:
    """The rows with the smallest noise values of each class, the same number of each, so that classes are balanced.

    Args:
        quota: Number of rows of each class; below one, the share of each class's rows.

    Differs from the paper: there the N smallest are taken over all classes, which favours the most confident classes.
    """

    quota: Budget = 0.5

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        label = answers.class_indices[:, 0].numpy()
        return torch.from_numpy(_rows(LogConfidences(answers), label, self.quota, answers.id_word, answers.num_classes))
