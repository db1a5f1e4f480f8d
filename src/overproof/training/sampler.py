"""The rows of each batch: a function of seed and step alone, so that a resumed run has the same batches."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from overproof.seeds import derived_seed


# Two streams, each between two cycles: a permutation of ten million rows takes 40 MB.
@lru_cache(maxsize=4)
def _permutation(num_rows: int, seed: int, cycle: int) -> Tensor:
    drawn = torch.randperm(num_rows, generator=torch.Generator().manual_seed(derived_seed(seed, cycle)))
    return drawn.int() if num_rows < 2**31 else drawn


@dataclass(frozen=True, slots=True)
class Shuffled:
    """An endless stream of shuffled rows: one permutation after the other, with random access.

    Args:
        num_rows: Rows to draw from; zero gives an empty stream.
        seed: Seeds every permutation.
    """

    num_rows: int
    seed: int

    def take(self, start: int, count: int) -> Int[Tensor, "count"]:
        """Rows `start` to `start + count` of the stream; every cycle of `num_rows` contains each row once."""
        if self.num_rows == 0 or count == 0:
            return torch.arange(0)
        pieces = []
        while count > 0:
            cycle, offset = divmod(start, self.num_rows)
            piece = _permutation(self.num_rows, self.seed, cycle)[offset : offset + count].long()
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
        return torch.cat(pieces) if len(pieces) != 1 else pieces[0]
