"""Estimates what a run takes before it begins: rows, steps, disk, memory and time. Only the rows may be exact."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from overproof.answers.predictions import MAX_ALL_KEPT, NUM_KEPT
from overproof.data.wording import counted
from overproof.errors import InputError
from overproof.models.importing import allowing
from overproof.runs.experiment import Experiment, MethodOptions
from overproof.runs.measuring import Rates, Sizes, measure, sizes, sizes_of
from overproof.runs.preflight import preflight
from overproof.runs.roles import Roles
from overproof.training.examples import MAX_EXPANDED
from overproof.training.options import LEAST_STEPS, TrainOptions, num_steps

ROWS_PER_SHARD = 4096
"""Answers in one file of a store."""

BUSY = 1.3
"""From so many times the processor's time on, that of the clock is told."""

SHORT = 10
"""Seconds by the clock that need no such word."""

BASE_BYTES = 450 * 2**20
"""Memory of Python, torch and the libraries without any example."""

MAPPED_BYTES = 88
"""Of each row whose inputs are on disk, besides its encoding, answer, id and logits (docs/results_costs.md)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run is estimated to take.

    Args:
        counts: Examples by role.
        exact: Whether they were counted.
        class_names: The classes.
        on_disk: Roles whose inputs are on disk.
        num_shards: Files of answers.
        num_students: Students in the table, and those of its folds where labelled rows are cross-validated.
        num_folds: Of cross-validation; 0 where a test judges, or nothing.
        num_peers: Students that peer rounds train in addition, at most.
        steps: Steps of a training, by row; the maximum number of fits, where the student is fitted without steps.
        fitted: Whether the student is fitted without steps, as estimators like scikit-learn's are.
        encoded_bytes: All encoded examples that students are trained on.
        memory_bytes: Peak memory.
        disk_bytes: What the run leaves in its folder.
        train_seconds: For all students.
        teacher_seconds: For all answers; None where the teacher would have to be trained to measure it.
        slowed: How many times as long the clock runs as the processor works, as it was measured.
    """

    counts: Mapping[str, int]
    exact: bool
    class_names: tuple[str, ...]
    on_disk: tuple[str, ...]
    num_shards: int
    num_students: int
    num_folds: int = 0
    num_peers: int
    steps: Mapping[str, int]
    fitted: bool
    encoded_bytes: int
    memory_bytes: int
    disk_bytes: int
    train_seconds: float
    teacher_seconds: float | None
    slowed: float = 1.0

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
            >>> plan.sentence().removesuffix(" (estimates; the time may be half or twice that).")
            'About 2 min to train 15 students (the teacher besides), 1.0 GiB of memory and 1.0 MiB of disk'
        """
        teacher = (
            "the teacher besides" if self.teacher_seconds is None else f"the teacher {_time(self.teacher_seconds)}"
        )
        peers = f" and at most {counted(self.num_peers, 'peer')}" if self.num_peers else ""
        of_folds = self.num_students * self.num_folds // (self.num_folds + 1)
        folds = f", {of_folds} of them for the cross-validation" if self.num_folds else ""
        return (
            f"About {_time(self.train_seconds)} to train {counted(self.num_students, 'student')}{folds}{peers} "
            f"({teacher}), "
            f"{_size(self.memory_bytes)} of memory and {_size(self.disk_bytes)} of disk (estimates; {self._within()})."
        )

    def _within(self) -> str:
        """How far the time may be from the estimate."""
        if self.slowed < BUSY or self.slowed * self.train_seconds < SHORT:
            return "the time may be half or twice that"
        return (
            f"the machine has other work: by the clock {_time(self.slowed * self.train_seconds)} as it is now, or half "
            f"or twice that"
        )

    def _folds(self) -> str:
        return (
            f"{self.num_folds} of {self.num_folds + 1} students, and as many trainings of a teacher that is trained "
            f"here, are for the estimate (data.folds; a test, or 'data.rows.test: 0' for no estimate, saves them)"
        )

    def lines(self) -> list[tuple[str, str]]:
        """The plan as names and values."""
        known = "counted" if self.exact else "about, from the files' first lines and schemas"
        steps = " or ".join(f"{each:,}" for each in sorted(set(self.steps.values())))
        whole = "the student is fitted whole, without steps; again where weights or targets move with it"
        return [
            ("examples", f"{', '.join(f'{role} {count:,}' for role, count in self.counts.items())} ({known})"),
            ("inputs", f"on disk: {', '.join(self.on_disk)}" if self.on_disk else "in memory"),
            (
                "classes",
                f"{len(self.class_names)}: {', '.join(self.class_names[:10])}{' …' * (len(self.class_names) > 10)}",
            ),
            ("answers", f"{counted(self.num_shards, 'shard', thousands=',')} of at most {ROWS_PER_SHARD:,} rows"),
            ("students", f"{self.num_students}: {', '.join(self.steps)}"),
            *([("cross-validation", self._folds())] if self.num_folds else []),
            *([("peers", f"at most {self.num_peers}, each on half of the pool")] if self.num_peers else []),
            ("fits", f"at most {steps} a training ({whole})") if self.fitted else ("steps", f"{steps} a training"),
            ("encoded", _size(self.encoded_bytes)),
            ("memory", f"{_size(self.memory_bytes)} (estimate)"),
            ("disk", f"{_size(self.disk_bytes)} (estimate)"),
            ("time", f"{_time(self.train_seconds)} for all students (measured shortly; {self._within()})"),
            (
                "",
                "the teacher's time is not estimated"
                if self.teacher_seconds is None
                else f"{_time(self.teacher_seconds)} for the teacher's answers (estimate)",
            ),
        ]


def plan(experiment: Experiment, found: Sizes, rates: Rates) -> Plan:
    """The plan of a run.

    Args:
        experiment: All of the run.
        found: The numbers of examples and classes.
        rates: What was measured on a few examples.
    """
    estimate = _Estimate(experiment=experiment, found=found, rates=rates)
    counts, seeds, steps = found.counts, len(experiment.seeds), estimate.steps
    answered, parts = seeds * estimate.everyone, estimate.parts
    return Plan(
        counts=counts,
        exact=found.exact,
        class_names=found.class_names,
        on_disk=tuple(role for role in counts if role in found.on_disk),
        num_shards=seeds * estimate.num_stores * sum(-(-count // ROWS_PER_SHARD) for count in counts.values()),
        num_students=parts * seeds * len(estimate.rows),
        num_folds=parts - 1,
        num_peers=parts * seeds * sum(estimate.peers.values()),
        steps=(
            {each.row: experiment.train_options(each).num_epochs(LEAST_STEPS) for each in estimate.rows}
            if rates.fitted
            else steps
        ),
        fitted=rates.fitted,
        encoded_bytes=int(estimate.trained_on * rates.encoded_bytes),
        memory_bytes=int(estimate.memory_bytes()),
        disk_bytes=int(estimate.disk_bytes()),
        train_seconds=float(estimate.train_seconds()),
        teacher_seconds=None if rates.answer_seconds is None else float(answered * rates.answer_seconds),
        slowed=rates.slowed,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Estimate:
    """The numbers behind a plan."""

    experiment: Experiment
    found: Sizes
    rates: Rates

    @cached_property
    def rows(self) -> list[MethodOptions]:
        """The students of one seed."""
        oracle = [MethodOptions(method="hard", name="oracle")] if self.found.knows_truth else []
        return [*self.experiment.rows(), *oracle]

    @cached_property
    def steps(self) -> dict[str, int]:
        """Steps of a training, by row."""
        num_labelled = self.found.counts.get("labelled", 0)
        return {
            each.row: _num_steps(self.experiment.train_options(each), num_labelled, self.num_pool) for each in self.rows
        }

    @cached_property
    def peers(self) -> dict[str, int]:
        """Students that peer rounds train, by row."""
        return {each.row: each.rounds.most * _num_folds(self.experiment, each) for each in self.rows}

    @property
    def parts(self) -> int:
        """Trainings of each student of a seed: on everything, and without each fold where these are judged."""
        data = self.experiment.data
        return 1 + (data.folds if data.cross_validated else 0)

    @property
    def num_stores(self) -> int:
        """Sets of answers to all examples under one seed: a teacher trained here has one for each part."""
        return sum(self.parts if scorer.trained_here else 1 for scorer in self.experiment.scorers)

    @property
    def num_pool(self) -> int:
        """Pool examples."""
        return self.found.counts.get("pool", 0)

    @property
    def everyone(self) -> int:
        """Examples that the teacher answers under one seed."""
        return sum(self.found.counts.values())

    @property
    def trained_on(self) -> int:
        """All examples but the test."""
        return self.everyone - self.found.counts.get("test", 0)

    @property
    def mapped(self) -> int:
        """Examples whose inputs are on disk."""
        return sum(self.found.counts.get(role, 0) for role in self.found.on_disk)

    @property
    def answer_bytes(self) -> int:
        """Of one stored answer."""
        num_classes = len(self.found.class_names)
        return 4 * (num_classes if num_classes <= MAX_ALL_KEPT else NUM_KEPT) + 12

    def train_seconds(self) -> float:
        """For all students of all seeds: training, encoding, and answers on test and pool."""
        rates, num_test = self.rates, self.found.counts.get("test", 0)
        trainings = {each.row: each.build().num_trainings for each in self.rows}
        # A peer is trained on half of the pool.
        num_steps = sum(self.steps[row] * (trainings[row] + self.peers[row] / 2) for row in self.steps)
        forward = rates.step_seconds / self.experiment.train.batch_size / 3
        return (
            self.parts
            * len(self.experiment.seeds)
            * (
                num_steps * rates.step_seconds
                + self.trained_on * rates.encode_seconds
                + len(self.rows) * (num_test * (rates.encode_seconds + forward) + self.num_pool * forward)
            )
        )

    def memory_bytes(self) -> float:
        """Peak memory."""
        rates, num_pool, num_classes = self.rates, self.num_pool, len(self.found.class_names)
        raw = (self.everyone - self.mapped) * rates.raw_bytes * 2
        encoded = max(self.trained_on - self.mapped, 0) * rates.encoded_bytes * 2
        if rows := min(self.mapped, self.trained_on):
            # Pages of encodings, answers and ids that training reads, and of every row some numbers and its logits.
            kept = rows * (rates.encoded_bytes + self.answer_bytes + 16 + MAPPED_BYTES + 4 * num_classes)
        else:
            kept = self.everyone * 120 + num_pool * (2 * self.answer_bytes + 64)
        # Answers in memory are kept for all seeds, those on disk for one.
        other_seeds = 0 if self.mapped else len(self.experiment.seeds) - 1
        # Each fold keeps those of one seed.
        other_seeds += self.parts - 1
        return (
            BASE_BYTES
            + (raw + encoded)
            + kept
            + other_seeds * self.everyone * (self.answer_bytes + 8)
            + (num_pool * num_classes * 8 if num_pool * num_classes <= MAX_EXPANDED else 0)
            + 8 * 4 * rates.num_parameters
        )

    def disk_bytes(self) -> float:
        """What the run leaves in its folder."""
        rates, kind = self.rates, self.found.sample.kind
        seeds, student_bytes = len(self.experiment.seeds), 4 * rates.num_parameters
        folds = self.experiment.teacher.folds if self.experiment.has_rounds else 0
        answers = self.everyone + self.num_pool * folds + self.mapped
        # Images are encoded as they are; encoders of tables are fitted anew for every seed.
        encodings = 0 if kind == "image" else seeds if kind == "table" else 1
        return (
            self.mapped * (rates.raw_bytes + 32)
            + encodings * min(self.mapped, self.trained_on) * rates.encoded_bytes
            + seeds * self.num_stores * answers * (self.answer_bytes + 16)
            + self.parts * seeds * len(self.rows) * student_bytes
            + 4 * student_bytes
        )


def dry_run(experiment: Experiment, *, allow_import: Iterable[str] | str = ()) -> Plan:
    """What a run would take; nothing is written.

    Args:
        experiment: All of the run.
        allow_import: Import paths `package.module:name` in it whose code may be run.

    Raises:
        InputError: Files and options do not fit together.
    """
    with allowing(allow_import):
        found = sizes(experiment, preflight(experiment))
        return plan(experiment, found, measure(experiment, found))


def plan_of_roles(experiment: Experiment, drawn: Roles) -> Plan:
    """The plan of a run whose files have been read; the code of import paths in it must be allowed.

    Args:
        experiment: All of the run.
        drawn: Its roles.
    """
    found = sizes_of(experiment, drawn)
    return plan(experiment, found, measure(experiment, found))


def total(plans: Sequence[Plan]) -> Plan:
    """The plan of several runs, one after the other: times and disk are added, memory is that of the largest.

    Args:
        plans: At least one.
    """
    teacher = [each.teacher_seconds for each in plans]
    return replace(
        max(plans, key=lambda each: each.memory_bytes),
        num_shards=sum(each.num_shards for each in plans),
        num_students=sum(each.num_students for each in plans),
        num_peers=sum(each.num_peers for each in plans),
        disk_bytes=sum(each.disk_bytes for each in plans),
        train_seconds=sum(each.train_seconds for each in plans),
        # Runs of a comparison share the answers.
        teacher_seconds=None if None in teacher else max(each for each in teacher if each is not None),
    )


def check_room(folder: Path, num_bytes: int, what: str) -> None:
    """Raise where the disk has too little room.

    Args:
        folder: Where the files will be; it need not exist yet.
        num_bytes: Their approximate size.
        what: Their name, as the subject of a sentence.

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
    steps = num_steps(options, num_labelled, num_pool)
    return options.num_epochs(steps) * steps


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
