"""Find the run that a student's folder belongs to, and read its experiment, results and training facts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from overproof.data import Examples
from overproof.data.wording import listed, nearest, reason
from overproof.errors import InputError
from overproof.evaluation.deployable import Deployable, deployable
from overproof.evaluation.judged import JudgedOn
from overproof.methods.published import papers_of
from overproof.papers import CO_TRAINING_1998, HINTON_2015, STACKING_1992
from overproof.registry import Paper
from overproof.runs.experiment import Experiment, MethodOptions
from overproof.runs.folder.result_file import RESULT, read_result, result_files
from overproof.runs.folder.resume import ROW, experiment_in, holds_run
from overproof.runs.inputs.record import record_of, verify_data
from overproof.runs.read_roles import read_roles


@dataclass(frozen=True, kw_only=True, eq=False)
class Provenance:
    """The run that a student belongs to.

    Args:
        run: The run's folder.
        experiment: The run's experiment.
        row: The student's row in the table.
        seed: Its seed.
        facts: Facts of its training, from `row.json`.
        result: `result.json`; empty where the run is not evaluated yet.
    """

    run: Path
    experiment: Experiment
    row: str
    seed: int
    facts: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def options(self) -> MethodOptions | None:
        """The row's options; None for the oracle, which is not a method."""
        return next((each for each in self.experiment.rows() if each.row == self.row), None)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The student's metrics on what judges; empty where the run is not evaluated yet, or judges nothing."""
        rows = (each for each in self.result.get("rows", ()) if (each["method"], each["seed"]) == (self.row, self.seed))
        return next((each["metrics"] for each in rows), {})

    def summary(self, row: str) -> Mapping[str, Any]:
        """The summary of a row over all seeds, with intervals; empty where there is none."""
        return next((each for each in self.result.get("summary", ()) if each["method"] == row), {})

    @property
    def used(self) -> MethodOptions | None:
        """The same, of a search the row that was chosen."""
        row = self.facts.get("search", {}).get("row")
        if self.options is None or row is None:
            return self.options
        return MethodOptions(method=row["method"], options=row.get("options", {}))

    @property
    def learned_answers(self) -> bool:
        """Whether the student learned from a teacher's answers, and not from labels alone."""
        if self.used is None:
            return False
        built = self.used.build()
        return self.facts["num_pool"] > 0 or built.reads_labelled_answers or built.initial == "teacher"

    def papers(self) -> list[Paper]:
        """The papers to cite for this row and its teacher."""
        each, used = self.options, self.used
        if each is None or used is None:
            return []
        if not self.learned_answers:
            built = used.build()
            # The objective of the pool is not used.
            found = papers_of([(used.method, replace(built, pool=built.labelled))])
            # With a true label the loss of distillation is cross-entropy.
            return [paper for paper in found if paper is not HINTON_2015]
        found = papers_of([(each.method, each.build()), (used.method, used.build())])
        rounds = bool(each.rounds.most)
        found += [CO_TRAINING_1998] if rounds else []
        return found + ([STACKING_1992] if rounds or self.experiment.teacher.others else [])

    @property
    def judged_on(self) -> JudgedOn:
        """What its metrics are estimated on."""
        found = self.result.get("judged_on")
        # Runs of earlier versions had a test always.
        return JudgedOn.of(int(self.metrics.get("num_examples", 0)), 0) if found is None else JudgedOn(**found)

    @cached_property
    def test(self) -> Examples | None:
        """The run's test examples; None where it has none, and where their file cannot be read any more.

        Raises:
            InputError: A file was replaced since the run was begun.
        """
        if not self.experiment.data.has_test:
            return None
        try:
            present = record_of(self.experiment, data_only=True)
        except InputError:
            return None
        verify_data(self.run, present)
        try:
            return read_roles(self.experiment.data, aliases=self.experiment.aliases).for_seed(self.seed).test
        except InputError:
            return None


def student_folder(source: Path | str, method: str = "", seed: int | None = None) -> Path:
    """The folder of one student.

    Args:
        source: A student's folder, or a run's.
        method: For a run, the row of the table.
        seed: For a run, one of its seeds; by default the first.

    Raises:
        InputError: It is neither, or the run has no such student.
    """
    source = Path(source)
    if (source / "student.json").is_file():
        if method or seed is not None:
            raise InputError(f"{str(source)!r} is one student; method and seed are options for the folder of a run.")
        return source
    if not (source / "experiment.yaml").is_file():
        raise InputError(
            f"{str(source)!r} has neither a student (student.json) nor a run (experiment.yaml); one is needed."
        )
    seeds = [seed] if seed is not None else list(experiment_in(source).seeds)
    home = source / "students" / f"seed-{seeds[0]}"
    trained = sorted(each.parent.name for each in home.glob("*/student.json"))
    if method in trained:
        return home / method
    found = f"no student {method!r}{nearest(method, trained)}" if method else "several students; name one as the method"
    raise InputError(f"Run {str(source)!r} has, of seed {seeds[0]}, {found}; there are {listed(trained) or 'none'}.")


def chosen_student(run: Path, seed: int | None = None) -> Deployable:
    """The student of a finished run that is to be deployed, and why.

    Args:
        run: The run's folder.
        seed: Of the student; None for the run's first.

    Raises:
        InputError: The run is not evaluated yet, so nothing tells its rows apart.
    """
    trained = sorted(each.parent.name for each in run.glob("students/seed-*/*/student.json"))
    if not (run / RESULT).is_file():
        raise InputError(
            f"{str(run)!r} has no {RESULT} yet to choose a student by: finish it with `overproof run`, or name a row "
            f"with --method; there are {listed(dict.fromkeys(trained)) or 'none'}."
        )
    result = read_result(run)
    found = deployable(result.summary, result.rows, seed=seed)
    if found is None:
        raise InputError(
            f"{str(run)!r} is {result.judged_on.words()}, so nothing tells its rows apart: name one with --method; "
            f"there are {listed(dict.fromkeys(trained)) or 'none'}."
        )
    return found


def provenance_of(folder: Path | str) -> Provenance | None:
    """The run that a student's folder is in; None where it is elsewhere.

    Raises:
        InputError: The run's files are damaged.
    """
    folder = Path(folder).absolute()
    if len(folder.parents) < 3 or not folder.parent.name.startswith("seed-"):
        return None
    run = folder.parents[2]
    if not holds_run(run) or not (folder / ROW).is_file():
        return None
    result = run / RESULT
    return Provenance(
        run=run,
        experiment=experiment_in(run),
        row=folder.name,
        seed=int(folder.parent.name.removeprefix("seed-")),
        facts=_json(folder / ROW, (folder / ROW).read_bytes()),
        result=_json(result, result_files(run)[RESULT]) if result.is_file() else {},
    )


def _json(path: Path, data: bytes) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(data)
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}); it is damaged.") from None
    return content
