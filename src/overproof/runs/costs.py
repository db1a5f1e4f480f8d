"""What a run cost, as measured: a line of JSON a piece of work, beside the log. Never the same twice, so no result."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from overproof.processes import leads

FILE = "costs.jsonl"

Work = Literal["ask", "train", "answer"]
"""The teacher is asked, a student is trained, a student answers for the test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """One piece of work.

    Args:
        work: Which.
        row: The row of the table; the teacher's is "teacher".
        seed: The run's.
        seconds: By the clock.
        num_examples: Asked about, trained on, or answered for.
    """

    work: Work
    row: str
    seed: int
    seconds: float
    num_examples: int


@contextmanager
def measured(folder: Path, work: Work, row: str, seed: int, num_examples: int) -> Iterator[list[float]]:
    """Note how long the work inside took, where it ends well, and the seconds it puts in the list: for what was at hand
    already, and would have had to be done."""
    began, spared = time.perf_counter(), list[float]()
    yield spared
    note(folder, work, row, seed, num_examples, time.perf_counter() - began + sum(spared))


def note(folder: Path, work: Work, row: str, seed: int, num_examples: int, seconds: float) -> None:
    """Note what a piece of work took that was measured elsewhere."""
    cost = Cost(work=work, row=row, seed=seed, seconds=round(seconds, 4), num_examples=num_examples)
    if leads():
        with (folder / FILE).open("a") as file:
            file.write(json.dumps(asdict(cost)) + "\n")


def costs_of(folder: Path) -> Mapping[tuple[Work, str, int], Cost]:
    """The costs of a run by work, row and seed; of work done several times, which then found most of it done, the
    longest. A line that a kill cut short is left out."""
    found: dict[tuple[Work, str, int], Cost] = {}
    lines = (folder / FILE).read_text().splitlines() if (folder / FILE).exists() else []
    for line in lines:
        try:
            cost = Cost(**json.loads(line))
        except (ValueError, TypeError):
            continue
        key = (cost.work, cost.row, cost.seed)
        if key not in found or found[key].seconds < cost.seconds:
            found[key] = cost
    return found
