"""Counts during training: how often the student agrees with label and teacher, and the weights of examples.

They use the results of the forward pass and do not change the training.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor

from overproof.contract import Batch, PerExample
from overproof.functional import likeliest

NUM_BINS = 21
"""Bins of the weights: below .05, .05 to .1, ..., .95 to 1, and 1 or more."""

MAX_WAITING = 2**19
"""Number of logits after which waiting passes are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochCounts:
    """The counts of one epoch.

    Args:
        labelled_right: Share of labelled examples on which the student's top class, during training, was the label;
            None without any.
        pool_agreement: Share of pool examples on which its top class was the teacher's, of those where the teacher has
            one; None without any.
        weight_counts: Number of examples with a weight below .05, of .05 to .1, ..., and of one or more.
    """

    labelled_right: float | None
    pool_agreement: float | None
    weight_counts: tuple[int, ...]


@dataclass(kw_only=True, slots=True, eq=False)
class PassCounts:
    """The counts of the epoch under way: integers, so that they do not depend on how the passes are grouped.

    Args:
        total: [4 + 21]: labelled examples, pool examples, labelled ones predicted right, pool ones in agreement; then
            weights by size.
        waiting: Passes not counted yet; counting many at once costs a twentieth of counting each.
    """

    total: Int64[Tensor, "C"]
    waiting: list[tuple[Tensor, Tensor, PerExample, int]] = field(default_factory=list)

    def add(
        self, batch: Batch, weight: PerExample, num_labelled: int, expected: Int[Tensor, "B"] | None = None
    ) -> None:
        """Add one pass.

        Args:
            batch: Labelled examples first.
            weight: [B], the weight of each example; those of the pool are counted, or all of them without a pool.
            num_labelled: Number of labelled examples in the batch.
            expected: [B], the label of labelled examples and the teacher's top class of the others, -1 where it has
                none; None where these are not known.
        """
        if expected is None:
            expected = torch.cat([batch.label[:num_labelled], likeliest(batch.teacher_probs[num_labelled:])])
        self.waiting.append((batch.student_logits.detach(), expected, weight, num_labelled))
        if len(self.waiting) * batch.student_logits.numel() >= MAX_WAITING:
            self.flush()

    def flush(self) -> Int64[Tensor, "C"]:
        """Count the waiting passes and return the counts so far."""
        if not self.waiting:
            return self.total
        logits, answers, weights, nums = zip(*self.waiting, strict=True)
        weight, device = torch.cat(weights), self.total.device
        sizes = [size for answer, num in zip(answers, nums, strict=True) for size in (num, len(answer) - num)]
        pooled = torch.from_numpy(np.repeat(np.tile([False, True], len(nums)), sizes)).to(device)
        predicted, expected = torch.cat(logits).argmax(dim=1), torch.cat(answers)
        same, named = predicted == expected, pooled & (expected >= 0)
        whole = [(~pooled).sum(), named.sum(), (same & ~pooled).sum(), (same & named).sum()]
        counted = weight[pooled] if sum(sizes[1::2]) else weight
        bins = (counted * (NUM_BINS - 1)).clamp(max=NUM_BINS - 1).long()
        self.total = self.total + torch.cat([torch.stack(whole), torch.bincount(bins, minlength=NUM_BINS)])
        self.waiting.clear()
        return self.total


def no_counts(device: torch.device) -> PassCounts:
    """The counts before the first pass of an epoch."""
    return PassCounts(total=torch.zeros(4 + NUM_BINS, dtype=torch.int64, device=device))


def summed(counts: Int64[Tensor, "C"]) -> EpochCounts:
    """The counts of an epoch as shares.

    Example:
        Two labelled examples, one predicted right; four pool examples, all in agreement, one of weight .5, three of 1.

        >>> counts = summed(torch.tensor([2, 4, 1, 4] + [0] * 10 + [1] + [0] * 9 + [3]))
        >>> counts.labelled_right, counts.pool_agreement, counts.weight_counts[10], counts.weight_counts[-1]
        (0.5, 1.0, 1, 3)
    """
    num_labelled, num_pool, right, agree, *by_size = counts.tolist()
    return EpochCounts(
        labelled_right=right / num_labelled if num_labelled else None,
        pool_agreement=agree / num_pool if num_pool else None,
        weight_counts=tuple(by_size),
    )
