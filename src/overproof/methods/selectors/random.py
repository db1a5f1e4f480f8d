"""The selector that keeps a random part of the pool: the baseline of the other selectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.functional.top_k import Hashed, lowest
from overproof.methods.selectors.selector import num_rows
from overproof.options import Budget, Seed
from overproof.registry import register


def random(num_examples: int, budget: int | float, ids: Any = None, *, seed: int = 0) -> NDArray[np.int64]:
    """Rows with the smallest hashes of seed and id: a random sample that no reordering of the rows can change.

    Args:
        num_examples: N.
        budget: How many rows to keep; below one, the share of them.
        ids: [N], content ids, whole numbers or texts, each once; by default the row numbers.
        seed: Another seed, another sample.

    Returns:
        The chosen rows, rising.

    Example:
        >>> len(random(100, 10)), len(random(100, 0.3))
        (10, 30)

    Raises:
        InputError: A budget larger than the pool, or no whole number.
    """
    return lowest(Hashed(ids, num_examples, seed), num_rows(budget, num_examples))


@register("select", "random", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class Random:
    """A random sample of the pool, independent of the teacher.

    Args:
        budget: Number of rows to keep; below one, the share of the pool.
        seed: Each seed gives another sample.
    """

    budget: Budget = 0.5
    seed: Seed = 0

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        return torch.from_numpy(random(len(answers), self.budget, answers.id_word, seed=self.seed))
