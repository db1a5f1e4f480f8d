"""What a teacher's answers to the pool say: its accuracy there by margin or class, and whether the labels are alike."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from overproof.assessment.estimates import (
    PRIOR,
    accuracy_by_margin,
    accuracy_by_named_class,
    same_distribution,
    same_shares,
)
from overproof.functional import names_none
from overproof.functional.repeats import Repeats
from overproof.noise import class_accuracy, isotonic_accuracy, margin
from overproof.noise.class_accuracy import same_margins

SHOWN_MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Margins at which the reliability curve is evaluated."""
ACCURACY_STEPS = (0.5, 0.7, 0.8, 0.9, 0.95)
"""Edges of the bins in which pool examples are counted by expected accuracy."""


def on_pool(
    margins: Tensor,
    right: Tensor,
    labelled_probs: Tensor,
    pool_probs: Tensor,
    names: Sequence[str],
    seed: int,
    repeats: Repeats,
    copies: bool,
) -> dict[str, Any]:
    """The fields of `Assessment` that extend the accuracy on the labelled examples to the pool, by margin or class.

    Args:
        margins: [V], the teacher's on the labelled examples.
        right: [V], whether its likeliest class is the label.
        labelled_probs: [V, K], its answers to them, out of sample.
        pool_probs: [N, K], its answers to the pool.
        names: K names.
        seed: Seed of the resamples.
        repeats: Of the labelled examples.
        copies: Whether the pool was answered by the mean of several copies, each labelled example by one: then their
            answers are not compared.
    """
    pool_margins, hard = margin(pool_probs.double()), same_margins(margins)
    curve, pool_accuracy = accuracy_by_margin(
        margins, right, torch.tensor(SHOWN_MARGINS, dtype=torch.float64), pool_margins, seed, repeats
    )
    shares = _named_shares(pool_probs)
    # The test assumes independent examples: one of each group.
    once = Repeats.of(repeats.group).once
    if hard:
        named = labelled_probs.argmax(dim=1)
        by_class = class_accuracy(named, right, len(names), lower=0.0, prior=PRIOR)
        expected = by_class(pool_probs.argmax(dim=1))
        pool_accuracy = accuracy_by_named_class(named, right, shares, seed, repeats)
        answers = (named[once], pool_probs[~names_none(pool_probs)].argmax(dim=1))
        counts = [each.bincount(minlength=len(names)).numpy() for each in answers]
        drift = None if copies else same_shares(counts[0], counts[1], seed)
    else:
        expected = isotonic_accuracy(margins, right, prior=PRIOR)(pool_margins)
        drift = None if copies else same_distribution(margins[once].numpy(), pool_margins.numpy())
    edges = torch.tensor(ACCURACY_STEPS)
    return {
        "share_by_class": dict(zip(names, shares.tolist(), strict=True)),
        "reliability": {} if hard else dict(zip(SHOWN_MARGINS, curve, strict=True)),
        "pool_accuracy": pool_accuracy,
        "pool_by_accuracy": tuple(_shares(torch.bucketize(expected, edges, right=True), len(ACCURACY_STEPS) + 1)),
        "drift": drift,
    }


def _shares(index: Tensor, count: int) -> list[float]:
    shares: list[float] = (torch.bincount(index, minlength=count).double() / len(index)).tolist()
    return shares


def _named_shares(teacher_probs: Tensor) -> Tensor:
    """[K], the share of the answers that name each class; one that names none counts evenly."""
    even = names_none(teacher_probs)
    counts = teacher_probs[~even].argmax(dim=1).bincount(minlength=teacher_probs.shape[1]).double()
    return (counts + even.sum() / teacher_probs.shape[1]) / len(teacher_probs)


def said_of_pool(teacher_probs: Tensor, class_names: Sequence[str] | None) -> str:
    """What answers to the pool say by themselves: which classes they name, and how sure they are.

    Args:
        teacher_probs: [N, K].
        class_names: K names; numbers without.
    """
    if len(teacher_probs) == 0:
        return ""
    names = [str(name) for name in class_names or range(teacher_probs.shape[1])]
    shares = _named_shares(teacher_probs)
    order = shares.argsort(descending=True, stable=True)[:8].tolist()
    named = ", ".join(f"{names[index]} {100 * shares[index].item():.0f} %" for index in order)
    sure = margin(teacher_probs.double())
    doubt = "" if same_margins(sure) else f", half of them with a margin below {sure.median().item():.2f}"
    return (
        f" Without these nothing shows how often it is right. Of its {len(teacher_probs)} answers to the pool it names "
        f"{named}{' …' if len(names) > 8 else ''}{doubt}."
    )
