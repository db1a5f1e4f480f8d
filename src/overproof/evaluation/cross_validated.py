"""The performance of one student by cross-validation, for data given in Python; a run has its own (`runs/part.py`)."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from overproof.cross_fitting import folds, rows_within, rows_without
from overproof.data import Examples, repeats_in
from overproof.errors import InputError
from overproof.evaluation.metrics import correct, metrics
from overproof.evaluation.verdict import Row, summarise
from overproof.seeds import derived_seed
from overproof.training.estimated import Performance

AnswerFold = Callable[[int, Int[Tensor, "_"], Int[Tensor, "_"]], Float[Tensor, "_ K"]]
"""The answers [held, K] to the rows of a fold, by its number, of a student trained on the other rows."""


def cross_validated(
    labelled: Examples,
    num_folds: int,
    seed: int,
    answer_fold: AnswerFold,
    *,
    teacher_probs: Float[Tensor, "n K"],
    silent: Bool[Tensor, "n"],
) -> Performance:
    """Judge a student on the labelled examples, each answered by a student that was trained without its fold.

    Folds are by content and group, and intervals are those of a run without a test: each content counts once, and the
    part of the examples counts `overproof.evaluation.paired.CROSS_VALIDATED` times.

    Args:
        labelled: n examples with known labels.
        num_folds: 2 or more.
        seed: Draws the folds.
        answer_fold: Trains a student on the rows of its second argument, and answers those of its third.
        teacher_probs: [n, K], the teacher's answers to them.
        silent: [n], where it has none.

    Raises:
        InputError: There are fewer contents or groups than folds.
    """
    repeats = repeats_in(labelled)
    try:
        fold = folds(labelled.label, num_folds, derived_seed(seed, "cross-validation"), repeats.group)
    except InputError as error:
        raise InputError(f"estimate is {num_folds}: {error}") from None
    probs = torch.empty(len(labelled), len(labelled.class_names))
    for number in range(num_folds):
        held = rows_within(fold, number)
        probs[held] = answer_fold(number, rows_without(fold, number), held)
    once = repeats.once
    label, distinct = labelled.label[once], repeats.take(once)
    found = metrics(probs[once], label, None)
    row = Row(
        method="student",
        seed=seed,
        role="method",
        metrics=found,
        correct=correct(probs[once], label),
        repeats=distinct if distinct.any else None,
        num_folds=num_folds,
    )
    summary = summarise([row])[0]
    ends = [end for end in (summary.low, summary.high) if end is not None]
    answered = once[~silent[once]]
    return Performance(
        accuracy=summary.mean,
        low=ends[0],
        high=ends[1],
        metrics=found,
        teacher_accuracy=correct(teacher_probs[answered], labelled.label[answered], guesses=True)
        .double()
        .mean()
        .item(),
        num_judged=len(once),
        num_folds=num_folds,
    )
