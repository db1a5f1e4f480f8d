"""P(the teacher's set of classes | true class), for a teacher that names every class that may hold."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.noise.transition import check_labelled

PRIOR = 5.0
"""Imaginary examples of every class."""

SAME = 1 / 1024
"""Relative difference up to which two probabilities in half precision are the same."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SetLikelihood:
    """By how often each class is in the sets of examples of each class, independently of the others.

    Args:
        rate: [K, K], P(class j is in the set | true class i), all in (0, 1).
    """

    rate: Float64[Tensor, "K K"]

    def __call__(self, teacher_probs: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """In proportion to P(the set | class), the largest of a row being 1: a common factor changes no gradient."""
        named = members(teacher_probs).to(self.rate)
        log_likelihood = named @ self.rate.log().T + (1 - named) @ torch.log1p(-self.rate).T
        return (log_likelihood - log_likelihood.amax(dim=1, keepdim=True)).exp().to(teacher_probs.dtype)

    def to(self, device: torch.device) -> "SetLikelihood":
        """The same on another device."""
        return SetLikelihood(rate=self.rate.to(device))


def members(teacher_probs: Float[Tensor, "B K"]) -> Bool[Tensor, "B K"]:
    """The set of every answer: the classes that share its highest probability.

    Example:
        >>> members(torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])).tolist()
        [[True, True, False], [False, True, False]]
    """
    return teacher_probs >= teacher_probs.amax(dim=1, keepdim=True) * (1 - SAME)


def set_likelihood(
    teacher_probs: Float[Tensor, "_ _"],
    label: Int[Tensor, "_"],
    *,
    prior: float = PRIOR,
    repeats: Repeats | None = None,
) -> SetLikelihood:
    """Estimate on labelled examples how often each class is in the sets of each true class.

    rate_ij = (n_ij + prior · b_ij) / (n_i + prior), where n_ij counts the sets of class i that hold class j. b_ij is
    the share of all sets that hold the true class for j = i, and that of the wrong classes that are in a set
    otherwise, both with one more case of either kind.

    Args:
        teacher_probs: [V, K], **out of sample**; the classes with the highest probability are the set.
        label: [V], true classes.
        prior: Imaginary examples of every class, above 0.
        repeats: Of the examples: each content counts once.

    Example:
        A teacher that always names the true class, and class 0 beside every other one: a set of both says class 1.

        >>> sets = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).repeat(50, 1)
        >>> rule = set_likelihood(sets, torch.tensor([0, 1]).repeat(50))
        >>> rule(torch.tensor([[1.0, 0.0], [0.5, 0.5]])).argmax(dim=1).tolist()
        [0, 1]

    Raises:
        InputError: A label that is not a class, or sizes that differ.

    Source: CanDist (2025), arXiv 2506.03857, for sets as answers; the likelihood is derived.
    """
    check_labelled(label, teacher_probs)
    if repeats is not None and repeats.any:
        teacher_probs, label = teacher_probs[repeats.once], label[repeats.once]
    named, num_classes = members(teacher_probs).double().cpu(), teacher_probs.shape[1]
    true = torch.nn.functional.one_hot(label.long().cpu(), num_classes).double()
    counts, num = true.T @ named, true.sum(dim=0)
    hits = counts.diagonal().sum()
    others = counts.sum() - hits
    own, other = (hits + 1) / (num.sum() + 2), (others + 1) / (num.sum() * (num_classes - 1) + 2)
    base = torch.full_like(counts, other.item()).fill_diagonal_(own.item())
    return SetLikelihood(rate=(counts + prior * base) / (num + prior).unsqueeze(1))
