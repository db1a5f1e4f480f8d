"""Pools larger than memory: peak memory and time of a whole run, and what training from disk costs beside memory.

    python benchmarks/streaming.py table --rows 10000000
    python benchmarks/streaming.py text --rows 10000000
    python benchmarks/streaming.py image --rows 1000000

Each first makes its pool (rows of numbers and a word around the centres of their classes; lines of twelve words that
follow a Zipf law; Fashion-MNIST, shifted and noised), then runs `overproof run` on it in
a process of its own whose peak resident memory, mapped pages and all, the system reports. Then, on a part of the pool
that fits both, students are trained from disk and from memory in turns, and the ratio of their speeds is taken within
each turn. One thread. `--keep` leaves the pool and the run where they are.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import yaml

from overproof.methods.published import method
from overproof.progress import Silent
from overproof.runs.experiment import Experiment, experiment_from
from overproof.runs.pipeline import Run
from overproof.training.distillation import distilled
from overproof.training.examples import TrainingData

NUM_LABELLED, NUM_TEST, ROWS_PER_SHARD, ROWS_MADE, ROUNDS = 2_000, 10_000, 500_000, 50_000, 5
NUM_COLUMNS, NUM_CLASSES = 12, 4
IDX = ("images-idx3", "labels-idx1")


def table_rows(num: int, seed: int) -> pa.Table:
    """Numbers around the centre of each row's class, and a word that goes with the class in half of the rows."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, NUM_CLASSES, num)
    centres = np.random.default_rng(0).normal(size=(NUM_CLASSES, NUM_COLUMNS))
    values = (centres[label] + 2.0 * rng.normal(size=(num, NUM_COLUMNS))).astype(np.float32)
    words = np.array(["red", "green", "blue", "grey"])
    columns: dict[str, Any] = {f"x{index}": values[:, index] for index in range(NUM_COLUMNS)}
    columns["word"] = words[np.where(rng.random(num) < 0.5, label, rng.integers(0, NUM_CLASSES, num))]
    return pa.table({**columns, "y": label})


def text_rows(num: int, seed: int) -> pa.Table:
    """Lines of twelve words, drawn from a Zipf law whose head is another for every class, and a number."""
    rng = np.random.default_rng(seed)
    spelled = np.random.default_rng(0)
    syllables = [first + second for first in "bdfgklmnprst" for second in "aeiou"]
    words = np.array(["".join(spelled.choice(syllables, 3)) for _ in range(20_000)])
    label = rng.integers(0, NUM_CLASSES, num)
    ranks = np.minimum(rng.zipf(1.3, size=(num, 12)) - 1, len(words) // 2 - 1)
    # A third of the words speak of the class.
    own = rng.random((num, 12)) < 0.33
    chosen = words[np.where(own, len(words) // 2 + (ranks * NUM_CLASSES + label[:, None]) % (len(words) // 2), ranks)]
    lines = pa.array(chosen.ravel(), pa.string())
    offsets = pa.array(np.arange(num + 1) * 12, pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, lines), " ")
    numbered = pc.binary_join_element_wise(joined, pa.array(seed + np.arange(num)).cast(pa.string()), " ")
    return pa.table({"line": numbered, "y": label})


def write_shards(folder: Path, name: str, num: int, seed: int, make: Any, *, labelled: bool) -> None:
    """Rows as Parquet files of half a million each."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, num, ROWS_PER_SHARD):
        few = range(start, min(start + ROWS_PER_SHARD, num), ROWS_MADE)
        rows = pa.concat_tables([make(min(ROWS_MADE, num - at), seed + at) for at in few])
        rows = rows if labelled else rows.drop_columns(["y"])
        pq.write_table(rows, folder / f"{name}-{start // ROWS_PER_SHARD:03d}.parquet", row_group_size=2**16)


def write_images(folder: Path, name: str, num: int, seed: int, part: str) -> None:
    """Fashion-MNIST, each image shifted by up to two pixels and noised a little, so that no two are the same."""
    home = Path("/usr/share/datasets/fashion-mnist")
    images_in, labels_in = (gzip.decompress((home / f"{part}-{word}-ubyte.gz").read_bytes()) for word in IDX)
    pixels, label = (
        np.frombuffer(images_in, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels_in, np.uint8, offset=8),
    )
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(pixels), num)
    images = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.dtype(np.uint8), (num, 28, 28))
    for start in range(0, num, 500):
        some = pixels[chosen[start : start + 500]].astype(np.int16)
        some = np.roll(some, tuple(rng.integers(-2, 3, 2)), axis=(1, 2)) + rng.integers(0, 4, some.shape, np.int16)
        images[start : start + 500] = some.clip(max=255)
    images.flush()
    np.save(folder / f"{name}-label.npy", label[chosen].astype(np.int64))


def content(kind: str, folder: Path, num: int) -> dict[str, Any]:
    """Write what is not there yet, and the experiment on it."""
    data, done = folder / "data", folder / "data" / f"{kind}-{num}.done"
    files: dict[str, Any]
    if kind == "image":
        if not done.exists():
            for name, rows, part in (
                ("labelled", NUM_LABELLED, "train"),
                ("pool", num, "train"),
                ("test", NUM_TEST, "t10k"),
            ):
                write_images(data, name, rows, len(name), part)
        files = {
            role: {
                "path": str(data / f"{role}.npy"),
                **({} if role == "pool" else {"label": str(data / f"{role}-label.npy")}),
            }
            for role in ("labelled", "pool", "test")
        }
        student, teacher = (
            {"name": "mlp", "options": {"hidden": [64]}},
            {"model": "linear", "folds": 2, "train": {"epochs": 5}},
        )
    else:
        make = table_rows if kind == "table" else text_rows
        if not done.exists():
            for role, rows, seed in (("labelled", NUM_LABELLED, 1), ("pool", num, 10), ("test", NUM_TEST, 2)):
                write_shards(data / role, role, rows, seed, make, labelled=role != "pool")
        column = {} if kind == "table" else {"input": "line"}
        files = {
            role: {"path": str(data / role), **column, **({} if role == "pool" else {"label": "y"})}
            for role in ("labelled", "pool", "test")
        }
        student = (
            {"name": "mlp", "options": {"hidden": [64]}}
            if kind == "table"
            else {"name": "ngram", "options": {"characters": None}}
        )
        teacher = (
            {"model": "sklearn.linear_model:LogisticRegression", "folds": 2}
            if kind == "table"
            else {
                "model": "ngram",
                "options": {"characters": None, "buckets": 2**14},
                "folds": 2,
                "train": {"epochs": 5},
            }
        )
    done.touch()
    return {
        "data": {"files": files, "on_disk": "always"},
        "teacher": teacher,
        "student": student,
        "train": {"epochs": 1, "batch_size": 4096 if kind == "table" else 1024},
        "methods": ["hard"],
        "seeds": [0],
    }


def whole_run(told: dict[str, Any], folder: Path, kind: str, num: int) -> None:
    """`overproof run` in a process of its own: seconds by step, peak memory, disk."""
    (folder / "experiment.yaml").write_text(yaml.safe_dump(told))
    began = time.perf_counter()
    command = [sys.executable, "-m", "overproof", "run", str(folder / "experiment.yaml"), "--out", str(folder / "run")]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    sizes = {
        each.name: sum(path.stat().st_size for path in each.rglob("*") if path.is_file()) / 2**30
        for each in (folder / "run").iterdir()
        if each.is_dir()
    }
    print(f"{kind}, {num:,} rows: {seconds:.0f} s in all, peak resident memory {peak:.2f} GiB")
    print(f"  on disk: {', '.join(f'{name} {size:.2f} GiB' for name, size in sizes.items())}")
    print("  " + (folder / "run/log.txt").read_text().replace("\n", "\n  "))
    accuracy = {
        row["method"]: row["metrics"]["accuracy"]
        for row in json.loads((folder / "run/result.json").read_text())["rows"]
    }
    print(f"  accuracy: {accuracy}")


def beside(told: dict[str, Any], folder: Path, num_beside: int) -> None:
    """Training from disk and from memory in turns, on the same rows."""
    materials = {}
    for where in ("never", "always"):
        change = [f"data.on_disk={where}", f"data.rows.pool={num_beside}"]
        experiment: Experiment = experiment_from(told, change)
        work = Run(experiment=experiment, folder=folder / f"beside-{where}", progress=Silent())
        work.label()
        materials[where] = (experiment, work._whole.students.inputs_of(0))
    seconds: dict[str, list[tuple[float, float]]] = {where: [] for where in materials}
    for turn in range(ROUNDS):
        for where in ("never", "always") if turn % 2 else ("always", "never"):
            seconds[where].append(one_training(*materials[where]))
    print(f"  {num_beside:,} rows, {ROUNDS} trainings from memory and from disk in turns:")
    for index, clock in enumerate(("processor", "wall")):
        memory, disk = ([each[index] for each in seconds[where]] for where in ("never", "always"))
        ratio = [one / other for one, other in zip(memory, disk, strict=True)]
        print(
            f"    by {clock} time {num_beside / statistics.median(memory):,.0f} and "
            f"{num_beside / statistics.median(disk):,.0f} examples/s, ratio {statistics.median(ratio):.3f} "
            f"({min(ratio):.3f} to {max(ratio):.3f})"
        )


def one_training(experiment: Experiment, material: Any) -> tuple[float, float]:
    """Processor and wall seconds of one training; machines that others use too make the second say little."""
    processor, wall = time.process_time(), time.perf_counter()
    distilled(
        material.fresh(),
        TrainingData(inputs=material.inputs, labelled=material.answered["labelled"], pool=material.answered["pool"]),
        method=method("hard"),
        options=experiment.train,
        seed=0,
    )
    return time.process_time() - processor, time.perf_counter() - wall


def main() -> None:
    """Parse words, make the pool, measure."""
    words = argparse.ArgumentParser()
    words.add_argument("kind", choices=["table", "text", "image"])
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--beside", type=int, default=500_000)
    words.add_argument("--folder", type=Path, default=Path("runs/streaming"))
    words.add_argument("--keep", action="store_true")
    words.add_argument("--only-beside", action="store_true")
    chosen = words.parse_args()
    torch.set_num_threads(1)
    folder: Path = chosen.folder / chosen.kind
    folder.mkdir(parents=True, exist_ok=True)
    told = content(chosen.kind, folder, chosen.rows)
    if not chosen.only_beside:
        whole_run(told, folder, chosen.kind, chosen.rows)
    beside(told, folder, min(chosen.beside, chosen.rows))
    if not chosen.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
