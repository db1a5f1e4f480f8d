"""What a run cost, as measured: a line of JSON for each task, beside the log. It differs from run to run."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from overproof.processes import leads
from overproof.storage import checked

FILE = "costs.jsonl"

Task = Literal["ask", "train", "answer"]
"""The teacher answers all roles, a student is trained, a student answers the test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The cost of one task.

    Args:
        work: Which task.
        row: The row of the table; the teacher's is "teacher".
        seed: The run's.
        seconds: Wall-clock time.
        num_examples: Answered, or trained on.
    """

    work: Task
    row: str
    seed: int
    seconds: float
    num_examples: int


@contextmanager
def measured(folder: Path, task: Task, row: str, seed: int, num_examples: int) -> Iterator[list[float]]:
    """Note how long the task inside took, if it ends well.

    Yields:
        A list of seconds to be added: of work that was found done and would have been part of the task.
    """
    began, saved = time.perf_counter(), list[float]()
    yield saved
    note(folder, task, row, seed, num_examples, time.perf_counter() - began + sum(saved))


def note(folder: Path, task: Task, row: str, seed: int, num_examples: int, seconds: float) -> None:
    """Note the seconds of a task that were measured elsewhere."""
    cost = Cost(work=task, row=row, seed=seed, seconds=round(seconds, 4), num_examples=num_examples)
    if leads():
        with (folder / FILE).open("a") as file:
            file.write(json.dumps(checked.sealed(asdict(cost))) + "\n")


def costs_of(folder: Path) -> Mapping[tuple[Task, str, int], Cost]:
    """The costs of a run by task, row and seed.

    Of a task noted several times the longest counts: the others found most of it done. A line that a kill cut short, or
    that is damaged, is left out.
    """
    found: dict[tuple[Task, str, int], Cost] = {}
    lines = (folder / FILE).read_text(errors="replace").splitlines() if (folder / FILE).exists() else []
    for line in lines:
        try:
            content = json.loads(line)
            # Lines of earlier versions have no digest.
            cost = Cost(**(content if "blake2b" not in content else checked.unsealed(content)))
        except (ValueError, TypeError, checked.Damaged):
            continue
        key = (cost.work, cost.row, cost.seed)
        if key not in found or found[key].seconds < cost.seconds:
            found[key] = cost
    return found
