"""Teacher and students on one set of roles: those of the whole run, or of one fold that is judged without its labels.

OUT/labels, OUT/students           of the whole run: the students that are exported
OUT/folds/fold-F/labels, students  of fold F, where labelled rows are cross-validated: trained on the other folds
"""

import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from overproof.errors import NotFiniteError
from overproof.processes import leads
from overproof.progress import Progress
from overproof.runs.caches import Caches
from overproof.runs.costs import note
from overproof.runs.experiment import Experiment
from overproof.runs.folder.resume import remove_checkpoints, student_folder
from overproof.runs.folder.run_log import RunLog
from overproof.runs.given_labels import GivenLabels
from overproof.runs.roles import Roles
from overproof.runs.scorer_answers import ScorerAnswers
from overproof.runs.seed_inputs import SeedInputs
from overproof.runs.students import Students
from overproof.runs.teacher_answers import TeacherAnswers

FOLDS = "folds"
"""The folder, in a run's, of what was trained without one fold of the labelled rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Teacher and students on one set of roles.

    Args:
        experiment: All of the run.
        roles: Of the whole run, or of one fold.
        folder: Where answers and students are written.
        progress: Shows how far long work is.
        caches: What the run shares with other runs, and its folds with each other.
        log: The run's log.
        whole: The scorers of the whole run, for a fold; a teacher that was not trained here answers for both.
    """

    experiment: Experiment
    roles: Roles
    folder: Path
    progress: Progress
    caches: Caches
    log: RunLog
    whole: ScorerAnswers | None = None

    @cached_property
    def scorers(self) -> ScorerAnswers:
        """The answers of each scorer."""
        return ScorerAnswers(
            experiment=self.experiment,
            roles=self.roles,
            folder=self.folder,
            progress=self.progress,
            caches=self.caches,
            whole=self.whole,
        )

    @cached_property
    def given(self) -> GivenLabels:
        """The labels that teacher and students see."""
        return GivenLabels(scorers=self.scorers)

    @cached_property
    def teacher(self) -> TeacherAnswers:
        """The teacher's answers."""
        return TeacherAnswers(scorers=self.scorers, given=self.given)

    @cached_property
    def students(self) -> Students:
        """The students, trained or not."""
        return Students(
            experiment=self.experiment,
            given=self.given,
            teacher=self.teacher,
            caches=self.caches,
            folder=self.folder,
            log=self.log,
            called=self.name,
        )

    def student_folder(self, seed: int, row: str) -> Path:
        """The folder of one student."""
        return student_folder(self.folder, seed, row)

    def train(self, inputs: SeedInputs, row: str) -> None:
        """Train one student, write it to its folder, and note the seconds that it took.

        Args:
            inputs: What every student of its seed is made from.
            row: Its row of the table.

        Raises:
            NotFiniteError: The training diverged; nothing of it is kept.
        """
        each = next(each for each in self.students.rows(inputs.seed) if each.row == row)
        folder, began = self.student_folder(inputs.seed, row), time.perf_counter()
        called = f"{row}, seed {inputs.seed}{self.name}"
        try:
            self.students.train(inputs, each, folder)
        except NotFiniteError as error:
            # The same options would diverge again, so nothing of this training is worth keeping.
            if leads():
                shutil.rmtree(folder, ignore_errors=True)
            option = f"train.learning_rate' of row {row!r}"
            sentence = str(error).replace("train.learning_rate'", option) if "learning_rate" in each.train else error
            raise NotFiniteError(f"Row {row!r}, seed {inputs.seed}{self.name}: {sentence}") from None
        seconds = time.perf_counter() - began
        note(self.folder, "train", row, inputs.seed, inputs.num_for(each.pool), seconds)
        self.log.write("student", f"{called}: {seconds:.1f} s")
        remove_checkpoints(folder)

    def folds(self, shared: Path) -> tuple["Part", ...]:
        """A part for each fold of the labelled rows, trained without it and judged on it; none where a test judges.

        Args:
            shared: Where encodings and features of all parts are kept.
        """
        if not self.experiment.data.cross_validated:
            return ()
        parts = tuple(
            replace(
                self,
                roles=self.roles.holding(number),
                folder=self.folder / FOLDS / f"fold-{number}",
                caches=replace(self.caches, folder=shared),
                whole=self.scorers,
            )
            for number in range(self.experiment.data.folds)
        )
        for part in parts if leads() else ():
            part.folder.mkdir(parents=True, exist_ok=True)
        return parts

    @property
    def name(self) -> str:
        """What its students are called beside their row and seed; empty for the whole run."""
        return "" if self.roles.held_fold is None else f", without fold {self.roles.held_fold}"
