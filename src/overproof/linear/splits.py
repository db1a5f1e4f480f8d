"""Held-out examples and folds by content and by group: equal rows, and rows of one group, are in the same part."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from overproof.functional.repeats import Repeats

_BLOCK_ROWS = 8192


def content_order(inputs: NDArray[Any], seed: int, group: NDArray[Any] | None = None) -> Int64[np.ndarray, "N"]:
    """A random rank for every distinct row, the same for equal rows; the order of the rows does not matter.

    A row that occurs twice and a row of sample weight 2 are therefore held out in the same way.

    Args:
        inputs: [N, D], finite.
        seed: Seed of the ranks.
        group: [N], names or numbers of what several rows come from: they have one rank. Without it, every distinct row
            is a group.

    Returns:
        [N], 0 to the number of groups less one.

    Example:
        >>> ranks = content_order(np.array([[1.0], [2.0], [1.0]]), seed=0)
        >>> bool(ranks[0] == ranks[2] != ranks[1])
        True
    """
    rng = np.random.default_rng(seed)
    odd = rng.integers(0, 2**63, size=(inputs.shape[1] + 1,), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashed = np.empty(len(inputs), np.uint64)
    for start in range(0, len(inputs), _BLOCK_ROWS):
        # Adding 0 turns -0 into 0.
        bits = np.ascontiguousarray(inputs[start : start + _BLOCK_ROWS].astype(np.float64) + 0.0).view(np.uint64)
        hashed[start : start + _BLOCK_ROWS] = _mixed(_mixed(bits) @ odd[:-1])
    ranks = _mixed(hashed ^ odd[-1])
    if group is not None:
        together = Repeats.of(ranks, group)
        once, held = together.once.numpy(), together.group.numpy()
        # A sum without carry does not depend on the order of a group's rows, is evenly spread whatever their number,
        # and is a row's own rank where it is alone.
        total = np.zeros(int(held.max(initial=-1)) + 1, np.uint64)
        np.add.at(total, held[once], ranks[once])
        ranks = total[held]
    return np.unique(ranks, return_inverse=True)[1].astype(np.int64)


def content_folds(
    inputs: NDArray[Any],
    folds: int,
    seed: int,
    strata: NDArray[np.int64] | None = None,
    group: NDArray[Any] | None = None,
) -> Int64[np.ndarray, "N"]:
    """The fold of every example, [N]: at most `folds`, of nearly equal numbers of groups (without them, distinct rows).

    Args:
        inputs: [N, D], finite.
        folds: At least 2.
        seed: Seed of the folds.
        strata: [N], such as class indices: the distinct rows of every stratum are in folds of nearly equal numbers too.
            A row (or a group) that occurs in several strata counts in the first of them.
        group: [N], as for `content_order`: the rows of a group are in one fold.
    """
    ranks = content_order(inputs, seed, group)
    if strata is not None:
        first = np.unique(ranks, return_index=True)[1]
        # Dealt out stratum after stratum, so that the remainders of small ones spread as well.
        place = np.empty(len(first), np.int64)
        place[np.argsort(strata[first], kind="stable")] = np.arange(len(first))
        ranks = place[ranks]
    return ranks % min(folds, int(ranks.max()) + 1)


def content_held_out(
    inputs: NDArray[Any],
    strata: NDArray[np.int64],
    weights: NDArray[np.float64],
    share: float,
    seed: int,
    group: NDArray[Any] | None = None,
) -> Bool[np.ndarray, "N"]:
    """Hold out about a share of the weight of every stratum, never a whole stratum.

    Args:
        inputs: [N, D], finite.
        strata: [N], for instance class indices. A row (or a group) that occurs in several counts in the least of them.
        weights: [N], above 0.
        share: In (0, 1).
        seed: Seed of the choice.
        group: [N], as for `content_order`: all rows of a group are held out, or none.

    Returns:
        [N], True where held out.

    Example:
        The same content with two labels is held out with both or with none.

        >>> twice, label = np.array([[1.0], [1.0], [2.0], [2.0]]), np.array([0, 1, 0, 1])
        >>> held = content_held_out(twice, label, np.ones(4), 0.6, seed=0)
        >>> bool(held[0] == held[1] and held[2] == held[3])
        True
    """
    ranks = content_order(inputs, seed, group)
    least = np.full(int(ranks.max(initial=-1)) + 1, strata.max(initial=0))
    np.minimum.at(least, ranks, strata)
    of_rank, held = least[ranks], np.zeros(len(inputs), bool)
    for stratum in np.unique(of_rank):
        members = np.flatnonzero(of_rank == stratum)
        _, place = np.unique(ranks[members], return_inverse=True)
        weight = np.bincount(place, weights[members])
        before = np.cumsum(weight) - weight
        # Decided by the middle of an example's weight, so that the only example of a stratum is not held out.
        held[members] = ((before + weight / 2) < share * weight.sum())[place]
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        # Its rows may be held out as part of others' groups.
        if held[members].all():
            held[ranks == ranks[members].max()] = False
    return held


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every output bit depends on every input bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed
