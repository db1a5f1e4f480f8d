"""Turns the hard labels of a teacher into probabilities: P(true class | predicted class)."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from overproof.cross_fitting import answers_by_role, folds, out_of_fold
from overproof.functional import names_none
from overproof.functional.repeats import Repeats
from overproof.noise.transition import transition_matrix

NUM_FOLDS = 10
"""Folds of labelled examples for posteriors that must be out of sample."""

PRIOR = 4.0
"""Imaginary examples of every class, as in the noise model (`Isotonic.prior`)."""


def named_posterior(
    labels: Int[Tensor, "_"], teacher_probs: Float[Tensor, "_ _"], prior: float = PRIOR
) -> Float64[Tensor, "K K"]:
    """P(true class i | predicted class j), in row j: the transition matrix inverted by Bayes' rule.

    In proportion to P(j | i), with the prior of `transition_matrix`, times the frequency of class i with one more
    example of each class. So the probability of an answer follows from the class that it names, and of the rest
    the other classes are as likely as the teacher mistakes them for that one.

    Args:
        labels: [V], the true classes, in 0..K-1.
        teacher_probs: [V, K], out of sample; only the likeliest class counts.
        prior: Imaginary examples of every class, above 0.

    Returns:
        [K, K]; rows sum to one.

    Example:
        The teacher names class 1 every time it is true, and every other time that class 0 is.

        >>> answers = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
        >>> named_posterior(torch.tensor([0, 0, 1, 1]), answers, prior=1e-9).round(decimals=4)
        tensor([[1.0000, 0.0000],
                [0.3333, 0.6667]], dtype=torch.float64)

    Raises:
        InputError: As in `transition_matrix`.

    Source: Dawid and Skene (1979), Applied Statistics 28, equation 2.5, for one annotator whose error rates are known.
    """
    frequency = torch.bincount(labels.long().cpu(), minlength=teacher_probs.shape[1]).double() + 1
    joint = transition_matrix(labels, teacher_probs, prior).double().cpu() * frequency.unsqueeze(1)
    # A teacher that is always wrong never predicts some classes: for those only the frequencies are left.
    joint = joint.where((joint > 0).any(dim=0), frequency.unsqueeze(1))
    return (joint / joint.sum(dim=0)).T


def posterior_of(table: Float64[Tensor, "K K"], teacher_probs: Float[Tensor, "N K"]) -> Float64[Tensor, "N K"]:
    """The posterior of every answer: the row of the class that it names, or all alike where it names none.

    Args:
        table: Of `named_posterior`.
        teacher_probs: [N, K]; only the likeliest class counts.

    Example:
        >>> table = torch.tensor([[0.75, 0.25], [0.0, 1.0]]).double()
        >>> posterior_of(table, torch.tensor([[1.0, 0.0], [0.5, 0.5]])).tolist()
        [[0.75, 0.25], [0.5, 0.5]]
    """
    even = names_none(teacher_probs).cpu().unsqueeze(1)
    return table[teacher_probs.argmax(dim=1).cpu()].masked_fill(even, 1 / len(table))


def named_posterior_by_role(
    teacher_probs: Mapping[str, Float[Tensor, "_ _"]],
    label: Mapping[str, Int[Tensor, "_"]],
    *,
    seed: int,
    prior: float = PRIOR,
    repeats: Repeats | None = None,
) -> dict[str, Float64[Tensor, "_ _"]]:
    """The posterior of every answer, by set; on the sets with labels by labels of other folds.

    Args:
        teacher_probs: By set [N, K], out of sample; only the likeliest class counts.
        label: The labels of some sets, two or more in all.
        seed: Draws the ten folds (as many as there are examples where those are fewer).
        prior: As in `named_posterior`.
        repeats: Of the examples with labels, set after set: each content counts once, and groups are in one fold.

    Example:
        >>> answers = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(20, 1)
        >>> truth = {"labelled": torch.tensor([0, 1]).repeat(20)}
        >>> found = named_posterior_by_role({"labelled": answers, "pool": answers[:2]}, truth, seed=0)
        >>> (found["pool"].diagonal() > 0.9).all().item(), found["labelled"].shape
        (True, torch.Size([40, 2]))

    Raises:
        InputError: As in `named_posterior`, or fewer than two labels.
    """
    joined, truth = torch.cat([teacher_probs[role] for role in label]), torch.cat(list(label.values()))

    repeats = Repeats.none(len(truth)) if repeats is None else repeats

    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        once = repeats.counted(rows)
        table = named_posterior(truth[once], joined[once], prior)
        return lambda held_out: posterior_of(table, joined[held_out])

    held_out = out_of_fold(fit, folds(truth, max(2, min(NUM_FOLDS, repeats.num_groups)), seed, repeats.group))
    table = named_posterior(truth[repeats.once], joined[repeats.once], prior)
    return answers_by_role(held_out, label, teacher_probs, lambda role: posterior_of(table, teacher_probs[role]))
