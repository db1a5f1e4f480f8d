"""The steps of a run: the teacher answers, students are trained, teacher and students are scored on the test.

The folder of a run:

    OUT/experiment.yaml        all options of the run, defaults included
    OUT/inputs.json            the digests of every file it was made from, verified by every step
    OUT/citations.json         the papers behind its methods
    OUT/staged/…               inputs of large files, read into arrays (`data.on_disk`)
    OUT/encoded/…              their encodings; both are computed again if deleted
    OUT/features/…             a frozen encoder's features, computed once an example
    OUT/labels/seed-S/ROLE/…   the teacher's answers
    OUT/labels/all-seeds/…     a brought teacher's answers to the file that labelled examples and pools are drawn from
    OUT/labels/seed-S/…        where there are several teachers: the others' answers, and weights.json
    OUT/asked/…                what a model at an address was asked
    OUT/labels/seed-S/peers/…  the answers of peers, where a row has peer rounds
    OUT/students/seed-S/ROW/…  one student: weights, description, learned parts of its method; row.json last
    OUT/folds/fold-F/…         where labelled rows are cross-validated: the same two without the labels of fold F
    OUT/tallies.json           counts of the answers of each row on the test
    OUT/result.json            rows, summary and findings, written last of all
    OUT/report.html            the same as a page, if requested
    OUT/log.txt, costs.jsonl   the log of the run, and the time of each step

Every step skips what is finished, so that the same call resumes (`overproof.runs.folder.resume`).
"""

import itertools
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from overproof.assessment.assess import Assessment, assess
from overproof.data import num_bytes
from overproof.data.options import LARGE_BYTES
from overproof.data.wording import told_apart
from overproof.errors import InputError
from overproof.evaluation.findings import RunFacts, findings_of
from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.verdict import summarise
from overproof.models import as_matrix
from overproof.models.importing import allowing, as_paths
from overproof.processes import HERE, Engine, Work, leads, place, wait_for_all
from overproof.progress import Progress, Silent
from overproof.runs.answered import Asking, read_answered
from overproof.runs.caches import Caches
from overproof.runs.costs import measured
from overproof.runs.experiment import Experiment
from overproof.runs.folder.cells import Cell, cells_of, opening_of, training, unfinished
from overproof.runs.folder.citations import record_papers, recorded_papers
from overproof.runs.folder.result_file import RESULT, RunResult, write_result
from overproof.runs.folder.resume import (
    STAGED,
    check_folder,
    experiment_in,
    groups_in_use,
    holds_run,
    no_run,
    trained_already,
)
from overproof.runs.folder.run_log import RunLog
from overproof.runs.folder.steps import step
from overproof.runs.inputs.content import check_content
from overproof.runs.inputs.of_run import record_run, verify_run
from overproof.runs.inputs.record import InputRecord, has_record, record_of
from overproof.runs.part import Part
from overproof.runs.plan import check_room, plan_of_roles
from overproof.runs.preflight import check_assessable, preflight
from overproof.runs.roles import Roles, SeedRoles
from overproof.runs.scoring import score
from overproof.runs.teacher_answers import TeacherAnswers


def open_run(
    folder: Path | str,
    *,
    progress: Progress | None = None,
    allow_import: Iterable[str] | str = (),
    engine: Engine = HERE,
) -> "Run":
    """A run by its folder.

    Args:
        folder: The run's.
        progress: Shows the progress of long work.
        allow_import: Import paths `package.module:name` in the folder whose code may be run.
        engine: Where shards are answered and students are trained.

    Raises:
        InputError: The folder holds no run.
    """
    folder = Path(folder)
    if not holds_run(folder):
        raise InputError(no_run(folder))
    return Run(
        experiment=experiment_in(folder),
        folder=folder,
        progress=progress or Silent(),
        caches=Caches(engine=engine),
        allow_import=as_paths(allow_import),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """The steps of a run on its folder; each can be called alone and skips what is finished.

    Args:
        experiment: All of the run.
        folder: Its folder.
        progress: Shows the progress of long work.
        caches: The caches shared with other runs.
        allow_import: Import paths that the user named for this call: those of the experiment's own teachers and
            students, and those in a saved student's folder. No other code is imported for a name in a file.
        found: The inputs of a new run as `check` found them; empty before.
    """

    experiment: Experiment
    folder: Path
    progress: Progress
    caches: Caches = field(default_factory=Caches)
    allow_import: frozenset[str] = frozenset()
    found: list[InputRecord] = field(default_factory=list)
    _begun: set[Path] = field(default_factory=set)

    # --- the steps

    @step
    def all_steps(self) -> RunResult:
        """All of the run: `label`, `distill`, `evaluate`.

        Raises:
            InputError: A file, an option or the folder's content does not fit; nothing half-written is left.
        """
        self.begin(trains=True)
        self.label()
        self.distill()
        result = self.evaluate()
        wait_for_all()
        return result

    @step
    def label(self) -> dict[int, dict[str, int]]:
        """Compute the teacher's answers to every example of every seed, once; without a test, also fold by fold.

        Returns:
            How many examples have answers, by seed and role.
        """
        self.begin()
        answered = self._answered(self._parts())
        self._log.write("labels", "every example is answered")
        return answered

    def _answered(self, parts: Sequence[Part]) -> dict[int, dict[str, int]]:
        """Compute the teacher's answers in some parts of the run, the first of which is the whole."""
        if self.caches.folder is None:
            for remark in self._roles.remarks_for(self.experiment.seeds[0]):
                self.progress.note(partial(str, remark))
        answered: dict[int, dict[str, int]] = {}
        # The leading process computes the answers; the others then find them stored.
        for leading in (True, False):
            if leads() is leading:
                for part, seed in itertools.product(parts, self.experiment.seeds):
                    sizes = {role: len(each) for role, each in part.roles.for_seed(seed).by_role().items()}
                    with measured(part.folder, "ask", "teacher", seed, sum(sizes.values())):
                        given = part.teacher.for_seed(seed)
                    if part is parts[0]:
                        answered[seed] = {role: size for role, size in sizes.items() if role in given}
            wait_for_all()
        return answered

    @step
    def assess(self) -> Assessment:
        """Assess the teacher on the first seed's labelled examples and answers, before any student is trained.

        Raises:
            InputError: There are too few labelled examples, none that the teacher was not trained on, or no pool.
        """
        check_assessable(self.experiment)
        self.begin()
        self._answered([self._whole])
        inputs = self._whole.students.inputs_of(self.experiment.seeds[0])
        trusted = inputs.trust_labelled_answers and len(inputs.answered["labelled"])
        known = inputs.answered["labelled" if trusted or "validation" not in inputs.answered else "validation"].answered
        found = assess(
            known.label,
            known.answers.probs(),
            inputs.answered["pool"].answered.answers.probs(),
            class_names=self._roles.class_names,
            features=as_matrix(inputs.inputs, known.place),
            repeated=self._roles.repeated,
            repeats=known.repeats,
            seed=inputs.seed,
            copies=known is inputs.answered["labelled"].answered and self.experiment.answered_by_copies,
            checked=True,
        )
        return replace(found, findings=(*self.teacher.remarks(self.experiment.seeds[0]), *found.findings))

    @step
    def distill(self) -> None:
        """Train one student for each method and seed; without a test, also one without each fold of the labels."""
        cells = self.cells()
        left = self.unfinished(cells)
        done = len(cells) - len(left)
        # The plan is of the whole run.
        if done and self.caches.folder is None and place()[1] == 1:
            self.progress.note(lambda: trained_already(done, len(left)))
        device = self.experiment.train.device
        work = Work(what="student", here=self.trains(), elsewhere=lambda: opening_of([self]), device=device)
        with self.progress.task("students", len(cells)) as advance:
            for number, cell in enumerate(self.caches.engine.map(work, left)):
                advance(done + number + 1, str(cell))
        wait_for_all()

    @step
    def cells(self) -> list[Cell]:
        """A cell for each student: for all parts, seeds and rows, in the order in which one process trains them."""
        self.begin(trains=True)
        return cells_of(self.folder.name, self._parts(), self.experiment.seeds)

    @step
    def unfinished(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of some cells whose students are not trained yet; what a kill left of the others is removed."""
        return unfinished(self._parts(), cells)

    def trains(self) -> Callable[[Cell], Cell]:
        """A function that trains the student of a cell."""
        return training(self._parts())

    @step
    def evaluate(self) -> RunResult:
        """Open the test, score teacher and students, and write result.json."""
        self.begin()
        whole, *folds = self._parts()
        scores = [score(whole.students, seed, [fold.students for fold in folds]) for seed in self.experiment.seeds]
        rows = tuple(row for each in scores for row in each.rows)
        trainings = {key: facts for each in scores for key, facts in each.trainings.items()}
        summary = tuple(summarise(rows))
        last = self.seed_roles(self.experiment.seeds[-1])
        facts = RunFacts(
            trainings=trainings,
            rows=rows,
            summary=summary,
            class_names=self._roles.class_names,
            repeated=self._roles.reported,
            published_accuracy=self.experiment.teacher.published_accuracy,
            votes=self.teacher.votes(),
            scorers=told_apart([scorer.called for scorer in self.experiment.scorers]),
            stacks=self.teacher.stacks(),
            labelled_by_fold=self.experiment.labelled_by_fold,
            input_remarks=(
                *self.teacher.remarks(self.experiment.seeds[0]),
                *(
                    remark
                    for examples in (last.labelled, last.pool, last.test)
                    for remark in scores[-1].last_student.remarks(examples)
                ),
            ),
        )
        result = RunResult(
            folder=self.folder,
            name=self.experiment.name,
            class_names=self._roles.class_names,
            repeated=self._roles.repeated,
            rows=rows,
            summary=summary,
            findings=tuple(findings_of(facts)),
            students=tuple({"method": row, "seed": seed, **known} for (row, seed), known in trainings.items()),
            tallies=tuple(each for every in scores for each in every.tallies),
            judged_on=JudgedOn.of(int(rows[0].metrics["num_examples"]) if rows else 0, len(folds)),
        )
        self.verify_inputs()
        if leads():
            write_result(result)
        self._log.write("result", f"{len(rows)} rows in {self.folder / RESULT}")
        return result

    def seed_roles(self, seed: int) -> SeedRoles:
        """The examples of one seed by role, with the labels they are given."""
        with allowing(self.allow_import):
            return self._whole.given.for_seed(seed)

    # --- start, or resume

    @step
    def begin(self, *, trains: bool = False) -> None:
        """Create the folder, or check that it belongs to this experiment; done once per run object.

        Args:
            trains: Whether students are trained next: how long that takes is said first.

        Raises:
            InputError: The data or the options do not fit, or the folder belongs to another experiment.
        """
        if self.folder in self._begun:
            self.verify_inputs()
            return
        recorded = bool(self.found) and has_record(self.folder)
        self.check()
        if leads():
            if not recorded:
                record_run(self.folder, self.experiment, self.caches, self.found)
            if recorded_papers(self.folder) is None:
                record_papers(self.folder, self.experiment)
        wait_for_all()
        self._begun.add(self.folder)
        # A comparison shows the plans of its runs itself.
        if trains and self.caches.folder is None and not (self.folder / RESULT).exists() and place()[1] == 1:
            self.progress.note(lambda: plan_of_roles(self.experiment, self._roles).sentence())

    @step
    def check(self) -> None:
        """Check that data, options and folder fit before the teacher is evaluated; nothing is written.

        Raises:
            InputError: They do not.
        """
        if check_folder(self.folder, self.experiment) or (self.found and has_record(self.folder)):
            self.verify_inputs()
            return
        if groups := groups_in_use(self.folder):  # of an experiment with other students or methods
            self.verify_inputs(only=groups)
        existed = self._shared_folder.exists()
        preflight(self.experiment)
        found = record_of(self.experiment)
        data = self.experiment.data
        on_disk = sum(num_bytes(data.files[role], role=role) for role in data.files if data.is_on_disk(role))
        check_room(self._shared_folder, on_disk, "What the run keeps of its files on disk")
        try:
            self._check_read_data()
            if on_disk > LARGE_BYTES and place()[1] == 1:
                check_room(self.folder, plan_of_roles(self.experiment, self._roles).disk_bytes, "This run")
            self.found.append(found)
        except InputError:
            shutil.rmtree(self._shared_folder / STAGED, ignore_errors=True)
            if not existed and self._shared_folder.exists():
                self._shared_folder.rmdir()
            raise

    def verify_inputs(self, only: tuple[str, ...] = ()) -> None:
        """Check that every input file still has the content that the run was begun with; every step calls it.

        Args:
            only: The groups of options whose files are verified; all without any.

        Raises:
            InputError: One was replaced; the error names it, what changed and what to do.
        """
        with allowing(self.allow_import):
            verify_run(self.folder, self.experiment, self.caches, only)

    def _check_read_data(self) -> None:
        """Check the options that depend on the content of the data, before a model at an address is asked."""
        experiment, seed = self.experiment, self.experiment.seeds[0]
        asks = any(scorer.asks for scorer in experiment.scorers)
        whole = read_answered(experiment, self._shared_folder / STAGED, self.caches) if asks else self._roles
        check_content(experiment, whole.class_names, whole.for_seed(seed))
        for scorer in () if asks else (each for each in experiment.scorers if each.answers):
            self._whole.scorers.of(scorer, whole.for_seed(seed), seed, self._whole.scorers.home(seed))

    # --- the components of the steps

    @property
    def _shared_folder(self) -> Path:
        """The folder of staged inputs; they are read again if deleted."""
        return self.caches.folder or self.folder

    @cached_property
    def _roles(self) -> Roles:
        asking = Asking(folder=self._shared_folder, progress=self.progress, runs=self.caches.runs)
        roles = read_answered(self.experiment, self._shared_folder / STAGED, self.caches, asking)
        self.caches.share_encodings(roles.fixed.values())
        return roles

    @cached_property
    def _whole(self) -> Part:
        return Part(
            experiment=self.experiment,
            roles=self._roles,
            folder=self.folder,
            progress=self.progress,
            caches=self.caches,
            log=self._log,
        )

    @property
    def teacher(self) -> TeacherAnswers:
        """Its answers."""
        return self._whole.teacher

    def _parts(self) -> tuple[Part, ...]:
        """The whole run, and each fold of its labelled rows where these are cross-validated."""
        return (self._whole, *self._whole.folds(self._shared_folder))

    @property
    def _log(self) -> RunLog:
        return RunLog(folder=self.folder)
