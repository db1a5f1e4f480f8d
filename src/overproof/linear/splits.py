"""Held-out examples and folds by content: equal rows are always in the same part."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

_BLOCK_ROWS = 8192


def content_order(inputs: NDArray[Any], seed: int) -> Int64[np.ndarray, "N"]:
    """A random rank for every distinct row, the same for equal rows; the order of the rows does not matter.

    A row that occurs twice and a row of sample weight 2 are therefore held out in the same way.

    Args:
        inputs: [N, D], finite.
        seed: Seed of the ranks.

    Returns:
        [N], 0 to the number of distinct rows less one.

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
    return np.unique(_mixed(hashed ^ odd[-1]), return_inverse=True)[1].astype(np.int64)


def content_folds(
    inputs: NDArray[Any], folds: int, seed: int, group: NDArray[np.int64] | None = None
) -> Int64[np.ndarray, "N"]:
    """The fold of every example, [N]: at most `folds`, of nearly equal numbers of distinct rows.

    Args:
        inputs: [N, D], finite.
        folds: At least 2.
        seed: Seed of the folds.
        group: [N], such as class indices: the distinct rows of every group are in folds of nearly equal numbers too. A
            row that occurs in several groups counts in the first of them.
    """
    ranks = content_order(inputs, seed)
    if group is not None:
        first = np.unique(ranks, return_index=True)[1]
        # Dealt out group after group, so that the remainders of small groups spread as well.
        place = np.empty(len(first), np.int64)
        place[np.argsort(group[first], kind="stable")] = np.arange(len(first))
        ranks = place[ranks]
    return ranks % min(folds, int(ranks.max()) + 1)


def content_held_out(
    inputs: NDArray[Any], groups: NDArray[np.int64], weights: NDArray[np.float64], share: float, seed: int
) -> Bool[np.ndarray, "N"]:
    """Hold out about a share of the weight of every group, never a whole group.

    Args:
        inputs: [N, D], finite.
        groups: [N], for instance class indices.
        weights: [N], above 0.
        share: In (0, 1).
        seed: Seed of the choice.

    Returns:
        [N], True where held out.
    """
    ranks = content_order(inputs, seed)
    held = np.zeros(len(inputs), bool)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        _, place = np.unique(ranks[members], return_inverse=True)
        weight = np.bincount(place, weights[members])
        before = np.cumsum(weight) - weight
        # Decided by the middle of an example's weight, so that the only example of a group is not held out.
        held[members] = ((before + weight / 2) < share * weight.sum())[place]
    return held


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every output bit depends on every input bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed
