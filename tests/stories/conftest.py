"""What the stories share: commands as real processes, and files as somebody has them."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

Command = Callable[..., subprocess.CompletedProcess]

TOPICS = {
    "Billing": "invoice charge refund payment card price bill",
    "Login": "password account locked signin reset code email",
    "Delivery": "parcel late courier address tracking box shipped",
}


@pytest.fixture
def overproof(tmp_path) -> Command:
    """Runs `overproof WORDS` in an empty folder as a process of its own; a failure shows what it said."""

    def run(*words: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "overproof", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def tickets(write_csv) -> list[list[str]]:
    """tickets.csv: 360 texts of three topics, of which every third has a label. Returns its rows with all labels."""
    draw, rows = np.random.default_rng(0), []
    names = list(TOPICS)
    for i in range(360):
        topic = names[draw.integers(3)]
        words = [*draw.choice(TOPICS[topic].split(), 3), *draw.choice(["hello", "please", "today", "my", "the"], 4)]
        rows.append([f"T{i:04d}", f"{' '.join(draw.permutation(words))} {i}", topic])
    write_csv(
        "tickets.csv",
        ["ticket_id", "body", "queue"],
        [[*r[:2], r[2] * (i % 3 == 0)] for i, r in enumerate(rows)],
    )
    return rows


@pytest.fixture
def write_csv(tmp_path) -> Callable[[str, list[str], list[list[str]]], None]:
    """Writes a CSV file: its name, its columns, its rows."""

    def write(name: str, head: list[str], rows: list[list[str]]) -> None:
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows])

    return write


@pytest.fixture
def read_csv(tmp_path) -> Callable[[str], list[dict[str, str]]]:
    """Reads a CSV file by its name."""

    def read(name: str) -> list[dict[str, str]]:
        with (tmp_path / name).open(newline="") as file:
            return list(csv.DictReader(file))

    return read
