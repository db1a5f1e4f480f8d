"""What a run will take, before it is begun: rows, steps, disk, memory and time. All but the rows are estimates."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from overproof.answers.predictions import MAX_ALL_KEPT, NUM_KEPT
from overproof.errors import InputError
from overproof.runs.experiment import Experiment, MethodOptions
from overproof.runs.measuring import Rates, Sizes, measure, sizes
from overproof.runs.preflight import preflight
from overproof.training.options import TrainOptions, batch_sizes

ROWS_PER_SHARD = 4096
"""Answers in a file."""

BASE_BYTES = 450 * 2**20
"""What Python, torch and the libraries take before the first example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run will take.

    Args:
        counts: Examples by role.
        exact: Whether they were counted.
        class_names: The classes.
        on_disk: Roles whose inputs lie on disk.
        num_shards: Files of answers.
        num_students: Students that the table shows.
        num_peers: Students that rounds of peers train besides, at most.
        steps: Steps of a training, by row; fits at most, where the student is fitted whole.
        fitted: Whether it is, as estimators like scikit-learn's are: they take no steps.
        encoded_bytes: All that students read, encoded.
        memory_bytes: At the highest.
        disk_bytes: What the run leaves in its folder.
        train_seconds: For all students.
        teacher_seconds: For all answers; None where only training the teacher would tell.
    """

    counts: Mapping[str, int]
    exact: bool
    class_names: tuple[str, ...]
    on_disk: tuple[str, ...]
    num_shards: int
    num_students: int
    num_peers: int
    steps: Mapping[str, int]
    fitted: bool
    encoded_bytes: int
    memory_bytes: int
    disk_bytes: int
    train_seconds: float
    teacher_seconds: float | None

    def sentence(self) -> str:
        """The plan in one line.

        Example:
            >>> plan = Plan(
            ...     counts={"pool": 5000},
            ...     exact=True,
            ...     class_names=("no", "yes"),
            ...     on_disk=(),
            ...     num_shards=2,
            ...     num_students=15,
            ...     num_peers=0,
            ...     steps={"soft": 700},
            ...     fitted=False,
            ...     encoded_bytes=0,
            ...     memory_bytes=2**30,
            ...     disk_bytes=2**20,
            ...     train_seconds=130.0,
            ...     teacher_seconds=None,
            ... )
            >>> plan.sentence()
            'About 2 min to train 15 students (the teacher besides), 1.0 GiB of memory and 1.0 MiB of disk (estimates).'
        """
        teacher = (
            "the teacher besides" if self.teacher_seconds is None else f"the teacher {_time(self.teacher_seconds)}"
        )
        peers = f" and at most {self.num_peers} peers" if self.num_peers else ""
        return (
            f"About {_time(self.train_seconds)} to train {self.num_students} students{peers} ({teacher}), "
            f"{_size(self.memory_bytes)} of memory and {_size(self.disk_bytes)} of disk (estimates)."
        )

    def lines(self) -> list[tuple[str, str]]:
        """The plan as names and values."""
        counted = "counted" if self.exact else "about, from the files' first lines and schemas"
        steps = " or ".join(f"{each:,}" for each in sorted(set(self.steps.values())))
        whole = "the student is fitted whole, without steps; again where weights or targets move with it"
        return [
            ("examples", f"{', '.join(f'{role} {count:,}' for role, count in self.counts.items())} ({counted})"),
            ("inputs", f"on disk: {', '.join(self.on_disk)}" if self.on_disk else "in memory"),
            (
                "classes",
                f"{len(self.class_names)}: {', '.join(self.class_names[:10])}{' …' * (len(self.class_names) > 10)}",
            ),
            ("answers", f"{self.num_shards:,} shards of at most {ROWS_PER_SHARD:,} rows"),
            ("students", f"{self.num_students}: {', '.join(self.steps)}"),
            *([("peers", f"at most {self.num_peers}, each on half of the pool")] if self.num_peers else []),
            ("fits", f"at most {steps} a training ({whole})") if self.fitted else ("steps", f"{steps} a training"),
            ("encoded", _size(self.encoded_bytes)),
            ("memory", f"{_size(self.memory_bytes)} (estimate)"),
            ("disk", f"{_size(self.disk_bytes)} (estimate)"),
            ("time", f"{_time(self.train_seconds)} for all students (estimate, from a short measurement here)"),
            (
                "",
                "the teacher's time is not estimated"
                if self.teacher_seconds is None
                else f"{_time(self.teacher_seconds)} for the teacher's answers (estimate)",
            ),
        ]


def plan(experiment: Experiment, found: Sizes, rates: Rates) -> Plan:
    """Put together how much there is and what was measured."""
    counts, seeds = found.counts, len(experiment.seeds)
    num_pool, num_labelled = counts.get("pool", 0), counts.get("labelled", 0)
    rows = [*experiment.rows(), *([MethodOptions(method="hard", name="oracle")] if found.knows_truth else [])]
    options = {each.row: experiment.train_options(each) for each in rows}
    steps = {row: _num_steps(each, num_labelled, num_pool) for row, each in options.items()}
    trainings = {each.row: each.build().num_trainings for each in rows}
    peers = {each.row: each.rounds.most * _num_folds(experiment, each) for each in rows}
    num_steps = sum(steps[row] * (trainings[row] + peers[row] / 2) for row in steps)
    everyone = sum(counts.values())
    trained_on = everyone - counts.get("test", 0)
    encoded = trained_on * rates.encoded_bytes
    forward = rates.step_seconds / experiment.train.batch_size / 3
    seconds = seeds * (
        num_steps * rates.step_seconds
        + trained_on * rates.encode_seconds
        + len(rows) * (counts.get("test", 0) * (rates.encode_seconds + forward) + num_pool * forward)
    )
    kept = len(found.class_names) if len(found.class_names) <= MAX_ALL_KEPT else NUM_KEPT
    answer_bytes, scorers = 4 * kept + 12, len(experiment.scorers)
    asked = everyone + (num_pool * experiment.teacher.folds if experiment.has_rounds else 0)
    mapped = sum(counts.get(role, 0) for role in found.on_disk)
    student_bytes = 4 * rates.num_parameters
    in_memory = (everyone - mapped) * rates.raw_bytes * 2 + max(trained_on - mapped, 0) * rates.encoded_bytes * 2
    return Plan(
        counts=counts,
        exact=found.exact,
        class_names=found.class_names,
        on_disk=tuple(role for role in counts if role in found.on_disk),
        num_shards=seeds * scorers * sum(-(-count // ROWS_PER_SHARD) for count in counts.values()),
        num_students=seeds * len(rows),
        num_peers=seeds * sum(peers.values()),
        steps={row: each.epochs for row, each in options.items()} if rates.fitted else steps,
        fitted=rates.fitted,
        encoded_bytes=int(encoded),
        memory_bytes=int(
            BASE_BYTES
            + in_memory
            + everyone * 120
            + num_pool * (2 * answer_bytes + 64)
            + min(num_pool * len(found.class_names), 2**25) * 8
            + min(mapped, trained_on) * (rates.encoded_bytes + answer_bytes)
            + 8 * student_bytes
        ),
        disk_bytes=int(
            mapped * (rates.raw_bytes + 32)
            + (0 if found.sample.kind == "image" else min(mapped, trained_on) * rates.encoded_bytes)
            * (seeds if found.sample.kind == "table" else 1)
            + seeds * scorers * (asked * (answer_bytes + 16) + mapped * (answer_bytes + 16))
            + seeds * len(rows) * student_bytes
            + 4 * student_bytes
        ),
        train_seconds=float(seconds),
        teacher_seconds=None if rates.answer_seconds is None else float(seeds * everyone * rates.answer_seconds),
    )


def dry_run(experiment: Experiment) -> Plan:
    """What a run would take; nothing is written.

    Args:
        experiment: All of it.

    Raises:
        InputError: Files and options do not fit together.
    """
    found = sizes(experiment, preflight(experiment))
    return plan(experiment, found, measure(experiment, found))


def check_room(folder: Path, num_bytes: int, what: str) -> None:
    """Refuse what does not fit on the disk.

    Args:
        folder: Where it is to lie; it need not be there yet.
        num_bytes: How much it is, about.
        what: What to call it, as the subject of a sentence.

    Raises:
        InputError: There is less room.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if num_bytes > free:
        raise InputError(
            f"{what} needs about {_size(num_bytes)} of disk, and {_size(free)} are free in {str(there)!r}; make room "
            f"or choose another folder."
        )


def _num_steps(options: TrainOptions, num_labelled: int, num_pool: int) -> int:
    labelled_size, pool_size = batch_sizes(options, num_labelled, num_pool)
    passed, size = (num_pool, pool_size) if num_pool else (num_labelled, labelled_size)
    return options.epochs * max(1, round(passed / size))


def _num_folds(experiment: Experiment, each: MethodOptions) -> int:
    if each.rounds.folds != "auto":
        return each.rounds.folds
    trained = [scorer.folds for scorer in experiment.scorers if scorer.folds > 1]
    return trained[0] if trained else 2


def _size(num_bytes: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes / 2**10:.0f} KiB"


def _time(seconds: float | int) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"
