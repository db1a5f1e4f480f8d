"""A student saved by an earlier run as the teacher of this one: asked once for the store, or anew in every batch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind, check_classes
from overproof.errors import InputError
from overproof.labels import Answers, answer
from overproof.models import Student, load_student
from overproof.shard import StoreKey
from overproof.store import Progress
from overproof.version import __version__


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
            f"teacher.model {str(folder)!r} holds no saved student (no student.json in it); name a folder such as "
            f"RUN/students/seed-0/labelled_only."
        )
    student = load_student(folder)
    own = student.class_names
    known = [name for name in class_names if name in own]
    # Another order is no mistake: the columns go by name.
    check_classes(class_names, known + [name for name in own if name not in class_names], f"teacher ({folder})")
    about = json.loads((folder / "student.json").read_text())
    return SavedTeacher(
        student=student,
        order=torch.tensor([own.index(name) for name in class_names]),
        fingerprint=json.dumps({"saved": about["student"], "weights": about["weights"]}, sort_keys=True),
    )


def asked_once(
    teacher: SavedTeacher,
    parties: Mapping[str, Examples],
    class_names: tuple[str, ...],
    *,
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, Answers]:
    """Answers for every role by one teacher that was trained elsewhere; no folds, because it saw none of them.

    Args:
        teacher: Asked only where an answer is missing.
        parties: Examples by role.
        class_names: The run's, in order.
        folder: Answers are kept in `folder/ROLE`.
        progress: Told (rows done, rows in all) for each role in turn.

    Raises:
        InputError: Examples of another kind than it reads, or a store of another teacher or of other examples.
    """
    answers = {}
    for role, examples in parties.items():

        def ask(rows: slice, examples: Examples = examples) -> Tensor:
            return teacher.probs(examples.take(torch.arange(rows.start, rows.stop)))

        key = StoreKey(
            teacher=teacher.fingerprint, data=examples.digest(), transform=role, code=f"overproof {__version__}"
        )
        answers[role] = answer(
            folder / role,
            examples.ids,
            key,
            class_names,
            ask,
            source=examples.source,
            progress=progress,
            mmap=examples.mapped is not None,
        )
    return answers
