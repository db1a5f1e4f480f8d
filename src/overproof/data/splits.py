"""Draws the roles of a run from one set, without overlap by content or group, and finds what two sets share."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from overproof.data.examples import Examples
from overproof.data.repeats import repeats_in
from overproof.errors import InputError
from overproof.functional.repeats import content_groups
from overproof.storage.id_index import IdIndex

LABELLED_ROLES = ("labelled", "validation", "test")
"""Roles whose every example needs a known label, in the order in which they are drawn."""

_IDS_AT_A_TIME = 2**16

_BY_GROUP = ", since rows of one group are in one role"


def split(
    examples: Examples,
    counts: Mapping[str, int],
    seed: int,
    stratify: bool = True,
    *,
    labels_needed: Mapping[str, int] | None = None,
    rest: str | None = None,
) -> dict[str, Examples]:
    """Draw disjoint roles from one set.

    Rows of the same content count once and never land in two roles; one with a known label is preferred. The roles
    "labelled", "validation" and "test" are drawn first, from rows with a known label; any other role, such as "pool",
    takes the rest. The draw depends on the content, the seed and the counts of the roles drawn before, not on the
    order of the rows: a shuffled file gives the same split.

    Where several roles are drawn and the examples have groups, no group is in two roles either: whole groups are drawn
    in random order until a role has its number. The rows of a group beyond that number are in no role.

    Args:
        examples: The set.
        counts: Number of rows by role, each at least 1.
        seed: Seeds NumPy's PCG64.
        stratify: Give every class its share of each role (largest remainder method, so within one row of the exact
            share), and at least one row in a labelled role that has as many rows as there are classes.
        labels_needed: The number of rows with a known label that another role needs, by role. Where the draw would
            give it fewer, so many are drawn first, as for a labelled role.
        rest: A role that takes what is left where groups leave fewer rows than its count, at least one.

    Returns:
        The roles in the order of `counts`; the rows of each are shuffled.

    Raises:
        InputError: If a count is below 1 or above the number of rows; the message has both numbers.

    Example:
        >>> from overproof.data import from_arrays
        >>> ten = from_arrays([f"text {i}" for i in range(10)], [0, 1] * 5)
        >>> parts = split(ten, {"labelled": 4, "pool": 6}, seed=0)
        >>> sorted(parts["labelled"].label.tolist()), len(parts["pool"])
        ([0, 0, 1, 1], 6)
    """
    if rest is not None and counts.get(rest, 1) < 1 and examples.group is not None:
        raise _nothing_left(examples, rest)
    if odd := {role: count for role, count in counts.items() if count < 1}:
        raise InputError(f"split of {examples.origin} needs {_counts_in_words(odd)}; each role needs at least 1 row.")
    rows = _distinct(examples)
    if sum(counts.values()) > len(rows):
        raise InputError(
            f"split of {examples.origin} needs {sum(counts.values())} rows ({_counts_in_words(counts)}) but there are "
            f"{len(rows)} distinct ones; ask for fewer."
        )
    label, generator = examples.label.numpy(), np.random.Generator(np.random.PCG64(seed))
    group = None
    if examples.group is not None and len(counts) > 1:
        # In the order of their contents: the draw must not depend on the order of the rows.
        group = np.zeros(len(examples), np.int64)
        group[rows] = content_groups(repeats_in(examples).group[rows])
        priority = generator.permutation(int(group[rows].max()) + 1)
    rows = generator.permutation(rows)
    drawn: dict[str, NDArray[np.int64]] = {}
    known_roles = [role for role in LABELLED_ROLES if role in counts]
    for role in known_roles + [role for role in counts if role not in known_roles]:
        open_rows = rows[label[rows] >= 0] if role in known_roles else rows
        count = min(counts[role], len(open_rows)) if role == rest and group is not None else counts[role]
        if not len(open_rows) and role == rest and group is not None:
            raise _nothing_left(examples, role)
        if count > len(open_rows):
            labels = " with a known label" if role in known_roles else ""
            raise InputError(
                f"split of {examples.origin} needs {count} rows{labels} for {role!r} but {len(open_rows)} are left"
                f"{'' if group is None else _BY_GROUP}; ask for fewer."
            )

        def some(of: NDArray[np.int64], count: int, *, at_least_one: bool) -> NDArray[np.int64]:
            strata = label[of] if stratify else np.zeros(len(of), np.int64)
            if group is None:
                return of[_first_of_each(strata, count, at_least_one=at_least_one)]
            strata, own = _rarest(strata, group[of]), strata
            # Group after group, the rows of its stratum first; back in the order of the draw, which is shuffled.
            by_group = np.lexsort((own != strata, priority[group[of]]))
            return of[np.sort(by_group[_first_of_each(strata[by_group], count, at_least_one=at_least_one)])]

        drawn[role] = some(open_rows, count, at_least_one=role in known_roles)
        needed = (labels_needed or {}).get(role, 0)
        if (label[drawn[role]] >= 0).sum() < needed:
            known = open_rows[label[open_rows] >= 0]
            if needed > len(known):
                raise InputError(
                    f"{examples.origin} has {len(known)} distinct rows with a known label left, but {needed} are "
                    f"needed{'' if group is None else _BY_GROUP}; ask for fewer."
                )
            first = some(known, needed, at_least_one=True)
            others = open_rows[~np.isin(open_rows, first)]
            if count > needed:
                first = np.concatenate([first, some(others, count - needed, at_least_one=False)])
            drawn[role] = first
        of_drawn = np.isin(rows, drawn[role]) if group is None else np.isin(group[rows], group[drawn[role]])
        rows = rows[~of_drawn]
    return {role: examples.take(drawn[role]) for role in counts}


def beyond_groups(examples: Examples, parts: Mapping[str, Examples]) -> int:
    """How many contents are in none of the parts because other rows of their group are.

    Args:
        examples: The set.
        parts: Roles that `split` has drawn from it.
    """
    if examples.group is None:
        return 0
    group, index = repeats_in(examples).group.numpy(), IdIndex(examples.ids)
    drawn = np.concatenate([index.find(part.ids)[0] for part in parts.values()])
    inside = np.flatnonzero(np.isin(group, group[drawn]))
    return num_distinct(examples.take(inside)) - len(drawn)


def duplicates(a: Examples, b: Examples) -> Int64[np.ndarray, "M"]:
    """The rows of `a` whose content is also in `b`, in ascending order.

    Example:
        >>> from overproof.data import from_arrays
        >>> duplicates(from_arrays(["x", "y", "x"]), from_arrays(["x", "z"]))
        array([0, 2])
    """
    if a.kind != b.kind:
        return np.empty(0, np.int64)
    index, starts = IdIndex(b.ids), range(0, max(len(a), 1), _IDS_AT_A_TIME)
    return np.flatnonzero(np.concatenate([index.find(a.ids[start : start + _IDS_AT_A_TIME])[1] for start in starts]))


def by_content(examples: Examples) -> Examples:
    """The same examples in the order of their contents, whatever order they came in; repeats stay in their order.

    Example:
        >>> from overproof.data import from_arrays
        >>> by_content(from_arrays(["x", "y"])).inputs.equals(by_content(from_arrays(["y", "x"])).inputs)
        True
    """
    first_half, second_half = _halves(examples.ids)
    return examples.take(np.lexsort((second_half, first_half)))


def num_distinct(examples: Examples) -> int:
    """Number of different contents.

    Example:
        >>> from overproof.data import from_arrays
        >>> num_distinct(from_arrays(["x", "y", "x"]))
        2
    """
    words = _halves(examples.ids)[0]
    in_order = np.sort(words)
    repeated = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    tied = np.isin(words, repeated)
    return len(words) - int(tied.sum()) + len(np.unique(examples.ids[tied]))


def _distinct(examples: Examples) -> NDArray[np.int64]:
    """One row per content, ordered by content; among equal rows a labelled one, with the smallest label."""
    first_half, second_half = _halves(examples.ids)
    order = np.argsort(first_half)
    in_order = first_half[order]
    same = in_order[1:] == in_order[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    # The few rows with equal first eight bytes are sorted by all sixteen and the label.
    rows = np.sort(order[tied])
    # A known label before an unknown one: as an unsigned number -1 is the largest.
    label = examples.label.numpy()[rows].astype(np.uint64)
    order[tied] = rows[np.lexsort((label, second_half[rows], first_half[rows]))]
    ids = examples.ids[order]
    first = np.ones(len(ids), bool)
    first[1:] = ids[1:] != ids[:-1]
    return order[first]


def _halves(ids: np.ndarray) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Ids as pairs of numbers that sort as their bytes do."""
    words = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2).astype(np.uint64)
    return words[:, 0], words[:, 1]


def _first_of_each(strata: NDArray[np.int64], count: int, *, at_least_one: bool) -> NDArray[np.int64]:
    """Positions of `count` rows, ascending: of each stratum its first rows, as many as its share."""
    _, which, size = np.unique(strata, return_inverse=True, return_counts=True)
    share = _shares(size, count, at_least_one=at_least_one)
    by_stratum = np.argsort(which, kind="stable")
    place = np.empty(len(strata), np.int64)
    place[by_stratum] = np.arange(len(strata)) - np.repeat(np.cumsum(size) - size, size)
    return np.flatnonzero(place < share[which])


def _shares(size: NDArray[np.int64], count: int, *, at_least_one: bool) -> NDArray[np.int64]:
    """Largest remainder method: `count` divided in proportion to `size`, never more than there are.

    In integers, so that rounding cannot break ties between equal remainders; ties go to the first.
    """
    total = int(size.sum())
    share, remainder = np.divmod(size * count, total)
    share[np.argsort(-remainder, kind="stable")[: count - int(share.sum())]] += 1
    while at_least_one and count >= len(size) and not share.all():
        share[share.argmin()] += 1
        share[share.argmax()] -= 1
    return share


def _nothing_left(examples: Examples, role: str) -> InputError:
    return InputError(
        f"{examples.origin} has no rows left for {role!r}: rows of one group are in one role, and every group has a "
        f"row in another one. Draw fewer rows for the others, give {role!r} a file of its own, or name no group."
    )


def _rarest(label: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N], for every row the label of its group that the fewest rows have; of equally rare ones the least."""
    _, which, size = np.unique(label, return_inverse=True, return_counts=True)
    order = np.lexsort((label, size[which]))
    _, first, place = np.unique(group[order], return_index=True, return_inverse=True)
    found = np.empty_like(label)
    found[order] = label[order][first][place]
    return found


def _counts_in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{role} {count}" for role, count in counts.items())
