"""Estimates how many of the teacher's most likely classes contain the true one."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor

from overproof.errors import InputError
from overproof.noise.accuracy import IsotonicAccuracy, isotonic_accuracy
from overproof.noise.margins import margin as margin_of
from overproof.noise.transition import check_labelled

FEWEST = 2
"""With one candidate no other class could be the true one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CandidateRule:
    """Number of candidates by margin: 2, and one more for every threshold above the margin; non-increasing.

    Args:
        thresholds: [K - 2], ascending; infinity if no margin is enough.
    """

    thresholds: Float64[Tensor, "_"]

    def __call__(self, margin: Float[Tensor, "N"]) -> Int64[Tensor, "N"]:
        """The number of candidates at every margin, in 2..K."""
        thresholds = self.thresholds.to(margin.device)
        return FEWEST + len(thresholds) - torch.searchsorted(thresholds, margin.double(), right=True)


def num_candidates(
    teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], coverage: float = 0.9, prior: float = 0.0
) -> CandidateRule:
    """Fit the smallest number of candidates, at least 2, that contain the true class often enough at a margin.

    For every k the share of examples whose true class is among the teacher's k likeliest is fitted by isotonic
    regression on the margin; the answer is the smallest k that reaches `coverage` there, and K if none does. More
    candidates never cover less, and a larger margin never needs more of them.

    Args:
        teacher_probs: [V, K], out of sample. A class tied with the last candidate is a candidate too.
        label: [V], the true classes.
        coverage: In (0, 1].
        prior: As in `isotonic_accuracy`.

    Returns:
        A callable on margins.

    Example:
        The truth is once the first, once the second and once the third of three, at falling margins.

        >>> answers = torch.tensor([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.4, 0.35, 0.25]])
        >>> rule = num_candidates(answers, torch.tensor([0, 1, 2]))
        >>> rule(torch.tensor([0.8, 0.3, 0.05])).tolist()
        [2, 2, 3]

    Raises:
        InputError: No examples, sizes that differ, a label that is not a class, or a `coverage` outside (0, 1].

    Source: Kontonis et al. (2023), arXiv 2302.03806 (top-k accuracy by isotonic regression, against a threshold).
    """
    check_labelled(label, teacher_probs)
    if not 0 < coverage <= 1:
        raise InputError(f"coverage is {coverage}; it must be above 0 and at most 1.")
    margins, num_classes = margin_of(teacher_probs), teacher_probs.shape[1]
    rank = 1 + (teacher_probs > teacher_probs.gather(1, label.long().unsqueeze(1))).sum(dim=1)
    thresholds = [
        _first_margin(isotonic_accuracy(margins, rank <= k, prior=prior), coverage) for k in range(FEWEST, num_classes)
    ]
    # Decreasing in k already, except for rounding.
    falling = np.minimum.accumulate(np.array(thresholds, np.float64))
    return CandidateRule(thresholds=torch.from_numpy(falling[::-1].copy()))


def fixed_candidates(count: int, num_classes: int) -> CandidateRule:
    """A rule with the same number of candidates at every margin.

    Example:
        >>> fixed_candidates(3, 5)(torch.tensor([0.0, 1.0])).tolist()
        [3, 3]

    Raises:
        InputError: Fewer than 2 or more than there are classes.
    """
    if not FEWEST <= count <= num_classes:
        raise InputError(f"candidates is {count}; with {num_classes} classes it must be {FEWEST} to {num_classes}.")
    more = count - FEWEST
    thresholds = [float("-inf")] * (num_classes - FEWEST - more) + [float("inf")] * more
    return CandidateRule(thresholds=torch.tensor(thresholds, dtype=torch.float64))


def _first_margin(curve: IsotonicAccuracy, coverage: float) -> float:
    """The smallest margin at which the curve reaches `coverage`."""
    knots, values = curve.knots.numpy(), curve.values.numpy()
    after = int(np.searchsorted(values, coverage))
    if after == 0:
        return float("-inf")
    if after == len(values):
        return float("inf")
    before = after - 1
    share = (coverage - values[before]) / (values[after] - values[before])
    return float(knots[before] + share * (knots[after] - knots[before]))
