"""A student saved by an earlier run as the teacher of this one: its stored predictions, or new ones for every batch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import at_row
from overproof.errors import InputError
from overproof.models import Student, TableEncoder, load_student
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import column_order, said_of_weights

READS: Mapping[str, Kind] = {
    "image": "image",
    "ngram": "text",
    "embedding": "text",
    "plain": "table",
    "table": "table",
}
"""The kind of examples that a student's encoder reads."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SavedTeacher:
    """A saved student whose classes are those of a run, perhaps in another order.

    Args:
        student: As it was saved.
        order: [K], which of its columns each of the run's classes is.
        fingerprint: Everything its answers follow from: how it is made and reads examples, and the hash of its weights.
        former: Of weights from a file: the same with the file's name, as earlier versions had it.
        stored_as: The type of the weights in the file, where it is not that of the computation.
    """

    student: Student
    order: Int[Tensor, "K"]
    fingerprint: str
    former: str = ""
    stored_as: str = ""

    @property
    def kind(self) -> Kind:
        """The kind of examples it reads."""
        return self.student.kind

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes.

        Raises:
            InputError: A number or date is missing in a column in which none was missing in its training.
        """
        encoder = self.student.encoder
        if isinstance(encoder, TableEncoder) and (gap := encoder.new_gap(examples)) is not None:
            column, row = gap
            raise InputError(
                f"{examples.origin} has a missing value in column {column!r}, {at_row(row)}, where none was missing in "
                f"the training of the saved student that is the teacher: fill it, or write `missing: drop`."
            )
        return self.student.probs(examples)[:, self.order]

    def remarks(self, examples: Examples) -> list[str]:
        """Weights of less precision than the computation."""
        return said_of_weights(f"teacher ({self.student.spec.name})", self.stored_as, "a module of that type")


def open_teacher(folder: Path | str, class_names: Sequence[str]) -> SavedTeacher:
    """The teacher in a folder that `Student.save` wrote, its classes matched to a run's by name.

    Args:
        folder: Such as RUN/students/seed-0/labelled_only.
        class_names: The run's, in order.

    Raises:
        InputError: There is no student, or its classes are not those of the run.
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
        fingerprint=json.dumps(
            {"saved": about["student"], "weights": about["weights"], "encoder": about["encoder"]}, sort_keys=True
        ),
    )


class SavedStudentFolder(BroughtKind):
    """A folder with `student.json`; any path that is no other kind of teacher."""

    can_be_online = True

    def matches(self, named: Named) -> bool:
        """A path has a slash in it."""
        return "/" in named.model and not named.weights

    def files(self, named: Named) -> list[Path]:
        """Those of the student alone: its folder in a run also holds facts of its training."""
        return [Path(named.model) / name for name in ("student.json", "student.safetensors")]

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """Also the kind of examples that it reads, as its `student.json` names it."""
        super().check(named, option, kind)
        try:
            encoder = json.loads((Path(named.model).expanduser() / "student.json").read_text())["encoder"]["type"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        reads = READS.get(encoder)
        if None not in (kind, reads) and reads != kind:
            raise InputError(
                f"Option '{option}.model' is a saved student that reads {reads}; the data are of kind {kind!r}."
            )

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> SavedTeacher:
        """As `open_teacher`; there is nothing to choose."""
        if named.classes or named.options:
            extra = "classes" if named.classes else "options"
            raise InputError(
                f"Option 'teacher.{extra}' is given, but a saved student ({named.model!r}) has its own; leave it out."
            )
        return open_teacher(Path(named.model), class_names)
