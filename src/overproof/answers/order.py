"""Whether lists of probabilities are in another order of the classes than the one they are read in.

A list has no names. In a wrong order nearly all answers are wrong, but each class is called by one other class: a
renaming, found on half of the labelled examples, makes the other half right.

Two classes have one other order, so that nothing has to be searched for, and a weaker sign suffices: answers that are
right significantly less often than a coin are, in the other order, significantly more often. One-sided binomial test
against 1/2 at `TWO`. A teacher that names one class for (nearly) all examples is as often right as the classes are
frequent, whatever their order; so its answers must also go against the labels given how often each class was named
(Fisher's exact test at `GIVEN_NAMES`). Simulated: a teacher that tosses a coin is refused in one of 100 data sets, one
that names a class of 20 % at random for 70 % of the examples in four, and one that is right on 60 % of 60 examples in
one of 10,000. A teacher that is right on 71 % and turned round is refused in 80 of 100 data sets of 60 examples, and in
99 of 100 of 120 (of classes of 20 and 80 %: in 71 and 96).
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


TWO = 0.01
"""Level of the test against a coin; lower for fewer refusals of teachers that guess, higher for fewer that are turned
round and read on."""

GIVEN_NAMES = 0.05
"""Level of the test that takes as given how often each class is named: of a rare class it sees few examples."""


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
    is_other = _is_turned_round if num_classes == 2 else _is_renamed
    if not is_other(named, label, num_classes):
        return
    as_read = int((named == label).sum())
    renaming = _renaming(named, label, num_classes)
    found = [class_names[renaming[list(class_names).index(name)]] for name in classes]
    fits = int((renaming[named] == label).sum())
    raise InputError(
        f"{who}: read in the order {_shown(classes)}, the probabilities are right for {as_read} of {len(label)} "
        f"labelled examples; in the order {_shown(found)} they are right for {fits}. "
        + remedy.replace("{order}", _shown(found))
    )


def _is_renamed(named: NDArray[np.int64], label: NDArray[np.int64], num_classes: int) -> bool:
    """Whether a renaming that is found on half of the examples makes the other half right."""
    half = np.arange(len(label)) % 2 == 0
    right = sum(
        int((_renaming(named[~part], label[~part], num_classes)[named[part]] == label[part]).sum())
        for part in (half, ~half)
    )
    as_read = int((named == label).sum())
    if right < RIGHT_ENOUGH * len(label) or right - as_read < GAP * len(label):
        return False
    renamed_low = accuracy_interval(right, len(label), level=LEVEL)[0]
    return renamed_low > accuracy_interval(as_read, len(label), level=LEVEL)[1]


def _is_turned_round(named: NDArray[np.int64], label: NDArray[np.int64], num_classes: int) -> bool:
    """Whether the answers of two classes are right less often than by chance, and those of the other order more."""
    from scipy.special import bdtr

    num, both = len(label), int((named & label).sum())
    below_a_coin = bdtr(int((named == label).sum()), num, 0.5)
    return bool(below_a_coin < TWO and share_below(both, num, int(named.sum()), int(label.sum())) < GIVEN_NAMES)


def share_below(both: int, num: int, num_named: int, num_labelled: int) -> float:
    """The probability of at most so many agreements on a class if answers are drawn without regard to the labels.

    Args:
        both: Examples that are named and labelled so.
        num: Examples.
        num_named: How many are named so.
        num_labelled: How many are labelled so.

    Example:
        Of two examples of four that are named so, none of two that are labelled so: one of six draws.

        >>> round(share_below(0, 4, 2, 2) * 6, 9)
        1.0
    """
    # `scipy.stats` takes a second to import.
    from scipy.special import gammaln

    def log_choices(whole: NDArray[np.int64] | int, part: NDArray[np.int64] | int) -> NDArray[np.float64]:
        return np.asarray(gammaln(whole + 1.0) - gammaln(part + 1.0) - gammaln(whole - part + 1.0))

    fewest = max(0, num_named + num_labelled - num)
    drawn = np.arange(fewest, both + 1)
    ways = log_choices(num_labelled, drawn) + log_choices(num - num_labelled, num_named - drawn)
    return float(np.exp(ways - log_choices(num, num_named)).sum())


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
