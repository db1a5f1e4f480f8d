"""The selector of DFND: the most confident predictions of the whole pool."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.functional.top_k import Hashed, NumericColumn, RowIndices, highest, numbers
from overproof.methods.selectors.selector import Array, LogConfidences, like, num_rows, same_length
from overproof.options import Budget
from overproof.papers import DFND_2021
from overproof.registry import register


def confident(score: Array, budget: int | float, ids: Any = None) -> Array:
    """The rows with the highest scores in the whole pool, exactly, regardless of class.

    Ties are broken by a hash of the id, so that the result does not depend on the order of the rows if ids are given.

    Args:
        score: [N], the teacher's confidence, higher is more confident: a probability, a margin, minus a noise value. An
            array, a memory map (read once, never copied) or a tensor.
        budget: How many rows to keep; below one, the share of them.
        ids: [N], content ids (`Examples.ids`), whole numbers or texts; by default the row numbers.

    Returns:
        The selected rows, ascending, in the same kind of array as `score`.

    Example:
        >>> confident(np.array([0.5, 0.9, 0.7, 0.8]), 2)
        array([1, 3])

    Raises:
        InputError: A budget larger than the pool or no whole number, or a score that is NaN.

    Source: Chen et al., Learning Student Networks in the Wild, CVPR 2021, section 3.1.
    """
    return like(_rows(numbers(score), num_rows(budget, len(score)), ids), score)


def _rows(score: NumericColumn, budget: int, ids: Any) -> RowIndices:
    if ids is not None:
        same_length(ids, score, "ids")
    return highest(score, np.array([budget]), Hashed(ids, len(score)))


@register("select", "confident", paper=DFND_2021)
@dataclass(frozen=True, kw_only=True, slots=True)
class Confident:
    """The pool rows with the smallest noise values -log max p, regardless of class.

    Args:
        budget: Number of rows to keep; below one, the share of the pool.

    Differs from the paper: equal noise values, which it does not specify, are ordered by a hash of the id.
    """

    budget: Budget = 0.5

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        return torch.from_numpy(_rows(LogConfidences(answers), num_rows(self.budget, len(answers)), answers.id_word))
