"""The cells of a run, one for each student: which are trained, and what trains one, here or in another process."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from overproof.processes import wait_for_all
from overproof.progress import Progress, Silent
from overproof.runs.caches import Caches
from overproof.runs.folder.resume import is_finished, remove_checkpoints
from overproof.runs.folder.steps import working_on
from overproof.runs.part import Part
from overproof.runs.seed_inputs import SeedInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One student to be trained.

    Args:
        run: The name of its run's folder.
        part: The number of its part: 0 is the whole run, then its folds.
        seed: Its seed.
        row: Its row of the table.
        called: What its part is called beside row and seed; empty for the whole run.
    """

    run: str
    part: int
    seed: int
    row: str
    called: str

    def __str__(self) -> str:
        return f"{self.row}, seed {self.seed}{self.called}"


def cells_of(run: str, parts: Sequence[Part], seeds: Sequence[int]) -> list[Cell]:
    """A cell for each student, in the order in which one process trains them.

    Args:
        run: The name of the run's folder.
        parts: The run's.
        seeds: The run's.
    """
    return [
        Cell(run=run, part=number, seed=seed, row=each.row, called=part.name)
        for (number, part), seed in itertools.product(enumerate(parts), seeds)
        for each in part.students.rows(seed)
    ]


def unfinished(parts: Sequence[Part], cells: Sequence[Cell]) -> list[Cell]:
    """Those of some cells whose students are not trained yet; what a kill left of the others is removed.

    Args:
        parts: The run's.
        cells: The run's.
    """
    folders: Mapping[Cell, Path] = {cell: parts[cell.part].student_folder(cell.seed, cell.row) for cell in cells}
    left = [cell for cell, folder in folders.items() if not is_finished(folder)]
    # All processes must have checked the finished students before one of them writes.
    wait_for_all()
    for cell, folder in folders.items():
        if cell not in left:
            remove_checkpoints(folder)
    return left


def training(parts: Sequence[Part]) -> Callable[[Cell], Cell]:
    """A function that trains the student of a cell. One seed's encoded examples are held at a time.

    Args:
        parts: The run's.
    """
    held = dict[tuple[int, int], SeedInputs]()

    def train(cell: Cell) -> Cell:
        place = (cell.part, cell.seed)
        if place not in held:
            held.clear()
            held[place] = parts[cell.part].students.inputs_of(cell.seed)
        parts[cell.part].train(held[place], cell.row)
        return cell

    return train


# --- in another process


@runtime_checkable
class Trainer(Protocol):
    """A run whose students may be trained in another process: a dataclass, of which a copy has read nothing yet."""

    @property
    def folder(self) -> Path: ...

    @property
    def allow_import(self) -> frozenset[str]: ...

    @property
    def progress(self) -> Progress: ...

    @property
    def caches(self) -> Caches: ...

    def verify_inputs(self) -> None:
        """Check that its files are those that it was begun with."""
        ...

    def trains(self) -> Callable[[Cell], Cell]:
        """As `training`."""
        ...


def opening_of(runs: Sequence[Trainer]) -> Callable[[], Callable[[Cell], Cell]]:
    """What opens runs in another process, where it gives a function that trains the student of a cell.

    Args:
        runs: Begun, their answers stored, in folders that both processes see.
    """
    made: Any = replace  # the runs are dataclasses, whatever else
    return partial(_opened_elsewhere, [made(each, progress=Silent(), caches=each.caches.elsewhere()) for each in runs])


def _opened_elsewhere(runs: Sequence[Any]) -> Callable[[Cell], Cell]:
    by_name = {each.folder.name: each for each in runs}
    opened = dict[str, tuple[Trainer, Callable[[Cell], Cell]]]()

    def train(cell: Cell) -> Cell:
        if cell.run not in opened:
            # One run at a time is held in memory.
            opened.clear()
            run = replace(by_name[cell.run])
            with working_on(run):
                run.verify_inputs()
                opened[cell.run] = run, run.trains()
        run, trains = opened[cell.run]
        with working_on(run):
            return trains(cell)

    return train
