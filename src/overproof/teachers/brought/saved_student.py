"""A student saved by an earlier run as the teacher of this one: asked once for the store, or anew in every batch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.errors import InputError
from overproof.models import Student, load_student
from overproof.teachers.scorers import column_order


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SavedTeacher:
    """A saved student whose classes are those of a run, perhaps in another order.

    Args:
        student: As it was saved.
        order: [K], which of its columns each of the run's classes is.
        fingerprint: Everything its answers follow from: how it is made, and the hash of its weights.
    """

    student: Student
    order: Int[Tensor, "K"]
    fingerprint: str

    @property
    def kind(self) -> Kind:
        """The kind of examples it reads."""
        return self.student.kind

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        return self.student.probs(examples)[:, self.order]


def open_teacher(folder: Path | str, class_names: Sequence[str]) -> SavedTeacher:
    """The teacher in a folder that `Student.save` wrote, its classes matched to a run's by name.

    Args:
        folder: Such as RUN/students/seed-0/labelled_only.
        class_names: The run's, in order.

    Raises:
        InputError: There is no student, or it knows other classes than the run.
    """
    folder = Path(folder)
    if not (folder / "student.json").is_file():
        raise InputError(
            f"teacher.model {str(folder)!r} holds no saved student (no student.json in it) and no Hugging Face "
            f"model (no config.json); name a folder such as RUN/students/seed-0/labelled_only."
        )
    student = load_student(folder)
    about = json.loads((folder / "student.json").read_text())
    return SavedTeacher(
        student=student,
        order=column_order(class_names, student.class_names, f"teacher ({folder})"),
        fingerprint=json.dumps({"saved": about["student"], "weights": about["weights"]}, sort_keys=True),
    )
