"""What `--on ray` costs and gains on one machine: each command on Ray beside the same command in a plain loop, in turn.

    python benchmarks/scale.py label --rows 400000 --rounds 3     # a job of a minute or more
    python benchmarks/scale.py compare --rounds 3                 # twelve cells

One thread a task. `one` is a cluster of one node with one processor: what Ray costs. `two` has two nodes with one
processor each: what it gains where the machine has two processors for them. Ratios are of wall-clock seconds within a
round, in which the three follow each other in a drawn order; the interval is Student's over the rounds, of logarithms.
The cluster stands before the clock starts; the command with all its imports is timed. The bytes of all are compared.
"""

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import t as student_t

from overproof.synthetic import blobs

WAYS = {"local": 0, "one": 1, "two": 2}
TIMED = ("log.txt", "costs.jsonl", "report.html", ".lock")


@contextmanager
def cluster_of(num_nodes: int) -> Iterator[dict[str, str]]:
    """The environment of a command for a cluster of nodes with one processor each; none without nodes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    if not num_nodes:
        yield environment
        return
    from ray.cluster_utils import Cluster

    # A node of a busy machine is slow to answer, and not dead. Ray gives workers the least of its processors else.
    patient = {"health_check_timeout_ms": 120_000, "worker_niceness": 0}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": patient}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(num_nodes - 1):
            cluster.add_node(num_cpus=1)
        yield {**environment, "RAY_ADDRESS": cluster.address}
    finally:
        cluster.shutdown()


def given(folder: Path, what: str, num_rows: int, width: int) -> Path:
    """The experiment."""
    world = blobs(num_examples=num_rows, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    names = np.array(["red", "green", "blue"])
    pq.write_table(pa.table({**columns, "colour": pa.array(names[world.label.numpy()])}), folder / "rows.parquet")
    rows = {"labelled": 100, "test": 1000, "pool": num_rows - 1100}
    content = {
        "data": {"files": {"all": {"path": str(folder / "rows.parquet"), "label": "colour"}}, "rows": rows},
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "mlp", "options": {"hidden": [width, width]}},
        "methods": ["hard", "wd", "slam"],
        "train": {"epochs": 1},
        "seeds": [0, 1],
    }
    if what == "compare":
        (folder / "e.yaml").write_text(json.dumps({**content, "compare": {"labels": [50, 100]}}))
        return folder / "e.yaml"
    small = {**content, "methods": ["hard"], "seeds": [0]}
    small["data"] = {**content["data"], "rows": {**rows, "pool": 2000}}
    (folder / "teacher.yaml").write_text(json.dumps(small))
    overproof("run", folder / "teacher.yaml", folder / "teacher", dict(os.environ))
    content["teacher"] = {"model": str(folder / "teacher/students/seed-0/hard")}
    (folder / "e.yaml").write_text(json.dumps({**content, "seeds": [0]}))
    return folder / "e.yaml"


def overproof(command: str, file: Path, written: Path, environment: dict[str, str], *more: str) -> float:
    """The seconds of a command."""
    began = time.perf_counter()
    line = [sys.executable, "-m", "overproof", command, str(file), "--out", str(written), "--quiet", *more]
    subprocess.run(line, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def content(folder: Path) -> dict[str, bytes]:
    """All files that tell no time."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in TIMED)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def ratio(over: list[float], under: list[float]) -> str:
    """The geometric mean of ratios within a round, with its interval of 95 %."""
    logs = [math.log(a / b) for a, b in zip(over, under, strict=True)]
    mean, half = statistics.fmean(logs), math.nan
    if len(logs) > 1:
        half = float(student_t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return f"{math.exp(mean):.2f} [{math.exp(mean - half):.2f}, {math.exp(mean + half):.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["label", "compare"], nargs="?", default="compare")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=256, help="of the teacher or the students")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, seconds = Path(temporary), {way: list[float]() for way in WAYS}
        file, drawn = given(folder, chosen.what, chosen.rows, chosen.width), random.Random(0)
        for number in range(chosen.rounds):
            for way in drawn.sample(list(WAYS), len(WAYS)):
                with cluster_of(WAYS[way]) as environment:
                    on = ["--on", "ray"] if WAYS[way] else []
                    seconds[way].append(overproof(chosen.what, file, folder / way, environment, *on))
                print(f"round {number}, {way}: {seconds[way][-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            expected = content(folder / "local")
            assert content(folder / "one") == content(folder / "two") == expected, "other bytes"
            for way in WAYS:
                shutil.rmtree(folder / way)
        print(f"{chosen.what}: one node over local {ratio(seconds['one'], seconds['local'])}")
        print(f"{chosen.what}: one node over two {ratio(seconds['one'], seconds['two'])}")
        print(f"{chosen.what}: local over two {ratio(seconds['local'], seconds['two'])}")


if __name__ == "__main__":
    main()
