"""A student by name as teacher, trained on the labels alone."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overproof.data import Examples
from overproof.models import ModelSpec, build, described_student, load_student
from overproof.teachers.keys import network_fingerprint
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
    """

    spec: ModelSpec
    examples: tuple[Examples, ...]
    train: Callable[[Any, Examples, int, Path], None]
    recipe: TrainOptions

    @property
    def fingerprint(self) -> str:
        """The model, its options and how it is trained."""
        return network_fingerprint(described_student(self.spec), self.recipe)

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Train it, or go on where a killed run left off."""
        if (folder / "student.json").exists():
            student = load_student(folder)
        else:
            student = build(self.spec, self.examples, class_names=labelled.class_names, seed=seed)
            self.train(student, labelled, seed, folder / "checkpoint.pt")
            student.save(folder)
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        return student.probs
