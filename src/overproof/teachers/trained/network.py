"""A student by name as teacher, trained on the labels alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overproof.data import Examples, Kind
from overproof.data.wording import nearest
from overproof.errors import InputError, NotFiniteError
from overproof.models import FROZEN, ZOO, ModelSpec, Student, build, described_student, load_student, resolved_for
from overproof.teachers.keys import network_fingerprint
from overproof.teachers.kind import Named, TrainedKind, TrainingSetting
from overproof.teachers.scorers import Predictor
from overproof.training.options import TrainOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A student by name, trained on the labels alone by the one training loop.

    Args:
        spec: Which, and its options.
        examples: Labelled and pool, on which its encoder is fitted.
        train: Trains a built student on labelled examples in place: (student, labelled, seed, checkpoint).
        recipe: The options that `train` follows, for the fingerprint.
        option: The option that holds them, for errors.
    """

    spec: ModelSpec
    examples: tuple[Examples, ...]
    train: Callable[[Any, Examples, int, Path], None]
    recipe: TrainOptions
    option: str = "teacher.train"
    _built: dict[tuple[str, ...], Student] = field(default_factory=dict, init=False)

    @property
    def fingerprint(self) -> str:
        """The model, its options and how it is trained."""
        return network_fingerprint(described_student(self.spec), self.recipe)

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Train it, or go on where a killed run left off."""
        if (folder / "student.json").exists():
            student = load_student(folder)
        else:
            student = self._first(labelled.class_names).fresh(seed=seed)
            try:
                self.train(student, labelled, seed, folder / "checkpoint.pt")
                student.probs(labelled)
            except NotFiniteError as error:
                (folder / "checkpoint.pt").unlink(missing_ok=True)
                words = str(error).replace("'train.", f"'{self.option}.")
                raise NotFiniteError(f"Teacher {self.spec.name!r}: {words}") from None
            student.save(folder)
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        return student.probs

    def _first(self, class_names: tuple[str, ...]) -> Student:
        """An untrained one, whose encoder and buffers are fitted once for all folds: that reads the whole pool."""
        if class_names not in self._built:
            self._built[class_names] = build(self.spec, self.examples, class_names=class_names, seed=0)
        return self._built[class_names]


class OwnStudent(TrainedKind):
    """`student`: one like the run's own, trained as it is."""

    def matches(self, named: Named) -> bool:
        """By name."""
        return named.model == "student"

    def make(self, named: Named, setting: TrainingSetting) -> Network:
        """From the run's own student."""
        assert setting.student is not None, "a run has a student"
        return Network(
            spec=setting.student,
            examples=setting.fitting,
            train=setting.train,
            recipe=setting.recipe,
            option="train",
        )


class NetworkByName(TrainedKind):
    """A student by name, or the import path of a factory of a torch module; any name that is no other teacher's."""

    def matches(self, named: Named) -> bool:
        """Always."""
        return True

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """That there is such a student, and that it reads the data."""
        model = named.model
        if kind is None or ":" in model or model in ("auto", "answers"):
            return
        suited = [name for name, architecture in ZOO.items() if kind in architecture.kinds]
        if model not in ZOO:
            known = [*suited, *FROZEN, "auto", "student", "answers"]
            raise InputError(
                f"Option '{option}.model' is {model!r}{nearest(model, known)}; allowed are {', '.join(known)}, an "
                f"import path 'package.module:factory', or the path of a saved model."
            )
        if kind not in ZOO[model].kinds:
            raise InputError(
                f"Option '{option}.model' is {model!r}, but the data are of kind {kind!r}; allowed for these are "
                f"{', '.join(suited)}, an import path, a saved model or files of answers."
            )
        resolved_for(ModelSpec(name=model, options=dict(named.options)), kind, option)

    def make(self, named: Named, setting: TrainingSetting) -> Network:
        """A fresh student for each fit."""
        spec = ModelSpec(name=named.model, options=dict(named.options))
        return Network(spec=spec, examples=setting.fitting, train=setting.train, recipe=setting.recipe)
