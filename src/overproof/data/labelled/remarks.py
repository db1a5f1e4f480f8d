"""What a user should know of labelled examples: contents with two labels, near copies, and groups in several roles."""

from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from overproof.data.examples import Examples
from overproof.data.labelled.near_copies import near_copies
from overproof.data.repeats import repeats_in
from overproof.data.splits import num_distinct
from overproof.functional.repeats import content_groups

LEAST_SHARE = 0.02
"""Near copies are reported if they are at least this share of the labelled examples."""
FEWEST_COPIES = 5
"""And at least so many."""


def remarks_on_labels(examples: Examples) -> list[str]:
    """Sentences if some contents have several labels, or some classes differ in case or spaces alone.

    Args:
        examples: As read, in the order of the files.

    Example:
        >>> from overproof.data import from_arrays
        >>> remarks_on_labels(from_arrays(["x", "y", "x"], ["a", "a", "b"], origin="labelled"))[0][:75]
        "labelled: 1 content has more than one label, such as row 0 ('a') and row 2 "
    """
    return [*_alike(examples), *_contradictions(examples)]


def _alike(examples: Examples) -> list[str]:
    """Class names that are one name in another spelling, as `Billing` and `billing` are."""
    alike = [" and ".join(map(repr, names)) for names in _spelled_alike(examples)]
    if not alike:
        return []
    shown = ", ".join(alike[:5]) + (f" and {len(alike) - 5} more" if len(alike) > 5 else "")
    return [
        f"{examples.origin}: the labels {shown} differ in case or spaces alone, and are classes of their own; if they "
        f"mean the same, write the option `aliases` of the file, which names the spelling to keep."
    ]


def other_spellings(examples: Examples) -> dict[str, str]:
    """Labels that differ from a more frequent one in case or spaces alone, each with that one.

    Args:
        examples: As read.

    Example:
        >>> from overproof.data import from_arrays
        >>> other_spellings(from_arrays(["x", "y", "z", "u"], ["Bill", "bill", "bill", "login"]))
        {'Bill': 'bill'}
    """
    counts = np.bincount(examples.label[examples.label >= 0].numpy(), minlength=len(examples.class_names))
    number = dict(zip(examples.class_names, counts.tolist(), strict=True))
    found: dict[str, str] = {}
    for names in _spelled_alike(examples):
        # Of equally frequent ones the plainest: without blanks around it, in lower case.
        kept = max(names, key=lambda name: (number[name], name == name.strip(), name.islower(), name))
        found |= {name: kept for name in names if name != kept}
    return found


def _spelled_alike(examples: Examples) -> list[list[str]]:
    spelled: dict[str, list[str]] = {}
    for name in examples.class_names:
        spelled.setdefault(" ".join(name.split()).casefold(), []).append(name)
    return [names for names in spelled.values() if len(names) > 1]


def _contradictions(examples: Examples) -> list[str]:
    if num_distinct(examples) == len(examples):
        return []
    known = np.flatnonzero(examples.label.numpy() >= 0)
    label, content = examples.label.numpy()[known], content_groups(examples.ids[known]).numpy()
    num = int(content.max(initial=-1)) + 1
    least, most = np.full(num, len(examples.class_names)), np.full(num, -1)
    np.minimum.at(least, content, label)
    np.maximum.at(most, content, label)
    mixed = least != most
    if not mixed.any():
        return []
    rows = np.flatnonzero(content == mixed.argmax())
    pair = (rows[0], rows[np.flatnonzero(label[rows] != label[rows[0]])[0]])
    shown = " and ".join(f"{_named(examples, known[row])} ({examples.class_names[label[row]]!r})" for row in pair)
    count = int(mixed.sum())
    return [
        f"{examples.origin}: {count} {'contents have' if count > 1 else 'content has'} more than one label, such as "
        f"{shown}: no teacher and no student can be right on all of them."
    ]


def remarks_on_copies(examples: Examples) -> list[str]:
    """One sentence if labelled examples repeat others, one if many are near copies that no group holds together.

    Args:
        examples: Labelled examples.
    """
    sets, num = near_copies(examples), len(repeats_in(examples).once)
    remarks, count = [], sum(map(len, sets))
    if num < len(examples):
        remarks.append(
            f"{examples.origin}: {len(examples)} labelled examples have {num} different contents; each counts once in "
            f"estimates and their intervals."
        )
    if count < max(FEWEST_COPIES, LEAST_SHARE * num):
        return remarks
    shown = " and ".join(_named(examples, int(row)) for row in sets[0][:2])
    return [
        *remarks,
        f"{examples.origin}: {count} of {num} labelled examples of different content are near copies of each other "
        f"({len(sets)} sets; one holds {shown}), so the teacher may know the one from the other and seem more accurate "
        f"than it is: if several rows come from one source (an author, a patient, a template), name its column as "
        f"`group`.",
    ]


def remarks_on_groups(roles: Mapping[str, Examples], column: str | None = None) -> list[str]:
    """What the groups of labelled examples are, and how many examples of other roles are in one of them.

    Args:
        roles: Examples by role; nothing is said where "labelled" has no groups.
        column: The column that names the groups.
    """
    labelled = roles.get("labelled")
    if labelled is None or labelled.group is None:
        return []
    known = labelled.group.drop_null().unique()
    num_groups = repeats_in(labelled).num_groups
    named = "" if column is None else f" by the column {column!r}, which is not a feature"
    remarks = [
        f"{labelled.origin}: {len(labelled)} labelled examples are in {num_groups} groups{named}; intervals count "
        f"groups."
    ]
    for role, examples in roles.items():
        if role == "labelled" or examples.group is None:
            continue
        shared = pc.is_in(examples.group, known, skip_nulls=True).to_numpy(zero_copy_only=False)
        if shared.any():
            groups = len(examples.group.filter(shared).unique())
            remarks.append(
                f"{int(shared.sum())} {role} examples are in {groups} groups of labelled examples: what is estimated "
                f"on them is not what to expect of new groups."
            )
    return remarks


def _named(examples: Examples, row: int | np.integer) -> str:
    """An example by the user's id, or by its row number."""
    return f"row {int(row)}" if examples.keys is None else f"id {examples.keys[int(row)].as_py()!r}"
