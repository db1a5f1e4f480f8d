"""The selector of KD3: a confidence threshold per class, lower for classes with few confident predictions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.errors import InputError
from overproof.functional.top_k import BLOCK_ROWS, NumericColumn, RowIndices, numbers, refuse_nan
from overproof.methods.selectors.selector import Array, LogConfidences, counted, like, same_length
from overproof.options import InnerShare
from overproof.papers import KD3_2023
from overproof.registry import register


def class_thresholds(counts: Int[NDArray[Any], "K"], confidence: float) -> Float[NDArray[Any], "K"]:
    """The threshold of every class: confidence times b / (2 - b), where b is its count over the largest count.

    Args:
        counts: [K], the number of rows of each class above `confidence`; at least one is positive.
        confidence: In (0, 1).

    Example:
        >>> class_thresholds(np.array([100, 50, 0]), 0.75)
        array([0.75, 0.25, 0.  ])
    """
    share = counts / counts.max()
    return np.asarray(confidence * share / (2 - share))


def adaptive(score: Array, pseudo_label: Any, confidence: float = 0.95, *, num_classes: int | None = None) -> Array:
    """The rows above the threshold of their class, which is lower for classes with few confident predictions.

    Args:
        score: [N], the teacher's probability of its class, in [0, 1].
        pseudo_label: [N], the teacher's class of every row, 0..K-1.
        confidence: The threshold of the class that most often passes it, in (0, 1).
        num_classes: K; by default one more than the highest class there is.

    Returns:
        The chosen rows, ascending, as the kind of array that `score` is.

    Example:
        Class 0 passes .9 twice and class 1 once, so the latter's threshold is .9 times .5 / 1.5 = .3.

        >>> adaptive(np.array([0.95, 0.95, 0.8, 0.95, 0.4]), np.array([0, 0, 0, 1, 1]), 0.9)
        array([0, 1, 3, 4])

    Raises:
        InputError: No row passes `confidence`, a score is NaN, or a row is of none of the classes.

    Source: KD3 (ICCV 2023), as given by FlexMatch's rule.
    """
    same_length(pseudo_label, score, "pseudo_label")
    return like(_rows(numbers(score), numbers(pseudo_label), confidence, num_classes), score)


def _rows(score: NumericColumn, label: NumericColumn, confidence: float, num_classes: int | None) -> RowIndices:
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; it must be between 0 and 1.")
    counts = np.zeros(len(counted(label, num_classes)), np.int64)
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(score), BLOCK_ROWS)]
    for block in blocks:
        values = score[block]
        refuse_nan(values, block.start, "score")
        counts += np.bincount(label[block][values > confidence], minlength=len(counts))
    if not counts.any():
        raise InputError(f"No row has a score above confidence {confidence}; give a lower one.")
    thresholds = class_thresholds(counts, confidence)
    return np.concatenate([np.flatnonzero(score[block] > thresholds[label[block]]) + block.start for block in blocks])


class _Confidences(LogConfidences):
    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        return np.exp(super().__getitem__(rows))


@register("select", "adaptive", paper=KD3_2023)
@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptive:
    """The rows above the threshold of their class: confidence times b / (2 - b), where b is the number of the class's
    confident rows divided by that of the class with most of them.

    Args:
        confidence: The threshold of the class with most confident rows, in (0, 1).

    Differs from the paper: there teacher and student select together, repeatedly during training; here the selection is
    made once, from the teacher's stored predictions.
    """

    confidence: InnerShare = 0.95

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        label = answers.class_indices[:, 0].numpy()
        return torch.from_numpy(_rows(_Confidences(answers), label, self.confidence, answers.num_classes))
