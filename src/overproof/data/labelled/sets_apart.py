"""Finds small sets of rows that are much nearer to each other than to any other row: copies of a row with noise.

A row's distances to its neighbours are compared with each other only, so neither the scale nor the density of the rows
matters. Of points of an even density in m dimensions, the distance to the k-th neighbour is at most a share r of that
to the next with probability r^(mk). The density of real rows is not quite even, so r must be small as well, and m
counts at most `MOST_DIMENSIONS`.
"""

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

MOST_IN_A_SET = 11
"""Rows of a set; larger ones are clusters."""
BY_CHANCE = 1e-5
"""Probability of a gap for each row and number of neighbours."""
GAP = 0.4
"""Largest share that the distance to the last row of the set is of that to the next row."""
NEAR = 0.15
"""Largest share that it is of the median distance of two rows."""
MOST_DIMENSIONS = 6.0
"""The dimension that is estimated counts at most so much."""
MOST_TIES = 0.1
"""A column counts if no value is that of more than this share of the rows."""
FEWEST_COLUMNS = 3
"""So many columns must count."""
_NEIGHBOURS, _MOST_AXES, _BLOCK = 40, 64, 500


def sets_apart(columns: Float64[np.ndarray, "N D"]) -> Int64[np.ndarray, "P 2"]:
    """Pairs of rows of one such set.

    Args:
        columns: Numbers, not constant.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> rows = np.repeat(draw.normal(size=(30, 5)), 2, axis=0) + 0.001 * draw.normal(size=(60, 5))
        >>> len(sets_apart(rows)), len(sets_apart(draw.normal(size=(60, 5))))
        (30, 0)

    Source:
        The ratio of neighbours' distances as a measure that is free of scale and density is that of Facco, d'Errico,
        Rodriguez and Laio, "Estimating the intrinsic dimension of datasets by a minimal neighborhood information"
        (2017).
    """
    num = len(columns)
    kept = [each for each in columns.T if np.unique(each, return_counts=True)[1].max() <= max(1, MOST_TIES * num)]
    if len(kept) < FEWEST_COLUMNS or num < 2 * MOST_IN_A_SET:
        return np.empty((0, 2), np.int64)
    near, distance, median = _neighbours(_projected(np.stack(kept, axis=1)))
    last, following = distance[:, : MOST_IN_A_SET - 1], distance[:, 1:MOST_IN_A_SET]
    share = last / np.maximum(following, np.finfo(float).tiny)
    count = np.arange(1, MOST_IN_A_SET)
    apart = (share <= GAP) & (last <= NEAR * median) & (share ** (_dimension(distance) * count) <= BY_CHANCE)
    # The largest set of each row; two rows are a pair if each is in that of the other.
    size = (apart * count).max(axis=1)
    owner, member = np.repeat(np.arange(num), size), near[:, : MOST_IN_A_SET - 1][count <= size[:, None]]
    both = np.intersect1d(owner * num + member, member * num + owner)
    pairs = np.stack([both // num, both % num], axis=1)
    return pairs[pairs[:, 0] < pairs[:, 1]]


def _projected(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of one variance; of many a random projection, which keeps distances to about a tenth."""
    scaled: NDArray[np.float64] = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    if scaled.shape[1] > _MOST_AXES:
        scaled = scaled @ np.random.Generator(np.random.PCG64(0)).normal(size=(scaled.shape[1], _MOST_AXES))
    return scaled


def _neighbours(rows: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """The nearest rows of each, ascending, their distances, and the median distance of the first rows to all."""
    num, squared = len(rows), (rows**2).sum(axis=1)
    most = min(_NEIGHBOURS, num - 1)
    near, distances, median = [], [], 0.0
    for start in range(0, num, _BLOCK):
        own = slice(start, min(start + _BLOCK, num))
        found = np.maximum(squared[own, None] + squared - 2 * rows[own] @ rows.T, 0)
        median = median or float(np.sqrt(np.median(found)))
        found[np.arange(own.stop - start), np.arange(start, own.stop)] = np.inf
        nearest = np.argpartition(found, most - 1, axis=1)[:, :most]
        values = np.take_along_axis(found, nearest, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        near.append(np.take_along_axis(nearest, order, axis=1))
        distances.append(np.sqrt(np.take_along_axis(values, order, axis=1)))
    return np.concatenate(near), np.concatenate(distances), median


def _dimension(distance: NDArray[np.float64]) -> float:
    """How fast the number of neighbours grows with the distance, beyond a set's; between 1 and `MOST_DIMENSIONS`."""
    most = distance.shape[1]
    first = most // 2
    growth = np.log(np.maximum(distance[:, -1] / np.maximum(distance[:, first - 1], np.finfo(float).tiny), 1))
    middle = float(np.median(growth))
    return min(max(np.log(most / first) / middle, 1.0), MOST_DIMENSIONS) if middle > 0 else 1.0
