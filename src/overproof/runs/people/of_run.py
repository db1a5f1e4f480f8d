"""What labels of people are asked for and judged by: a seed of a run, its trained students and what they predict."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.data import Examples
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.models import load_student
from overproof.processes import HERE, Engine, Work
from overproof.runs.folder.resume import is_finished, student_folder
from overproof.runs.pipeline import Run

ROWS_MAPPED = 2**14
"""Rows of a piece that is predicted in another process: sixteen batches."""


def seed_of(run: Run, seed: int | None) -> int:
    """A seed of a run; the first by default.

    Raises:
        InputError: The run does not have it.
    """
    seeds = run.experiment.seeds
    if seed is not None and seed not in seeds:
        raise InputError(f"--seed is {seed}; the seeds of {run.folder} are {', '.join(map(str, seeds))}.")
    return seeds[0] if seed is None else seed


def trained(run: Run, seed: int, row: str) -> Path:
    """The folder of a trained student.

    Raises:
        InputError: The run has none of that row and seed; the message lists those that it has.
    """
    folder = student_folder(run.folder, seed, row)
    if not is_finished(folder):
        there = sorted(each.name for each in folder.parent.glob("*") if is_finished(each))
        raise InputError(
            f"{run.folder} has no trained student {row!r} of seed {seed}; there "
            f"{'is' if len(there) == 1 else 'are'} {listed(there) or 'none'}."
        )
    return folder


def probs_of(
    folder: Path, examples: Examples, *, engine: Engine = HERE, allow_import: frozenset[str] = frozenset()
) -> Float[Tensor, "N K"]:
    """The probabilities of a trained student for examples in memory or on disk.

    Args:
        folder: The student's; code that it names must be allowed (`overproof.models.importing.allowing`).
        examples: N of them.
        engine: Where pieces of them are predicted.
        allow_import: Import paths that the user named, for other processes.
    """
    student = load_student(folder)
    if not engine.remote:
        return student.probs(examples if examples.mapped else student.encode(examples)).cpu()
    work: Work[Examples, Tensor] = Work(
        what="piece", here=student.probs, elsewhere=lambda: partial(_loaded_elsewhere, folder, allow_import)
    )
    # Whole batches, so that they are the same as in this process.
    parts = (examples.take(rows).in_memory() for rows in torch.arange(len(examples)).split(ROWS_MAPPED))
    return torch.cat([torch.empty(0, len(student.class_names)), *engine.map(work, parts)])


def _loaded_elsewhere(folder: Path, allow_import: frozenset[str]) -> Callable[[Examples], Tensor]:
    """The probabilities of a student that another process loads: its files are checked with their manifest."""
    return load_student(folder, allow_import=allow_import).probs
