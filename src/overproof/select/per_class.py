"""Keep what the teacher is surest of in every class, as many of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.errors import InputError
from overproof.labels import Answers
from overproof.papers import DFND_2021
from overproof.ranking import Column, Hashed, Rows, highest, numbers
from overproof.registry import register
from overproof.select.selector import Array, LogConfidences, check_budget, counted, like, same_length


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
        The chosen rows, rising, as the kind of array that `score` is.

    Example:
        >>> per_class(np.array([0.5, 0.9, 0.7, 0.8]), np.array([0, 1, 1, 0]), 1)
        array([1, 3])

    Raises:
        InputError: A class has fewer rows than its quota, a score is NaN, or a row is of none of the classes.
    """
    same_length(pseudo_label, score, "pseudo_label")
    if num_classes is None and not isinstance(quota, int | float):
        num_classes = len(quota)
    label = numbers(pseudo_label)
    names = None if num_classes is None else tuple(str(index) for index in range(num_classes))
    return like(_rows(numbers(score), label, quota, ids, names), score)


def _rows(score: Column, label: Column, quota: Any, ids: Any, names: tuple[str, ...] | None) -> Rows:
    counts = counted(label, None if names is None else len(names))
    quotas = _quotas(quota, counts)
    short = np.flatnonzero(quotas > counts)
    if len(short):
        said = ", ".join(f"class {index} has {counts[index]} of {quotas[index]}" for index in short[:5].tolist())
        raise InputError(
            f"quota is {quota}, but {len(short)} of {len(counts)} classes have fewer candidates: {said}"
            f"{' …' if len(short) > 5 else ''}."
        )
    if ids is not None:
        same_length(ids, score, "ids")
    return highest(score, quotas, Hashed(ids, len(score)), label)


def _quotas(quota: Any, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    if not isinstance(quota, int | float):
        return np.asarray(quota, np.int64)
    check_budget(quota, "quota")
    if quota < 1:
        return np.array([round(quota * count) for count in counts.tolist()], np.int64)
    return np.full(len(counts), int(quota), np.int64)


@register("select", paper=DFND_2021)
@dataclass(frozen=True, kw_only=True, slots=True)
class PerClass:
    """The rows of every class with the smallest noise values, as many of each: the classes stay balanced.

    Args:
        quota: How many rows of each class to keep; below one, that share of each class's rows.

    Differs from the paper: there the N smallest are taken over all classes, and the few surest classes prevail.
    """

    quota: int | float = 0.5

    def __post_init__(self) -> None:
        check_budget(self.quota, "quota")

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        names = tuple(str(index) for index in range(answers.num_classes))
        label = answers.class_indices[:, 0].numpy()
        return torch.from_numpy(_rows(LogConfidences(answers), label, self.quota, answers.id_word, names))
