"""The one path: `run(experiment, folder)` asks the teacher, trains the students, judges them, and writes it all down.

    OUT/experiment.yaml        all of the run, every default spelt out
    OUT/staged/…               inputs of large files, read into arrays (`data.on_disk`)
    OUT/encoded/…              their encodings; both may be deleted and are made again
    OUT/features/…             a frozen encoder's features, asked once an example
    OUT/labels/seed-S/ROLE/…   the teacher's answers
    OUT/labels/all-seeds/…     a brought teacher's answers to all that labelled examples and pools are drawn from
    OUT/labels/seed-S/…        where there are several teachers: the others' answers, and weights.json
    OUT/labels/seed-S/peers/…  what peers said, where a row asks for rounds
    OUT/students/seed-S/ROW/…  one student: weights, what it is, what its method learned, and row.json, written last
    OUT/tallies.json           what each row said on the test, counted
    OUT/result.json            rows and summary, written last of all
    OUT/report.html            the same for people, where it is asked for
    OUT/log.txt, costs.jsonl   what happened when, and how long it took

Every step skips what is finished, so the same call again goes on where it was stopped.
"""

import json
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import Tensor

from overproof.assessment.assess import Assessment, assess
from overproof.data import num_bytes
from overproof.data.options import LARGE_BYTES
from overproof.errors import InputError
from overproof.evaluation.confusions import tally
from overproof.evaluation.findings.hard_labels import hard_labels_found
from overproof.evaluation.findings.regime import diagnose
from overproof.evaluation.findings.wild_pool import wild_findings
from overproof.evaluation.metrics import correct, metrics
from overproof.evaluation.verdict import Role as RowRole
from overproof.evaluation.verdict import Row, Summary, summarise
from overproof.models import as_matrix, load_student
from overproof.processes import leads, place, wait_for_all
from overproof.progress import Progress, Silent
from overproof.runs import roles
from overproof.runs.asking import Asking
from overproof.runs.caches import Shared
from overproof.runs.costs import measured, note
from overproof.runs.experiment import Experiment, MethodOptions, dump, load
from overproof.runs.measuring import measure, sizes_of
from overproof.runs.plan import Plan, check_room, plan
from overproof.runs.preflight import preflight
from overproof.runs.result_file import write_found
from overproof.runs.roles import Cast, Parties
from overproof.runs.seed_inputs import Material
from overproof.runs.students import Students
from overproof.storage import atomic
from overproof.training.interleaved import Training, in_turn, timed

STAGED = "staged"
"""The folder, in a run's, of inputs that were read into arrays on disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a run found.

    Args:
        rows: One a method and seed.
        summary: One a method, with intervals and verdict.
        findings: What a reader must know beside the table, in sentences.
        folder: Where everything lies.
    """

    rows: tuple[Row, ...]
    summary: tuple[Summary, ...]
    findings: tuple[str, ...]
    folder: Path


def open_run(folder: Path | str, *, progress: Progress | None = None) -> "Run":
    """A run by its folder.

    Raises:
        InputError: The folder holds no run.
    """
    path = Path(folder) / "experiment.yaml"
    if not path.is_file():
        raise InputError(f"{str(folder)!r} holds no run: there is no experiment.yaml in it.")
    return Run(experiment=load(path), folder=Path(folder), progress=progress or Silent())


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """The steps of a run on its folder; each can be called alone and skips what is finished.

    Args:
        experiment: All of the run.
        folder: Its folder.
        progress: Shows how far it is.
        shared: What it has in common with other runs.
    """

    experiment: Experiment
    folder: Path
    progress: Progress
    shared: Shared = field(default_factory=Shared)
    _begun: set[Path] = field(default_factory=set)

    def all_steps(self) -> Result:
        """Do all of it: `label`, `distill`, `evaluate`.

        Raises:
            InputError: A file, an option or the folder's content does not fit; nothing half-written is left.
        """
        self.label()
        self.distill()
        result = self.evaluate()
        wait_for_all()
        return result

    def label(self) -> dict[int, dict[str, int]]:
        """Ask the teacher about every example of every seed, once; how many examples have answers, by seed and role."""
        self.begin()
        answered: dict[int, dict[str, int]] = {}
        # Of several processes one asks; the others find the answers in the store.
        for turn in (True, False):
            if leads() is turn:
                for seed in self.experiment.seeds:
                    parties = self._cast.parties(seed)
                    roles_of_seed = {"labelled": parties.labelled, **parties.others()}
                    answered[seed] = {role: len(each) for role, each in roles_of_seed.items() if len(each)}
                    with measured(self.folder, "ask", "teacher", seed, sum(answered[seed].values())):
                        self._asking.answers(seed)
            wait_for_all()
        self._log("labels", "every example is answered")
        return answered

    def assess(self) -> Assessment:
        """Judge the teacher by the first seed's labelled examples and answers, before any student is trained.

        Raises:
            InputError: There are too few labelled examples, or no pool.
        """
        self.label()
        material = self._students.material(self.experiment.seeds[0])
        known = material.answered["labelled" if material.trust_labelled_answers else "validation"]
        return assess(
            known.label,
            known.answers.probs(),
            material.answered["pool"].answers.probs(),
            class_names=self._cast.class_names,
            features=as_matrix(material.inputs, known.place),
            repeated=self._cast.repeated,
            seed=material.seed,
        )

    def distill(self) -> None:
        """Train one student for each method and seed."""
        self.begin()
        cells = [(seed, each) for seed in self.experiment.seeds for each in self._students.rows(seed)]
        finished = [cell for cell in cells if (self._students.cell(cell[0], cell[1].row) / "row.json").exists()]
        # Every process must have seen the same before one of them writes.
        wait_for_all()
        with self.progress.task("students", len(cells)) as advance:
            for number, (seed, each) in enumerate(finished):
                self._tidy(self._students.cell(seed, each.row))
                advance(number + 1, f"{each.row}, seed {seed}")
            done = len(finished)
            for seed in self.experiment.seeds:
                rows = [each for other, each in cells if other == seed and (seed, each) not in finished]
                if not rows:
                    continue
                # One seed's material is held at a time.
                material = self._students.material(seed)
                for group in self._students.groups(material, rows):
                    in_turn([self._trained(material, each) for each in group])
                    done += len(group)
                    advance(done, f"{', '.join(each.row for each in group)}, seed {seed}")
        wait_for_all()

    def _trained(self, material: Material, each: MethodOptions) -> Training[None]:
        """One student, step by step: trained, written down, and its own seconds noted."""
        seed, folder = material.seed, self._students.cell(material.seed, each.row)
        _, seconds = yield from timed(self._students.training(material, each, folder))
        note(self.folder, "train", each.row, seed, material.num_for(each.pool), seconds)
        self._log("student", f"{each.row}, seed {seed}: {seconds:.1f} s")
        self._tidy(folder)

    def _tidy(self, folder: Path) -> None:
        """Away with what a finished student was trained from; a kill may have fallen between its row and this line."""
        if leads():
            (folder / "checkpoint.pt").unlink(missing_ok=True)
            shutil.rmtree(folder / "checkpoint", ignore_errors=True)

    def evaluate(self) -> Result:
        """Open the test, judge teacher and students, and write `result.json`."""
        self.begin()
        rows, tallies, details = [], [], {}
        for seed in self.experiment.seeds:
            parties, answers = self._asking.parties(seed), self._asking.answers(seed)
            test, teacher_probs = parties.test, answers["test"].probs()
            word = test.digest()

            def row(name: str, role: RowRole, probs: Tensor) -> Row:
                tallies.append(tally(name, seed, probs, test.label, teacher_probs))  # noqa: B023
                return Row(
                    method=name,
                    seed=seed,  # noqa: B023
                    role=role,
                    metrics=metrics(probs, test.label, teacher_probs),  # noqa: B023
                    correct=correct(probs, test.label),  # noqa: B023
                    test=word,  # noqa: B023
                )

            rows.append(row("teacher", "reference", teacher_probs))
            for each in self._students.rows(seed):
                folder = self._students.cell(seed, each.row)
                if not (folder / "row.json").exists():
                    raise InputError(f"Student {each.row!r} of seed {seed} is not trained yet; run the distill step.")
                student = load_student(folder)
                with measured(self.folder, "answer", each.row, seed, len(test)) as spared:
                    probs = student.probs(self._students.encoded(student, test, spared))
                rows.append(row(each.row, self._students.role(each), probs))
                details[each.row, seed] = json.loads((folder / "row.json").read_text())
        summary = summarise(rows)
        findings = [
            *diagnose(rows, summary, details, self._cast.reported),
            *self._asking.findings(),
            *hard_labels_found(details, self._cast.class_names),
            *(words for each in (parties.labelled, parties.pool, test) for words in student.remarks(each)),
            *wild_findings(details, self._cast.class_names, self.experiment.teacher.published_accuracy),
        ]
        if leads():
            write_found(
                self.folder,
                name=self.experiment.name,
                class_names=self._cast.class_names,
                repeated=self._cast.repeated,
                rows=rows,
                summary=summary,
                findings=findings,
                details=details,
                tallies=tallies,
            )
        self._log("result", f"{len(rows)} rows in {self.folder / 'result.json'}")
        return Result(rows=tuple(rows), summary=tuple(summary), findings=tuple(findings), folder=self.folder)

    def parties(self, seed: int) -> Parties:
        """The roles as one seed sees them, with the labels they are given."""
        return self._asking.parties(seed)

    # --- the roles and answers of a seed

    @property
    def _kept(self) -> Path:
        """Where lies what may be deleted and is made again."""
        return self.shared.folder or self.folder

    @cached_property
    def _cast(self) -> Cast:
        found = roles.cast(self.experiment.data, self._kept / STAGED, self.shared.read)
        self.shared.announce(found.fixed.values())
        return found

    @cached_property
    def _asking(self) -> Asking:
        return Asking(
            experiment=self.experiment,
            cast=self._cast,
            folder=self.folder,
            progress=self.progress,
            shared=self.shared,
        )

    @cached_property
    def _students(self) -> Students:
        return Students(experiment=self.experiment, asking=self._asking, folder=self.folder, log=self._log)

    # --- the folder

    def begin(self) -> None:
        """Make the folder, or make sure that what it holds is this experiment; once, however many steps follow.

        Raises:
            InputError: The data or the options do not fit, or the folder holds something else.
        """
        if self.folder in self._begun:
            return
        self.check()
        path = self.folder / "experiment.yaml"
        if leads() and not path.exists():
            atomic.write_text(path, dump(self.experiment))
        wait_for_all()
        self._begun.add(self.folder)
        # Of several runs that share what they read whoever began them says what they take.
        if self.shared.folder is None and not (self.folder / "result.json").exists() and place()[1] == 1:
            self.progress.note(lambda: self._plan().sentence())

    def _plan(self) -> Plan:
        found = sizes_of(self.experiment, self._cast)
        return plan(self.experiment, found, measure(self.experiment, found))

    def check(self) -> None:
        """Make sure that data, options and folder fit before anything is asked, and write nothing.

        Raises:
            InputError: They do not.
        """
        wait_for_all()
        if leads():
            # What a kill inside a write has left.
            atomic.remove_leftovers(self.folder)
        wait_for_all()
        path = self.folder / "experiment.yaml"
        if path.exists():
            # As options, not as text: one written before an option was added means its default.
            if load(path) != self.experiment:
                raise InputError(
                    f"{str(self.folder)!r} holds another experiment (its experiment.yaml differs); choose another "
                    f"folder."
                )
            return
        existed = self._kept.exists()
        # A kill may have fallen before the first word about the run was written.
        if self.folder.exists() and {each.name for each in self.folder.iterdir()} - {STAGED}:
            raise InputError(f"{str(self.folder)!r} is not empty and holds no run; choose another folder.")
        preflight(self.experiment)
        data = self.experiment.data
        on_disk = sum(num_bytes(data.files[role], role=role) for role in data.files if data.lies_on_disk(role))
        check_room(self._kept, on_disk, "What the run keeps of its files on disk")
        try:
            self._asking.check()
            self._students.check()
            if on_disk > LARGE_BYTES and place()[1] == 1:
                check_room(self.folder, self._plan().disk_bytes, "This run")
        except InputError:
            shutil.rmtree(self._kept / STAGED, ignore_errors=True)
            if not existed and self._kept.exists():
                self._kept.rmdir()
            raise

    def _log(self, word: str, text: str) -> None:
        if not leads():
            return
        with (self.folder / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {word}: {text}\n")
