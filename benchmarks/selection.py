"""Choosing a million of a hundred million rows: time against one plain read of the scores, and memory, beside others.

    python benchmarks/selection.py [--rows 100000000] [--rounds 3] [--only WORD]     (pip install -e '.[bench]')

Some minutes on one core, 2.5 GB of temporary files. Every row is a process of its own, of one thread, that maps the
same files. Seconds are of the processor, the least of some rounds, because wall time on a busy machine says little; a
plain read is the sum of the scores, timed in the same process. Memory is what a contender needs beyond those files.
Every contender's choice is checked: the scores chosen must be those of a full sort, the quotas met.

Expected: confident at about five reads and below 100 MB, per class at about 26; NumPy's argpartition at three times as
many reads and 800 MB, torch, databases and data frames at sixteen times as many and more.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from overproof.methods import selectors as select

BLOCK = 10**7
CLASSES = 10
BINS = 1024


def write_pool(folder: Path, rows: int) -> None:
    """Margins of a teacher: many near one, none equal but by chance; classes of unequal size; content ids."""
    draw = np.random.default_rng(0)
    with (
        (folder / "score").open("wb") as score,
        (folder / "label").open("wb") as label,
        (folder / "id").open("wb") as ids,
    ):
        for start in range(0, rows, BLOCK):
            num = min(BLOCK, rows - start)
            score.write((1 - draw.random(num) ** 3).astype(np.float32).tobytes())
            label.write((draw.random(num) ** 2 * CLASSES).astype(np.int16).tobytes())
            ids.write(draw.bytes(16 * num))


class Pool:
    """The files, mapped."""

    def __init__(self, folder: Path) -> None:
        self.score = np.memmap(folder / "score", np.float32, "r")
        self.label = np.memmap(folder / "label", np.int16, "r")
        self.ids = np.memmap(folder / "id", "V16", "r")
        self.budget = len(self.score) // 100
        self.quota = self.budget // CLASSES


# --- the contenders: a pool -> the chosen rows


def argpartition(pool: Pool) -> np.ndarray:
    return np.argpartition(pool.score, len(pool.score) - pool.budget)[-pool.budget :]


def argsort(pool: Pool) -> np.ndarray:
    return np.argsort(pool.score)[-pool.budget :]


def topk(pool: Pool) -> np.ndarray:
    import torch

    warnings.simplefilter("ignore")  # that the map is not writable
    return torch.from_numpy(np.asarray(pool.score)).topk(pool.budget, sorted=False).indices.numpy()


def _duckdb(pool: Pool, query: str) -> np.ndarray:
    import duckdb
    import pyarrow as pa

    # DuckDB numbers no rows of a table that is not its own, so the numbers are a column.
    table = pa.table({"score": pool.score, "label": pool.label, "number": np.arange(len(pool.score), dtype=np.int32)})
    connection = duckdb.connect(config={"threads": 1, "memory_limit": "6GB"})
    connection.register("pool", table)
    return connection.execute(query).fetchnumpy()["number"]


def duckdb_top(pool: Pool) -> np.ndarray:
    return _duckdb(pool, f"SELECT number FROM pool ORDER BY score DESC LIMIT {pool.budget}")


def duckdb_per_class(pool: Pool) -> np.ndarray:
    ranked = "row_number() OVER (PARTITION BY label ORDER BY score DESC)"
    return _duckdb(pool, f"SELECT number FROM pool QUALIFY {ranked} <= {pool.quota}")


def polars_top(pool: Pool) -> np.ndarray:
    import polars

    frame = polars.DataFrame({"score": pool.score}).with_row_index("number")
    return frame.lazy().top_k(pool.budget, by="score").collect()["number"].to_numpy()


def polars_per_class(pool: Pool) -> np.ndarray:
    import polars

    frame = polars.DataFrame({"score": pool.score, "label": pool.label}).with_row_index("number")
    best = polars.col("number").top_k_by("score", pool.quota)
    return frame.lazy().group_by("label").agg(best).explode("number").collect()["number"].to_numpy()


def argpartition_per_class(pool: Pool) -> np.ndarray:
    chosen = []
    for index in range(CLASSES):
        rows = np.flatnonzero(pool.label == index)
        chosen.append(rows[np.argpartition(pool.score[rows], len(rows) - pool.quota)[-pool.quota :]])
    return np.concatenate(chosen)


def histogram_per_class(pool: Pool) -> np.ndarray:
    """Two passes: a class times 1024 histogram, then the rows of the bins that matter. Scores must lie in [0, 1]."""
    blocks = [slice(start, start + 2**16) for start in range(0, len(pool.score), 2**16)]

    def cells(block: slice) -> np.ndarray:
        bins = (pool.score[block] * np.float32(BINS)).astype(np.int32).clip(max=BINS - 1)
        return pool.label[block].astype(np.int32) * BINS + bins

    counts = np.zeros(CLASSES * BINS, np.int64)
    for block in blocks:
        counts += np.bincount(cells(block), minlength=len(counts))
    above = counts.reshape(CLASSES, BINS)[:, ::-1].cumsum(axis=1)
    last = BINS - 1 - (above < pool.quota).sum(axis=1)
    wanted = np.arange(BINS) >= last[:, None]
    kept = [np.flatnonzero(wanted.reshape(-1)[cells(block)]) + block.start for block in blocks]
    rows = np.concatenate(kept)
    chosen = []
    for index in range(CLASSES):
        mine = rows[pool.label[rows] == index]
        chosen.append(mine[np.argpartition(pool.score[mine], len(mine) - pool.quota)[-pool.quota :]])
    return np.concatenate(chosen)


GLOBAL: dict[str, Callable[[Pool], np.ndarray]] = {
    "overproof confident": lambda pool: select.confident(pool.score, pool.budget),
    "overproof confident, content ids": lambda pool: select.confident(pool.score, pool.budget, pool.ids),
    "numpy argpartition": argpartition,
    "numpy argsort": argsort,
    "torch topk": topk,
    "DuckDB order by, limit": duckdb_top,
    "Polars top_k": polars_top,
}
PER_CLASS: dict[str, Callable[[Pool], np.ndarray]] = {
    "overproof per_class": lambda pool: select.per_class(pool.score, pool.label, pool.quota),
    "overproof per_class, content ids": lambda pool: select.per_class(pool.score, pool.label, pool.quota, pool.ids),
    "two-pass histogram, numpy": histogram_per_class,
    "numpy argpartition of every class": argpartition_per_class,
    "DuckDB row_number over": duckdb_per_class,
    "Polars group_by, top_k_by": polars_per_class,
}


def constant(pool: Pool) -> np.ndarray:
    return np.ones_like(pool.score)


def tied(pool: Pool) -> np.ndarray:
    """Two thirds of the scores are equal, and the highest."""
    return np.minimum(pool.score, np.float32(0.7))


HARD: dict[str, tuple[Callable[[Pool], np.ndarray], Callable[[np.ndarray, Pool], np.ndarray]]] = {
    "confident, sorted": (lambda pool: np.sort(pool.score), lambda score, pool: select.confident(score, pool.budget)),
    "confident, sorted falling": (
        lambda pool: np.ascontiguousarray(np.sort(pool.score)[::-1]),
        lambda score, pool: select.confident(score, pool.budget),
    ),
    "confident, two thirds tied": (tied, lambda score, pool: select.confident(score, pool.budget)),
    "confident, two thirds tied, content ids": (
        tied,
        lambda score, pool: select.confident(score, pool.budget, pool.ids),
    ),
    "confident, constant": (
        lambda pool: np.ones_like(pool.score),
        lambda score, pool: select.confident(score, pool.budget),
    ),
    "per_class, two thirds tied": (tied, lambda score, pool: select.per_class(score, pool.label, pool.quota)),
    "random": (lambda pool: pool.score, lambda score, pool: select.random(len(score), pool.budget)),
    "adaptive": (lambda pool: pool.score, lambda score, pool: select.adaptive(score, pool.label)),
}


# --- one contender, in its own process


def memory_bytes(reset: bool = False) -> tuple[int, int]:
    """The most this process has held since the last reset, and what it holds now."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024, int(status["VmRSS"].split()[0]) * 1024


def seconds_of(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(folder: Path, name: str, rounds: int) -> dict[str, float]:
    pool = Pool(folder)
    if name in HARD:
        make, choose = HARD[name]
        score = make(pool)
    else:
        score, choose = pool.score, lambda _, pool: {**GLOBAL, **PER_CLASS}[name](pool)
    pool.label.max(), pool.ids.view(np.uint8).max()  # all pages are there before anything is measured
    reads = [seconds_of(lambda: score.sum()) for _ in range(5)]
    _, before = memory_bytes(reset=True)
    chosen: list[np.ndarray] = []
    taken, wall = [], []
    for _ in range(rounds):
        chosen.clear()
        start = time.perf_counter()
        taken.append(seconds_of(lambda: chosen.append(choose(score, pool))))
        wall.append(time.perf_counter() - start)
        reads.append(seconds_of(lambda: score.sum()))
    peak, _ = memory_bytes()
    check(name, score, pool, np.asarray(chosen[0]))
    return {"read": min(reads), "seconds": min(taken), "wall": min(wall), "extra": max(peak - before, 0)}


def check(name: str, score: np.ndarray, pool: Pool, rows: np.ndarray) -> None:
    """The chosen scores are those of a full sort."""
    if name in ("random", "adaptive"):
        assert (np.diff(rows) > 0).all()
        return
    groups = [slice(None)]
    if "class" in name or name in PER_CLASS:
        groups = [pool.label == index for index in range(CLASSES)]
    each = len(rows) // len(groups)
    for group in groups:
        best = np.sort(np.asarray(score[group]))[-each:]
        own = rows if isinstance(group, slice) else rows[group[rows]]
        np.testing.assert_array_equal(np.sort(score[own]), best)
    assert len(np.unique(rows)) == len(rows) == pool.budget


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders whose name holds this word")
    parser.add_argument("--in-folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_folder is not None:
        print(json.dumps(measure(options.in_folder, options.only, options.rounds)))
        return
    with tempfile.TemporaryDirectory() as name:
        write_pool(Path(name), options.rows)
        print(f"{options.rows // 100:,} of {options.rows:,} rows, {CLASSES} classes, one thread\n")
        for title, contenders in (("the highest", GLOBAL), ("the highest of each class", PER_CLASS), ("others", HARD)):
            print(f"| {title} | plain reads | CPU seconds | wall seconds | extra memory, MB |\n|---|---|---|---|---|")
            for contender in contenders:
                if options.only in contender:
                    command = [sys.executable, __file__, "--in-folder", name, "--only", contender]
                    done = subprocess.run(
                        [*command, "--rounds", str(options.rounds)],
                        stdout=subprocess.PIPE,
                        text=True,
                        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
                    )
                    if done.returncode:
                        print(f"| {contender} | failed (exit {done.returncode}) | | | |", flush=True)
                        continue
                    found = json.loads(done.stdout.splitlines()[-1])
                    print(
                        f"| {contender} | {found['seconds'] / found['read']:.1f} | {found['seconds']:.2f} | "
                        f"{found['wall']:.2f} | {found['extra'] / 1e6:,.0f} |",
                        flush=True,
                    )
            print()


if __name__ == "__main__":
    main()
