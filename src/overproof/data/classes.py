"""Where a class name becomes a number: one ordered list of class names for all roles and the teacher.

`data/labels.py` reads the names from a label column and numbers them within one file.

The number of a class is its position in the list of `class_space`; `aligned` rewrites the labels of every role to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from overproof.data.examples import Examples
from overproof.data.labels import renamed
from overproof.data.wording import listed
from overproof.errors import InputError

COLUMNS_OF_PREDICTIONS = ("id", "label", "abstained")
"""The columns of a file of predictions beside those of the classes: no class may be called so."""


def check_class_names(names: Sequence[str], who: str) -> None:
    """Check that no class is called like another column of a file of predictions.

    Args:
        names: The class names.
        who: What has them, for the error message.

    Raises:
        InputError: One is.

    Example:
        >>> check_class_names(("cat", "dog"), "labelled (animals.csv)")
    """
    if clash := [name for name in names if name in COLUMNS_OF_PREDICTIONS]:
        raise InputError(
            f"{who} has a class called {clash[0]!r}, and so is a column of every file of predictions, beside one for "
            f"each class; give the class another name ({listed(COLUMNS_OF_PREDICTIONS)} cannot be used)."
        )


def class_space(parties: Mapping[str, Examples], *, shown_by: str = "labelled") -> tuple[str, ...]:
    """The ordered class names that all roles share: those of the labelled examples.

    Args:
        parties: Examples by role.
        shown_by: The role that defines the classes: "labelled", or another where there are no labelled examples.

    Raises:
        InputError: If a class has no labelled example, there are fewer than two classes, another role contains a
            class without labelled examples, or a class is called like another column of a file of predictions.

    Example:
        >>> from overproof.data import from_arrays
        >>> labelled = from_arrays(["good", "bad"], ["yes", "no"])
        >>> class_space({"labelled": labelled, "pool": from_arrays(["fine"])})
        ('no', 'yes')
    """
    labelled = parties[shown_by]
    shown = shown_classes(labelled)
    check_class_names(shown, labelled.origin)
    if unseen := [name for name in labelled.class_names if name not in shown]:
        raise InputError(
            f"{labelled.origin} has no labelled example of class {listed(unseen)}; every class needs at least one."
        )
    if len(shown) < 2:
        raise InputError(
            f"{labelled.origin} contains {len(shown)} classes ({listed(shown) or 'no label is known'}); at least two "
            f"are needed (-1 means an unknown label)."
        )
    for role, party in parties.items():
        if strange := [name for name in shown_classes(party) if name not in shown]:
            raise InputError(
                f"{party.origin} has examples of class {listed(strange)}, which {labelled.origin} does not contain; "
                f"the classes allowed in {role} are {listed(shown)}."
            )
    return shown


def aligned(parties: Mapping[str, Examples], class_names: Sequence[str]) -> dict[str, Examples]:
    """The same examples with labels that index one shared list of class names, matched by name.

    Args:
        parties: Examples by role.
        class_names: The shared list, from `class_space`.

    Raises:
        InputError: If a role has an example of a class that is not in the list.

    Example:
        >>> from overproof.data import from_arrays
        >>> test = from_arrays(["good", "bad"], [0, 1], class_names=["yes", "no"])
        >>> aligned({"test": test}, ("no", "yes"))["test"].label.tolist()
        [1, 0]
    """
    names = tuple(class_names)
    for role, party in parties.items():
        if strange := [name for name in shown_classes(party) if name not in names]:
            raise InputError(
                f"{party.origin} has examples of class {listed(strange)}; the classes allowed in {role} are "
                f"{listed(names)}."
            )
    return {
        role: replace(party, label=renamed(party.label, party.class_names, names), class_names=names)
        for role, party in parties.items()
    }


def check_classes(expected: Sequence[str], found: Sequence[str], who: str) -> None:
    """Check that something else with classes, such as a file of teacher answers, has the same ones in the same order.

    Args:
        expected: The shared class names in order.
        found: The other class names in order.
        who: What has them, for the error message.

    Raises:
        InputError: If they differ; the message lists the repeated, missing, extra or permuted classes.

    Example:
        >>> check_classes(("cat", "dog"), ("cat", "dog"), "teacher (answers.parquet)")
    """
    expected, found = list(expected), list(found)
    if expected == found:
        return
    kinds = {
        "repeated": sorted({name for name in found if found.count(name) > 1}),
        "missing": [name for name in expected if name not in found],
        "extra": [name for name in found if name not in expected],
    }
    wrong = [f"{kind} classes {listed(names)}" for kind, names in kinds.items() if names]
    if not wrong:
        index = next(i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b)
        wrong = [f"permuted classes (class {index} is {found[index]!r} instead of {expected[index]!r})"]
    raise InputError(
        f"{who} has {' and '.join(wrong)}; it must have exactly {listed(expected, limit=30)} in this order."
    )


def shown_classes(examples: Examples) -> tuple[str, ...]:
    """The class names that at least one example has, in the order of their indices."""
    used = np.unique(examples.label[examples.label >= 0].numpy())
    return tuple(examples.class_names[index] for index in used)
