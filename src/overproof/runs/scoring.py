"""Opens the test: the metrics of the teacher and of every student of a seed, and their answers counted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from overproof.data import repeats_in
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.evaluation.confusions import Tally, tally
from overproof.evaluation.metrics import correct, metrics
from overproof.evaluation.verdict import Role, Row
from overproof.models import Student, load_student
from overproof.runs.costs import measured
from overproof.runs.folder.result_file import check_facts
from overproof.runs.folder.resume import ROW, is_finished, student_folder
from overproof.runs.students import Students


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


def score(students: Students, folder: Path, seed: int) -> SeedScores:
    """Score the teacher and all students of a seed on its test, of which each content counts once: its first example.

    Args:
        students: The run's.
        folder: The run's.
        seed: One of the run's.

    Raises:
        InputError: A student is not trained yet.
    """
    test, answers = students.given.for_seed(seed).test, students.teacher.for_seed(seed).get("test")
    test_digest, repeats = test.digest(), repeats_in(test)
    once = repeats.once
    distinct, label = repeats.take(once), test.label[once]
    # Files of answers need none to the test; the teacher is not judged there then.
    teacher_probs = None if answers is None else answers.probs()[once]
    independent = {"num_independent": distinct.num_independent} if distinct.any else {}
    rows, tallies, trainings = [], [], {}

    def add(name: str, role: Role, probs: Tensor) -> None:
        tallies.append(tally(name, seed, probs, label, teacher_probs, once))
        rows.append(
            Row(
                method=name,
                seed=seed,
                role=role,
                metrics={**metrics(probs, label, teacher_probs), **independent},
                correct=correct(probs, label),
                repeats=distinct if distinct.any else None,
                test=test_digest,
            )
        )

    if teacher_probs is not None:
        add("teacher", "reference", teacher_probs)
    for each in students.rows(seed):
        trained = student_folder(folder, seed, each.row)
        if not is_finished(trained):
            raise InputError(f"Student {each.row!r} of seed {seed} is not trained yet; run the distill step.")
        student = load_student(trained)
        with measured(folder, "answer", each.row, seed, len(test)) as saved:
            probs = student.probs(students.encoded(student, test, saved))
        add(each.row, students.role(each), probs[once])
        trainings[each.row, seed] = _facts(trained / ROW)
    return SeedScores(rows=tuple(rows), tallies=tuple(tallies), trainings=trainings, last_student=student)


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
