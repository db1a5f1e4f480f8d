"""Whether lists of probabilities are in another order of the classes than the one they are read in.

A list has no names. In a wrong order nearly all answers are wrong, but each class is called by one other class: a
renaming, found on half of the labelled examples, makes the other half right.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.functional.intervals import accuracy_interval

FEWEST = 10
"""In fewer labelled examples a renaming fits by chance."""

RIGHT_ENOUGH = 0.5
"""A renaming must make this share of the answers right."""

GAP = 0.3
"""A renaming must make so much more of them right: a teacher that often calls one class by another's name is wrong."""

LEVEL = 0.999
"""Level of the intervals of both accuracies, which must not overlap."""


def check_order(
    named: NDArray[np.int64],
    label: NDArray[np.int64],
    class_names: Sequence[str],
    classes: Sequence[str],
    who: str,
    *,
    remedy: str = "Write the model's order under `teacher`, as `classes: [{order}]` if that is it, or name every "
    "probability by its class.",
) -> None:
    """Reject answers that a renaming of the classes makes right, and the order they are read in does not.

    Args:
        named: [n], the likeliest class of each answer as it was read, an index into `class_names`.
        label: [n], the known labels.
        class_names: K names.
        classes: The same in the order in which the lists were read.
        who: What they come from, for the error message.
        remedy: What to do, for the error message; `{order}` stands for the order that fits.

    Raises:
        InputError: They are; the message has both orders.

    Example:
        >>> draw = np.random.default_rng(0).integers(0, 3, 60)
        >>> check_order(draw, draw, "abc", "abc", "a.jsonl")
    """
    if len(label) < FEWEST:
        return
    num_classes = len(class_names)
    half = np.arange(len(label)) % 2 == 0
    right = sum(
        int((_renaming(named[~part], label[~part], num_classes)[named[part]] == label[part]).sum())
        for part in (half, ~half)
    )
    as_read = int((named == label).sum())
    if right - as_read < GAP * len(label):
        return
    renamed_low = accuracy_interval(right, len(label), level=LEVEL)[0]
    if right < RIGHT_ENOUGH * len(label) or renamed_low <= accuracy_interval(as_read, len(label), level=LEVEL)[1]:
        return
    renaming = _renaming(named, label, num_classes)
    found = [class_names[renaming[list(class_names).index(name)]] for name in classes]
    fits = int((renaming[named] == label).sum())
    raise InputError(
        f"{who}: read in the order {_shown(classes)}, the probabilities are right for {as_read} of {len(label)} "
        f"labelled examples; in the order {_shown(found)} they are right for {fits}. "
        + remedy.replace("{order}", _shown(found))
    )


def _renaming(named: NDArray[np.int64], label: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """For each class as it was read the class that it stands for, so that most answers are right; each is used once."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (named, label), 1)
    # Where nothing tells, a class stays what it is.
    rows, columns = linear_sum_assignment(counts + 0.5 * np.eye(num_classes), maximize=True)
    return np.asarray(columns[np.argsort(rows)])


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:30]) + (" …" if len(names) > 30 else "")
