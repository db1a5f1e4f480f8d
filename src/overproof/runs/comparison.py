"""Runs for many label budgets and students in one table: `overproof compare`.

    FOLDER/compare.yaml        all of the comparison, as `overproof compare` reads it
    FOLDER/features/…          a frozen encoder's features, shared by all budgets
    FOLDER/staged, encoded/…   inputs of large files and their encodings, shared; computed again if deleted
    FOLDER/labels-V/…          a run for each budget V, as `overproof run` leaves it
    FOLDER/STUDENT-labels-V/…  the same where there are several students
    FOLDER/compare.json        one table of all runs, written last
    FOLDER/report.html         the same as a page, if requested

Every budget is a run of its own; files and encodings that they share are read and computed once.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml

from overproof.errors import InputError
from overproof.evaluation.holm import corrected
from overproof.models.importing import as_paths
from overproof.options import validated
from overproof.processes import HERE, Engine, Work, leads, wait_for_all
from overproof.progress import Progress, Silent
from overproof.runs.caches import Caches
from overproof.runs.changes import changed
from overproof.runs.experiment import Experiment, StudentOptions, by_name, dump, experiment_from, options_in
from overproof.runs.folder.cells import Cell, opening_of
from overproof.runs.folder.result_file import RunResult
from overproof.runs.folder.resume import COMPARISON, EXPERIMENT, STAGED, extends, may_be_replaced
from overproof.runs.inputs.files import without_paths
from overproof.runs.inputs.of_run import record_run
from overproof.runs.inputs.record import InputRecord
from overproof.runs.pipeline import Run
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, write_folder
from overproof.storage.one_writer import LOCK, writing

FORMAT = 1
RESULT = "compare.json"


class CompareOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What is varied besides methods and seeds: the group `compare` of an experiment file.

    Args:
        labels: Label budgets: how many labelled examples a run takes; without any the experiment's own number.
        students: Students by name, or with their options; without any the experiment's own.
    """

    labels: tuple[pydantic.PositiveInt, ...] = ()
    students: tuple[Annotated[StudentOptions, pydantic.BeforeValidator(by_name)], ...] = ()

    @pydantic.model_validator(mode="after")
    def _each_once(self) -> "CompareOptions":
        for option, names in (("labels", self.labels), ("students", [each.name for each in self.students])):
            twice = sorted({str(name) for name in names if list(names).count(name) > 1})
            if twice:
                raise InputError(f"Option 'compare.{option}' holds {', '.join(twice)} twice; write each once.")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonRun:
    """One run of a comparison.

    Args:
        name: The name of its folder.
        labels: The number of labelled examples; None where the experiment takes a whole file of them.
        student: The name of its student.
        experiment: All of the run.
    """

    name: str
    labels: int | None
    student: str
    experiment: Experiment


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All of a comparison.

    Args:
        experiment: What every run is made from. Its methods are the rows; rows are paired by seed.
        options: What is varied.

    Raises:
        InputError: A budget or a student does not fit the experiment.
    """

    experiment: Experiment
    options: CompareOptions

    def runs(self) -> tuple[ComparisonRun, ...]:
        """The runs, by student and rising budget."""
        own = self.experiment.data.number_of("labelled")
        students = self.options.students or (self.experiment.student,)
        budgets: tuple[int | None, ...] = tuple(sorted(self.options.labels)) or (own,)
        return tuple(self._run(student, labels, len(students) > 1) for student in students for labels in budgets)

    def text(self) -> str:
        """The comparison as YAML with all defaults, which `load_comparison` reads back."""
        group = json.loads(self.options.model_dump_json())
        return dump(self.experiment) + yaml.safe_dump({"compare": group}, sort_keys=False, allow_unicode=True)

    def _run(self, student: StudentOptions, labels: int | None, several: bool) -> ComparisonRun:
        content = json.loads(self.experiment.model_dump_json())
        content["student"] = json.loads(student.model_dump_json())
        if labels is not None:
            content["data"]["rows"]["labelled"] = labels
        name = f"labels-{'all' if labels is None else labels}"
        return ComparisonRun(
            # An import path is not a valid name for a folder.
            name=f"{student.name.replace(':', '.').replace('/', '.')}-{name}" if several else name,
            labels=labels,
            student=student.name,
            experiment=experiment_from(content),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A finished comparison.

    Args:
        runs: Its runs.
        results: Their results, in the same order.
        folder: The comparison's.
    """

    runs: tuple[ComparisonRun, ...]
    results: tuple[RunResult, ...]
    folder: Path


def load_comparison(
    path: Path | str,
    changes: Sequence[str] = (),
    *,
    labels: Sequence[int] = (),
    methods: Sequence[str] = (),
    seeds: Sequence[int] = (),
    students: Sequence[str] = (),
) -> Comparison:
    """Read an experiment file, with or without a group `compare`.

    Args:
        path: The file.
        changes: Changes of the form `a.b=value`, values being YAML.
        labels: Label budgets in place of the file's.
        methods: Rows in place of the file's; a row that is in the file keeps its options.
        seeds: Seeds in place of the file's.
        students: Students in place of the file's.

    Raises:
        InputError: No such file, or an option that does not exist or has a wrong value.
    """
    content = changed(options_in(path), changes)
    group = content.pop("compare", None) or {}
    if not isinstance(group, dict):
        raise InputError(f"Option 'compare' is {group!r}; it holds options by name, such as labels: [100, 200].")
    given: dict[str, Any] = {"labels": list(labels), "students": list(students)}
    options = validated(CompareOptions, {**group, **{name: each for name, each in given.items() if each}}, "compare")
    if methods:
        known = {_row(each): each for each in content.get("methods", [])}
        content["methods"] = [known.get(name, name) for name in methods]
    if seeds:
        content["seeds"] = list(seeds)
    return Comparison(experiment=experiment_from(content), options=options)


def compare(
    comparison: Comparison,
    folder: Path | str,
    *,
    finished: Callable[[Run], object] = lambda run: None,
    progress: Progress | None = None,
    allow_import: Iterable[str] | str = (),
    engine: Engine = HERE,
) -> Compared:
    """Run a comparison; finished runs are skipped, so that the same call resumes.

    Args:
        comparison: All of the comparison.
        folder: Output folder. If it already holds a comparison of the same experiment, missing budgets and students
            are added.
        finished: Called with every run once its result is written, while its data are still in memory.
        progress: Shows the progress of long work.
        allow_import: Import paths `package.module:name` in the experiment whose code may be run.
        engine: Where shards are answered and students are trained: `overproof.scale.engine_on`.

    Raises:
        InputError: A file, an option or the folder's content does not fit, or another process writes to it; this is
            checked before any teacher answers.
    """
    folder, progress = Path(folder), progress or Silent()
    with writing(folder):
        return _compare(comparison, folder, finished, progress, as_paths(allow_import), engine)


def _compare(
    comparison: Comparison,
    folder: Path,
    finished: Callable[[Run], object],
    progress: Progress,
    named: frozenset[str],
    engine: Engine,
) -> Compared:
    runs = comparison.runs()
    _check(comparison, folder)
    caches = Caches(folder=folder, runs=tuple(folder / each.name for each in runs), engine=engine)

    def opened(each: ComparisonRun, found: Sequence[InputRecord] = ()) -> Run:
        return Run(
            experiment=each.experiment,
            folder=folder / each.name,
            progress=progress,
            caches=caches,
            allow_import=named,
            found=list(found),
        )

    inputs = []
    for each in runs:
        run = opened(each)
        run.check()
        inputs.append(run.found)
    if leads():
        atomic.write_text(folder / COMPARISON, comparison.text())
        # All runs are begun with the same content of their files, however long the first one takes.
        for each, found in zip(runs, inputs, strict=True):
            record_run(folder / each.name, each.experiment, caches, found)
    wait_for_all()
    if engine.remote:
        _train_all([opened(each, found) for each, found in zip(runs, inputs, strict=True)], progress)
    results = []
    with progress.task("runs", len(runs)) as advance:
        for number, (each, found) in enumerate(zip(runs, inputs, strict=True)):
            advance(number, each.name)
            # One run at a time is held in memory.
            run = opened(each, found)
            run.label()
            run.distill()
            results.append(run.evaluate())
            finished(run)
    done = Compared(runs=runs, results=tuple(results), folder=folder)
    if leads():
        content = {**_content(comparison, done), "manifest": MANIFEST}
        options = {COMPARISON: (folder / COMPARISON).read_bytes()}
        write_folder(folder, {RESULT: atomic.json_bytes(content)}, kind="comparison", unchanged=options)
    wait_for_all()
    return done


def _train_all(runs: Sequence[Run], progress: Progress) -> None:
    """Train the students of all runs as one lot, so that no process of an engine waits for the last ones of a run."""
    engine, left = runs[0].caches.engine, list[Cell]()
    with ExitStack() as locks:
        for each in runs:
            locks.enter_context(writing(each.folder))
            # Read anew for each run: one at a time is held in memory.
            run = replace(each)
            run.label()
            left += run.unfinished(run.cells())
        device = runs[0].experiment.train.device
        work = Work(what="student", here=lambda cell: cell, elsewhere=lambda: opening_of(runs), device=device)
        with progress.task("students", len(left)) as advance:
            for number, cell in enumerate(engine.map(work, left)):
                advance(number + 1, f"{cell.run}: {cell}")


def holds_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison rather than a run.

    Args:
        folder: Any.
    """
    return (folder / COMPARISON).is_file()


def _check(comparison: Comparison, folder: Path) -> None:
    """Raise if the folder holds anything but a comparison of this experiment."""
    path = folder / COMPARISON
    if not path.exists():
        atomic.check_output(folder, folder=True)
    if leads():
        for leftover in folder.glob(".compare.*.partial"):
            leftover.unlink(missing_ok=True)
    wait_for_all()
    if path.exists():
        try:
            earlier = load_comparison(path).experiment
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        begun = [each.parent for each in folder.glob(f"*/{EXPERIMENT}")]
        # Files that have moved are compared by content, run by run.
        same = without_paths(earlier) == without_paths(comparison.experiment) or extends(earlier, comparison.experiment)
        if not same and not all(may_be_replaced(each, earlier, comparison.experiment) for each in begun):
            raise InputError(
                f"{str(folder)!r} holds a comparison of another experiment (its compare.yaml differs); choose another "
                f"folder (only methods, seeds and budgets may be added)."
            )
    elif folder.exists() and {each.name for each in folder.iterdir()} - {STAGED, LOCK}:
        raise InputError(f"{str(folder)!r} is not empty and holds no comparison; choose another folder.")


def _content(comparison: Comparison, found: Compared) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for run, result in zip(found.runs, found.results, strict=True):
        judged = corrected(result.summary)
        for each in result.summary:
            own = judged.get(each.method)
            holm = {"p_holm": own and own.p_value, "verdict_holm": own and own.verdict}
            rows.append({"folder": run.name, "student": run.student, "labels": run.labels, **asdict(each), **holm})
    return {
        "format": FORMAT,
        "name": comparison.experiment.name,
        "seeds": list(comparison.experiment.seeds),
        "cells": [{"folder": run.name, "student": run.student, "labels": run.labels} for run in found.runs],
        "rows": rows,
        "curves": curves(found),
        "findings": findings(found),
    }


def curves(found: Compared) -> list[dict[str, Any]]:
    """Accuracy against labels for plots: one line a student and method, its points by rising budget.

    Args:
        found: A comparison.
    """
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for run, result in zip(found.runs, found.results, strict=True):
        for each in result.summary:
            start = {"student": run.student, "method": each.method, "role": each.role, "metric": each.metric}
            line = lines.setdefault(
                (run.student, each.method), {**start, "labels": [], "mean": [], "low": [], "high": []}
            )
            for name, value in (("labels", run.labels), ("mean", each.mean), ("low", each.low), ("high", each.high)):
                line[name].append(value)
    return list(lines.values())


def findings(found: Compared) -> list[str]:
    """At which budgets each method BEATS the best conventional row there, in sentences.

    Args:
        found: A comparison.
    """
    by_row: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run, result in zip(found.runs, found.results, strict=True):
        for each in result.summary:
            if each.verdict is not None:
                verdicts = by_row.setdefault((run.student, each.method), {})
                verdicts.setdefault(each.verdict, []).append("all" if run.labels is None else str(run.labels))
    several = len({student for student, _ in by_row}) > 1
    return [
        f"{method}{f' ({student})' if several else ''}: "
        + "; ".join(f"{verdict} with {_listed(budgets)} labels" for verdict, budgets in verdicts.items())
        + "."
        for (student, method), verdicts in by_row.items()
    ]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _row(each: Any) -> str:
    """The name in the table of a method of an experiment file."""
    if isinstance(each, Mapping):
        return str(each.get("name") or each.get("method"))
    return str(each)
