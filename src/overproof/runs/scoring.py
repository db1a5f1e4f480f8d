"""Opens the test: the metrics of the teacher and of every student of a seed, and their answers counted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from overproof.cross_fitting import rows_within
from overproof.data import Examples, repeats_in
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.evaluation.confusions import Tally, tally
from overproof.evaluation.metrics import correct, metrics
from overproof.evaluation.verdict import Role, Row
from overproof.functional import names_none
from overproof.models import Student, load_student
from overproof.runs.costs import measured
from overproof.runs.folder.result_file import check_facts
from overproof.runs.folder.resume import ROW, is_finished, student_folder
from overproof.runs.students import Students
from overproof.teachers import enough_answered


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeedScores:
    """Teacher and students of one seed on its test.

    Args:
        rows: The teacher's first, where it is judged.
        tallies: One a row.
        trainings: The content of each student's row.json, by row and seed.
        last_student: Of the table; its encoder reads inputs as those of all others do.
    """

    rows: tuple[Row, ...]
    tallies: tuple[Tally, ...]
    trainings: Mapping[tuple[str, int], Mapping[str, Any]]
    last_student: Student


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Judging:
    """Who answers which of the examples that students are judged on: one set of students all, or each its fold.

    Args:
        examples: [N].
        parts: Students, and the rows of the examples that are their test; every row is in one part.
        teacher_too: Whether the teacher answers enough of labelled rows that judge to be judged on them.
    """

    examples: Examples
    parts: list[tuple[Students, Tensor]]
    teacher_too: bool = True

    def teacher_probs(self, seed: int) -> Tensor | None:
        """[N, K]; None where files of answers have none to the test: the teacher is not judged there then."""
        if not self.teacher_too:
            return None
        answers = [students.teacher.for_seed(seed).get("test") for students, _ in self.parts]
        known = [each.probs() for each in answers if each is not None]
        return self._placed(known) if len(known) == len(answers) else None

    def alone_probs(self, seed: int) -> dict[str, Tensor]:
        """[N, K] of each scorer of a stack that is trained on the labels, by the name of its row."""
        by_part = [students.teacher.alone(seed) for students, _ in self.parts]
        names = [name for name in by_part[0] if all(name in each for each in by_part)]
        return {name: self._placed([each[name].probs() for each in by_part]) for name in names}

    def student_probs(self, folder: Path, seed: int, row: str) -> Tensor:
        """[N, K], each example by the student of its part.

        Args:
            folder: Where the time is noted.
            seed: One of the run's.
            row: Of the table.
        """
        probs = []
        for students, _ in self.parts:
            test, student = students.given.for_seed(seed).test, _trained(students, seed, row)
            with measured(folder, "answer", row, seed, len(test)) as saved:
                probs.append(student.probs(students.encoded(student, test, saved)))
        return self._placed(probs)

    def _placed(self, probs: list[Tensor]) -> Tensor:
        """The answers of all parts in the order of the examples."""
        return torch.cat(probs)[torch.cat([rows for _, rows in self.parts]).argsort()]


def _judging(whole: Students, seed: int, folds: Sequence[Students]) -> _Judging:
    # The true labels, also where the given ones were corrupted for an experiment.
    roles = whole.teacher.roles.for_seed(seed)
    parts = [(students, rows_within(roles.fold, number)) for number, students in enumerate(folds)]
    answered = whole.teacher.for_seed(seed)["labelled"].answered if folds else torch.ones(1)
    return _Judging(
        examples=roles.judging,
        parts=parts or [(whole, torch.arange(len(roles.judging)))],
        teacher_too=enough_answered(int(answered.sum()), len(answered)),
    )


def score(whole: Students, seed: int, folds: Sequence[Students] = ()) -> SeedScores:
    """Score the teacher and all students of a seed on its test, of which each content counts once: its first example.

    Without a test the labelled rows judge, each the students of its own fold; and with neither nothing is judged.

    Args:
        whole: The run's students.
        seed: One of the run's.
        folds: Those that were trained without a fold of the labelled rows, where there is no test.

    Raises:
        InputError: A student is not trained yet.
    """
    judging = _judging(whole, seed, folds)
    test = judging.examples
    if not len(test):
        return _scores(whole, seed, [], [])
    test_digest, repeats = test.digest(), repeats_in(test)
    once = repeats.once
    distinct, label = repeats.take(once), test.label[once]
    teacher_probs = judging.teacher_probs(seed)
    teacher_probs = None if teacher_probs is None else teacher_probs[once]
    independent = {"num_independent": distinct.num_independent} if distinct.any else {}
    rows, tallies = [], []

    def add(name: str, role: Role, probs: Tensor, *, guesses: bool = False) -> None:
        # What a teacher does not answer is no confusion of two classes.
        named = ~names_none(probs) if guesses else torch.ones(len(probs), dtype=torch.bool)
        of_teacher = None if teacher_probs is None else teacher_probs[named]
        tallies.append(tally(name, seed, probs[named], label[named], of_teacher, once[named]))
        rows.append(
            Row(
                method=name,
                seed=seed,
                role=role,
                metrics={**metrics(probs, label, teacher_probs, guesses=guesses), **independent},
                correct=correct(probs, label, guesses=guesses),
                repeats=distinct if distinct.any else None,
                test=test_digest,
                num_folds=len(folds),
            )
        )

    if teacher_probs is not None:
        add("teacher", "reference", teacher_probs, guesses=True)
    for name, probs in judging.alone_probs(seed).items():
        add(name, "reference", probs[once], guesses=True)
    for each in whole.rows(seed):
        add(each.row, whole.role(each), judging.student_probs(whole.folder, seed, each.row)[once])
    return _scores(whole, seed, rows, tallies)


def _scores(whole: Students, seed: int, rows: list[Row], tallies: list[Tally]) -> SeedScores:
    """With the facts of the run's own students, each of which is opened and so compared with its manifest."""
    trainings = {}
    for each in whole.rows(seed):
        last = _trained(whole, seed, each.row)
        trainings[each.row, seed] = _facts(_finished(whole, seed, each.row) / ROW)
    return SeedScores(rows=tuple(rows), tallies=tuple(tallies), trainings=trainings, last_student=last)


def _trained(students: Students, seed: int, row: str) -> Student:
    return load_student(_finished(students, seed, row))


def _finished(students: Students, seed: int, row: str) -> Path:
    """The folder of a trained student."""
    trained = student_folder(students.folder, seed, row)
    if not is_finished(trained):
        raise InputError(f"Student {row!r} of seed {seed}{students.called} is not trained yet; run the distill step.")
    return trained


def _facts(path: Path) -> dict[str, Any]:
    """The content of a row.json: an object with at least the facts that every training has."""
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError("facts of the training are missing")
        check_facts(found)
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({reason(error)}): delete its folder and run the same command again; the student is "
            f"trained again."
        ) from None
    return found
