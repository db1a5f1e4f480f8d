"""The two tables that answer for a whole pool, beside what they stand for: queries a second and cost of building.

    python benchmarks/noise_tables.py [--rows 1000000] [--threads 1]

Half a minute on one core. Expected: the accuracy table answers hundreds of millions of margins a second, bit for bit
the curve; the quantile grid 50 to 150 million queries a second, a hundred times a k-d tree and thousands of times exact
search, with the same error to the truth; rebuilding it, by the rule for the size of the pool, takes 1 to 3 % of an
epoch at 14 microseconds a row.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree
from torch import Tensor

from overproof.noise import (
    QuantileGrid,
    isotonic_accuracy,
    nearest_neighbour_mean,
    num_cells,
    num_neighbours,
)

EPOCH_SECONDS_PER_ROW = 14e-6
REFERENCES = (100, 300, 1000)


def seconds(work: Callable[[], object], repeats: int = 7) -> float:
    """The fastest of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def margins(rows: int, seed: int) -> Tensor:
    """Teacher and student margins [rows, 2] that go together and pile up near 1."""
    generator = torch.Generator().manual_seed(seed)
    ability = torch.randn(rows, generator=generator)
    teacher = 1.5 * ability + torch.randn(rows, generator=generator)
    student = 2.5 * ability + 1 + 1.5 * torch.randn(rows, generator=generator)
    return torch.stack([teacher, student], dim=1).sigmoid()


def teacher_error(points: Tensor) -> Tensor:
    """A truth with a slope and a step."""
    step = 0.25 * (points[:, 1] > 0.8) * (points[:, 0] < 0.3)
    return 0.02 + 0.55 * torch.sigmoid(-8 * (points[:, 0] - 0.5)) * (1 - 0.6 * points[:, 1]) + step


def accuracy_table(console: Console, rows: int) -> None:
    query = margins(rows, 0)[:, 0]
    half = query.half()
    table = Table(
        "labels", "curve, M/s", "table, M/s", "np.interp, M/s", "bits that differ", title="Accuracy of a margin"
    )
    for size in REFERENCES:
        labelled = margins(size, 1)[:, 0]
        correct = torch.rand(size, generator=torch.Generator().manual_seed(2)) < 0.5 + 0.48 * labelled
        accuracy = isotonic_accuracy(labelled, correct)
        knots, values, array = accuracy.knots.numpy(), accuracy.values.numpy(), half.double().numpy()
        curve, lookup, peer = (
            rows / seconds(work) / 1e6
            for work in (
                lambda a=accuracy: a(half),
                lambda a=accuracy: a.lookup(half),
                lambda x=knots, y=values, q=array: np.interp(q, x, y),
            )
        )
        differing = int((accuracy(half) != accuracy.lookup(half)).sum())
        table.add_row(str(size), f"{curve:.1f}", f"{lookup:.0f}", f"{peer:.1f}", str(differing))
    console.print(table)


def neighbour_speed(console: Console, rows: int) -> None:
    query = margins(rows, 3)
    few = query[: max(1, rows // 100)]
    table = Table(
        "labels", "k", "cells", "exact, M/s", "k-d tree, M/s", "grid, M/s", "error exact", "error grid",
        title="Mean over nearest neighbours in (teacher margin, student margin)",
    )  # fmt: skip
    for size in REFERENCES:
        reference, k = margins(size, 4), num_neighbours(size)
        wrong = (torch.rand(size, generator=torch.Generator().manual_seed(5)) < teacher_error(reference)).float()
        values = torch.stack([wrong, 1 - wrong], dim=1)
        scale = reference.std(dim=0)
        array = values.numpy()

        def peer(reference: Tensor = reference, scale: Tensor = scale, k: int = k, array: object = array) -> object:
            return array[KDTree((reference / scale).numpy()).query((few / scale).numpy(), k)[1]].mean(axis=1)

        exact_answer = nearest_neighbour_mean(reference, values, few, k)
        exact = len(few) / seconds(lambda r=reference, v=values, k=k: nearest_neighbour_mean(r, v, few, k), 2) / 1e6
        tree = len(few) / seconds(peer, 3) / 1e6
        for cells in (16, 32, 64, 128, 256):
            grid = QuantileGrid.fit(reference, values, k, cells)
            speed = rows / seconds(lambda g=grid: g(query)) / 1e6
            errors = [
                (answer[:, 0] - teacher_error(few)).square().mean().sqrt().item()
                for answer in (exact_answer, grid(few))
            ]
            table.add_row(
                str(size),
                str(k),
                str(cells),
                f"{exact:.3f}",
                f"{tree:.2f}",
                f"{speed:.0f}",
                *(f"{e:.4f}" for e in errors),
            )
    console.print(table)


def rebuilding(console: Console) -> None:
    table = Table(
        "labels", "pool rows", "cells by rule", "fit, ms", "share of an epoch", "fit at 256 cells, ms",
        title="Rebuilding the grid every epoch",
    )  # fmt: skip
    for size in REFERENCES:
        reference, k = margins(size, 6), num_neighbours(size)
        values = margins(size, 7)
        full = seconds(lambda r=reference, v=values, k=k: QuantileGrid.fit(r, v, k, 256), 3)
        for pool in (5000, 10_000, 30_000, 100_000, 1_000_000):
            cells = num_cells(pool, k)
            fit = seconds(lambda r=reference, v=values, k=k, c=cells: QuantileGrid.fit(r, v, k, c))
            share = fit / (pool * EPOCH_SECONDS_PER_ROW)
            table.add_row(str(size), str(pool), str(cells), f"{fit * 1e3:.2f}", f"{share:.1%}", f"{full * 1e3:.0f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    console = Console(width=120)
    accuracy_table(console, arguments.rows)
    neighbour_speed(console, arguments.rows)
    rebuilding(console)


if __name__ == "__main__":
    main()
