"""What a kind of teacher is: which options name it, what is checked before the run, and how it is opened or made.

`overproof.teachers.kinds` lists all kinds. Each is defined in the file of its teacher, in `brought/` or `trained/`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from overproof.data import Examples, Kind
from overproof.data.wording import nearest
from overproof.errors import InputError
from overproof.models import ModelSpec
from overproof.storage.store import RowsDone
from overproof.teachers.by_content import AnswersByContent
from overproof.teachers.scorers import Brought, Trainable
from overproof.training.options import TrainOptions


@runtime_checkable
class Named(Protocol):
    """The options that name a teacher: those of `overproof.teachers.options.ScorerOptions`."""

    @property
    def model(self) -> str:
        """A name, an import path or a path."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The model's own options."""
        ...

    @property
    def answers(self) -> Sequence[str]:
        """Files of answers."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """The names of the model's outputs, in order."""
        ...

    @property
    def weights(self) -> str:
        """A file of weights."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherName:
    """The options that name a teacher, where there is no experiment: given from Python.

    Args:
        model: As in `ScorerOptions`.
        options: As in `ScorerOptions`.
        answers: As in `ScorerOptions`.
        classes: As in `ScorerOptions`.
        weights: As in `ScorerOptions`.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    answers: Sequence[str] = ()
    classes: Sequence[str] = ()
    weights: str = ""


class TeacherKind(ABC):
    """A kind of teacher."""

    can_be_online: ClassVar[bool] = False
    """Whether it opens as a `SavedTeacher`, whose module predicts every augmented batch anew."""

    @abstractmethod
    def matches(self, named: Named) -> bool:
        """Whether the options name a teacher of this kind; the first kind of the list that matches is taken."""

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """The paths among its options that must exist, each as (option, path)."""
        return ()

    def files(self, named: Named) -> list[Path]:
        """The files that its answers follow from, besides files of answers; none for a name."""
        return []

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """Check, before anything is read, that its files exist and that it reads the data.

        Args:
            named: Names a teacher of this kind.
            option: What to call the teacher's options in errors, such as "teacher".
            kind: The kind of the data; None where it is not known yet.

        Raises:
            InputError: A file is missing, or the teacher reads another kind.
        """
        for name, path in self.paths(named):
            _check_exists(path, f"{option}.{name}")


class BroughtKind(TeacherKind):
    """A kind of pretrained model, which predicts as it is."""

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """The model's own path."""
        return [("model", named.model)]

    def files(self, named: Named) -> list[Path]:
        """The files that its answers follow from: it is opened anew when one of them has changed."""
        path = Path(named.model)
        return sorted(path.iterdir()) if path.is_dir() else [path]

    @abstractmethod
    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> Brought:
        """Open the model.

        Args:
            named: Names a teacher of this kind.
            class_names: The run's, in order.
            examples: Some of those it will answer.

        Raises:
            InputError: There is no such model, or it does not fit the examples or the classes.
        """


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingSetting:
    """What a teacher that is trained on the labels is made from.

    Args:
        everyone: Gives all examples that it will answer; of a large pool they take memory, and few teachers need them.
        fitting: Labelled examples and pool, never test: what encodings are fitted on.
        folder: Where features are stored.
        train: Trains a student on labelled examples in place: (student, labelled, seed, checkpoint).
        recipe: The options that `train` follows, for the fingerprint.
        student: The run's own student, for a teacher of the same kind.
        first: The answers of the first teacher of a list, for a later one that corrects them.
        progress: Called with (rows done, rows in all) while features are computed.
    """

    everyone: Callable[[], Examples]
    fitting: tuple[Examples, ...]
    folder: Path
    train: Callable[[Any, Examples, int, Path], None]
    recipe: TrainOptions
    student: ModelSpec | None = None
    first: AnswersByContent | None = None
    progress: RowsDone | None = None


class TrainedKind(TeacherKind):
    """A kind of model that is trained on the labels and cross-fitted."""

    def remarks(self, named: Named, examples: Examples) -> list[str]:
        """What it does not read of some examples; empty where there is nothing to say.

        Args:
            named: Names a teacher of this kind.
            examples: Those that it answers.
        """
        return []

    @abstractmethod
    def make(self, named: Named, setting: TrainingSetting) -> Trainable:
        """What `cross_fitted` fits.

        Args:
            named: Names a teacher of this kind.
            setting: What it is made from.

        Raises:
            InputError: It does not fit the data.
        """


def _check_exists(path: str, option: str) -> None:
    found = Path(path).expanduser()
    if not found.exists():
        beside = [each.name for each in found.parent.iterdir()] if found.parent.is_dir() else []
        raise InputError(
            f"Option '{option}' is {path!r}, and there is nothing of that name{nearest(found.name, beside)}."
        )
