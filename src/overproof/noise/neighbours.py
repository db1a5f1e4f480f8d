"""Means over the nearest labelled examples in (teacher margin, student margin), for a whole pool in every epoch."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from numpy.typing import NDArray
from torch import Tensor

from overproof.errors import InputError
from overproof.noise.margins import MARGIN_OF_BITS, bits_of_margin, check_margin

BLOCK_ELEMENTS = 1 << 21
"""Number of distances that the exact search holds in memory."""


def num_neighbours(num_reference: int) -> int:
    """How many neighbours to average over: half the square root of the reference set, at least 5.

    Example:
        >>> num_neighbours(1000), num_neighbours(50)
        (16, 5)

    Differs from the paper: Iliopoulos et al. (2022), arXiv 2210.06711, tune nothing; the rule is our interpretation.
    """
    return max(5, round(0.5 * math.sqrt(num_reference)))


def num_cells(num_queries: int, k: int) -> int:
    """Cells per side of a `QuantileGrid` that is queried `num_queries` times before it is rebuilt, in 16..256.

    Building queries a k-d tree once for each cell. One cell for every k queries keeps that at a fifth of a microsecond
    a query, 1 to 3 % of an epoch of the smallest useful student (14 microseconds a row).

    Example:
        >>> num_cells(10_000, k=5), num_cells(10**7, k=16)
        (45, 256)
    """
    return min(256, max(16, round(math.sqrt(num_queries / k))))


def nearest_neighbour_mean(
    reference: Float[Tensor, "_ 2"], values: Float[Tensor, "_ m"], query: Float[Tensor, "N 2"], k: int
) -> Float32[Tensor, "N m"]:
    """The mean of `values` over the k reference points nearest to each query; exact, by computing all distances.

    Both covariates are centred and scaled by the reference set (one that is constant there is only centred). Reference
    points at the same place are used together, so there may be more than k; of different places at equal distance, that
    with the smaller covariates comes first. The order of the reference points therefore does not matter.

    Args:
        reference: [V, 2], teacher margin and student margin of labelled examples.
        values: [V, m], what to average there.
        query: [N, 2], the same margins elsewhere.
        k: At least 1, at most V.

    Example:
        >>> reference, values = torch.tensor([[0.0, 0.0], [0.1, 0.0], [1.0, 0.0]]), torch.tensor([[1.0], [0.0], [5.0]])
        >>> nearest_neighbour_mean(reference, values, torch.tensor([[0.2, 0.0], [0.9, 0.0]]), k=2).tolist()
        [[0.5], [2.5]]

    Raises:
        InputError: Sizes that differ, a `k` outside 1..V, or a covariate that is not a number.

    Source: Iliopoulos et al. (2022), arXiv 2210.06711 (the covariates and the regression).
    Differs from the paper: that the covariates are standardised is our interpretation.
    """
    places = _Places.of(reference, values, k)
    targets = torch.from_numpy(places.scaled(_as_numpy(query)))
    points, counts, sums = (torch.from_numpy(part) for part in (places.points, places.counts, places.sums))
    means = []
    for block in targets.split(max(1, BLOCK_ELEMENTS // len(points))):
        distance = (block.unsqueeze(1) - points).square().sum(dim=2)
        nearest = distance.argsort(dim=1, stable=True)[:, : min(k, len(points))]
        count, total = counts[nearest], sums[nearest]
        taken = (count.cumsum(dim=1) - count < k).unsqueeze(2)
        means.append((total * taken).sum(dim=1) / (count.unsqueeze(2) * taken).sum(dim=1))
    return torch.cat([torch.empty(0, values.shape[1]), *means]).float().to(values.device)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QuantileGrid:
    """`nearest_neighbour_mean` as a table: the exact mean on a grid of margins, looked up at the nearest of them.

    The grid is finer where reference points are dense: its margins are their quantiles. The cell of a margin is in a
    second table, indexed by the bits of the margin in half precision, so that a lookup is three reads and no search.

    Args:
        offset: [2, 15361], the first cell of a teacher margin, and the cell of a student margin among them, by the bits
            of each; their sum is the row of `table`.
        table: [cells, m], the means.
    """

    offset: Int32[Tensor, "2 15361"]
    table: Float32[Tensor, "cells m"]

    @classmethod
    def fit(
        cls, reference: Float[Tensor, "_ 2"], values: Float[Tensor, "_ m"], k: int, cells: int = 256
    ) -> "QuantileGrid":
        """Run the exact search at every cell's centre.

        Margins are rounded to half precision first: all margins near 1 of a saturated student, or of a teacher
        without probabilities, are then at one place and are averaged together.

        Args:
            reference: [V, 2], margins, in [0, 1].
            values: [V, m], what to average.
            k: At least 1, at most V.
            cells: Maximum per side; fewer if margins coincide. `num_cells` suits the size of the pool.

        Returns:
            A callable on queries [N, 2], on the device of `values`.

        Example:
            >>> reference, values = torch.tensor([[0.0, 0.5], [1.0, 0.5]]), torch.tensor([[3.0], [5.0]])
            >>> QuantileGrid.fit(reference, values, k=1)(torch.tensor([[0.1, 0.5], [0.75, 0.0]])).tolist()
            [[3.0], [5.0]]

        Raises:
            InputError: As in `nearest_neighbour_mean`, or a margin outside [0, 1], or no cells.
        """
        if cells < 1:
            raise InputError(f"cells is {cells}; it must be at least 1.")
        rounded = reference.half().double()
        check_margin("reference", rounded)
        places = _Places.of(rounded, values, k)
        levels = (np.arange(cells) + 0.5) / cells
        centres = [np.unique(np.quantile(covariate, levels)) for covariate in _as_numpy(rounded).T]
        queries = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1).reshape(-1, 2)
        teacher_cell, student_cell = (_nearest_centre(centre) for centre in centres)
        offset = np.stack([teacher_cell * len(centres[1]), student_cell]).astype(np.int32)
        return cls(
            offset=torch.from_numpy(offset).to(values.device),
            table=torch.from_numpy(places.mean(queries)).float().to(values.device),
        )

    def __call__(self, query: Float[Tensor, "N 2"]) -> Float32[Tensor, "N m"]:
        """The means at every query: [teacher margin, student margin], in [0, 1]."""
        teacher_bits, student_bits = bits_of_margin(query[:, 0]), bits_of_margin(query[:, 1])
        cell = self.offset[0].index_select(0, teacher_bits) + self.offset[1].index_select(0, student_bits)
        return self.table.index_select(0, cell)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NeighbourAccuracy:
    """P(the teacher is right | its margin and the student's), by nearest neighbours.

    Args:
        grid: One column: how often the teacher is right.
    """

    grid: QuantileGrid

    def __call__(self, teacher_margin: Float[Tensor, "N"], student_margin: Float[Tensor, "N"]) -> Float32[Tensor, "N"]:
        """The accuracy at every pair of margins."""
        return self.grid(torch.stack([teacher_margin, student_margin], dim=1)).squeeze(1)


def knn_accuracy(
    teacher_margin: Float[Tensor, "_"],
    student_margin: Float[Tensor, "_"],
    correct: Tensor,
    k: int | None = None,
    cells: int = 64,
) -> NeighbourAccuracy:
    """Fit P(the teacher is right | teacher margin, student margin): the share of right answers among neighbours.

    Args:
        teacher_margin: [V], out of sample, in [0, 1].
        student_margin: [V], of a student that was not trained on these labels, in [0, 1].
        correct: [V], bool, or 0 and 1.
        k: Neighbours; None is `num_neighbours`, or all if there are fewer.
        cells: Cells per side of the table (`QuantileGrid`).

    Returns:
        A callable on (teacher_margin, student_margin).

    Example:
        >>> teacher, student = torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([0.5, 0.5, 0.5, 0.5])
        >>> accuracy = knn_accuracy(teacher, student, torch.tensor([0, 1, 1, 1]), k=2)
        >>> accuracy(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5])).tolist()
        [0.5, 1.0]

    Raises:
        InputError: Sizes that differ, a margin outside [0, 1], a `correct` other than 0 and 1, or a `k` outside 1..V.

    Source: Iliopoulos et al. (2022), arXiv 2210.06711 (the teacher's error from a validation set).
    """
    if len(teacher_margin) != len(student_margin):
        raise InputError(
            f"There are {len(teacher_margin)} teacher margins and {len(student_margin)} student margins; "
            "they must be the same."
        )
    check_margin("teacher_margin", teacher_margin)
    check_margin("student_margin", student_margin)
    if not ((correct == 0) | (correct == 1)).all():
        raise InputError("correct must be 0 (the teacher is wrong) or 1 (it is right) for every example.")
    k = min(num_neighbours(len(correct)), len(correct)) if k is None else k
    reference = torch.stack([teacher_margin, student_margin], dim=1)
    return NeighbourAccuracy(grid=QuantileGrid.fit(reference, correct.float().unsqueeze(1), k, cells))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Places:
    """The reference set, standardised, one entry for each distinct place, in the order of the covariates."""

    points: NDArray[np.float64]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    k: int

    @classmethod
    def of(cls, reference: Tensor, values: Tensor, k: int) -> "_Places":
        if len(reference) != len(values):
            raise InputError(f"There are {len(reference)} reference points and {len(values)} values for them.")
        if not 1 <= k <= len(reference):
            raise InputError(f"k is {k}; with {len(reference)} reference points it must be 1 to {len(reference)}.")
        covariates = _as_numpy(reference)
        if not np.isfinite(covariates).all():
            raise InputError("reference has a covariate that is not a number.")
        # As complex numbers, which NumPy orders by both parts, this is five times as fast as along an axis.
        paired, which, counts = np.unique(
            covariates[:, 0] + 1j * covariates[:, 1], return_inverse=True, return_counts=True
        )
        distinct = np.stack([paired.real, paired.imag], axis=1)
        columns = _as_numpy(values).T
        sums = np.stack([np.bincount(which, column) for column in columns], axis=1, dtype=np.float64)
        # From the places in sorted order, not from the points in theirs: equal distances must not differ by rounding.
        share = counts[:, None] / len(covariates)
        centre = (share * distinct).sum(axis=0)
        deviation = np.sqrt((share * (distinct - centre) ** 2).sum(axis=0))
        # The deviation of a constant is not exactly zero after rounding.
        scale = np.where(np.ptp(distinct, axis=0) == 0, 1.0, deviation)
        return cls(points=(distinct - centre) / scale, counts=counts, sums=sums, centre=centre, scale=scale, k=k)

    def scaled(self, query: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((query - self.centre) / self.scale)

    def mean(self, query: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `nearest_neighbour_mean`, by a k-d tree: of several places at equal distance any may come first."""
        # Here, because it is a third of the package's import time.
        from scipy.spatial import KDTree

        places = list(range(1, min(self.k, len(self.points)) + 1))
        nearest = KDTree(self.points).query(self.scaled(query), places)[1]
        counts = self.counts[nearest]
        taken = (np.cumsum(counts, axis=1) - counts < self.k).astype(np.float64)
        total = np.einsum("qk,qkm->qm", taken, self.sums[nearest])
        return np.asarray(total / np.einsum("qk,qk->q", taken, counts)[:, None])


def _nearest_centre(centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of the centre nearest to each margin of half precision, by its bits."""
    edges = (centres[1:] + centres[:-1]) / 2
    ends = np.searchsorted(MARGIN_OF_BITS.numpy(), edges, side="right")
    return np.repeat(np.arange(len(centres)), np.diff(ends, prepend=0, append=len(MARGIN_OF_BITS)))


def _as_numpy(numbers: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = numbers.detach().cpu().double().numpy()
    return array
