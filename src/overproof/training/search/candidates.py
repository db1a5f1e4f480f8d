"""The candidates of a search, and the order in which equally good ones are preferred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from overproof.errors import InputError
from overproof.methods.composition import Method, override
from overproof.methods.published import method
from overproof.methods.weights import Uniform
from overproof.models import Student, body_of, optimizer_for
from overproof.training.estimators import check_fittable
from overproof.training.options import TrainOptions
from overproof.training.trainable import check_trainable

PRIOR_VERSION = 2
"""Of `PRIOR`; raised with every change of its content."""

PRIOR: Mapping[str, tuple[str, ...]] = {
    "hard labels": ("slam_auto", "forward", "hard"),
    "sets of classes": ("answer_sets", "soft", "forward", "slam_auto", "hard"),
    "probabilities, two or three classes": ("slam_auto", "forward", "soft", "hard"),
    "probabilities, more classes": ("soft", "forward", "slam_auto", "hard"),
}
"""By what the teacher predicts: methods in the order of their mean gains in `docs/results.md` (version 0.1.0).

Those for sets of classes are in no table yet.
"""

LABELLED_ONLY = "labelled_only"
"""The method that does not use the teacher."""

ANSWER_SETS = "answer_sets"
"""The method for a teacher that names every class that may hold."""

FEW_CLASSES = 3
"""Up to so many classes, probabilities say little more than the class."""


def regime(*, hard_labels: bool, sets: bool, num_classes: int) -> str:
    """The key of `PRIOR`.

    Args:
        hard_labels: Whether all predictions of the teacher have the same margin.
        sets: Whether all predictions are sets of equally likely classes, and not all of one class.
        num_classes: K.
    """
    if hard_labels:
        return "hard labels"
    if sets:
        return "sets of classes"
    return f"probabilities, {'two or three' if num_classes <= FEW_CLASSES else 'more'} classes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A method by name with some of the student's own training options.

    Args:
        method: Its registered name.
        learning_rate: A multiple of the learning rate.
        weight_decay: A multiple of the weight decay.
        balanced: Whether every class gets the same total weight.
    """

    method: str
    learning_rate: float = 1.0
    weight_decay: float = 1.0
    balanced: bool = False

    @property
    def name(self) -> str:
        """The method, and what is changed in it.

        Example:
            >>> Candidate(method="hard", learning_rate=0.25, balanced=True).name
            'hard, learning rate x 0.25, balanced classes'
        """
        parts = [self.method]
        parts += [f"learning rate x {self.learning_rate:g}"] if self.learning_rate != 1 else []
        parts += [f"weight decay x {self.weight_decay:g}"] if self.weight_decay != 1 else []
        return ", ".join([*parts, *(["balanced classes"] if self.balanced else [])])

    @property
    def num_changes(self) -> int:
        """Number of training options that are not the default."""
        return (self.learning_rate != 1) + (self.weight_decay != 1) + self.balanced

    def options(self) -> dict[str, Any]:
        """The options of the method that differ from its own, by path."""
        return {"labelled.weight": "class_balanced", "pool.weight": "class_balanced"} if self.balanced else {}

    def train(self, options: TrainOptions, student: Student) -> dict[str, Any]:
        """The training options that differ from the given ones.

        Args:
            options: As given.
            student: For its default learning rate.
        """
        rate = options.resolved(*optimizer_for(student.spec, student.kind)).learning_rate
        assert not isinstance(rate, str), "it is resolved"
        changed: dict[str, Any] = {}
        if self.learning_rate != 1:
            changed["learning_rate"] = float(f"{rate * self.learning_rate:.6g}")
        if self.weight_decay != 1:
            changed["weight_decay"] = float(f"{options.weight_decay * self.weight_decay:.6g}")
        return changed

    def build(self) -> Method:
        """The method with its options."""
        built = method(self.method)
        for path, value in self.options().items():
            built = override(built, path, value)
        return built

    def problem(self, student: Student, options: TrainOptions, *, unseen: bool, validation: bool) -> str:
        """Why it cannot be tried; empty if it can.

        Args:
            student: Untrained.
            options: How to train.
            unseen: As in `check_trainable`.
            validation: As in `check_trainable`.
        """
        if self.balanced and not all(isinstance(each.weight, Uniform) for each in _objectives(method(self.method))):
            return "it has weights of its own"
        built = self.build()
        if built.sought is not None or built.generations > 1 or built.initial != "fresh":
            return "it takes several trainings"
        try:
            check_trainable(built, options, unseen=unseen, validation=validation)
            if (body := body_of(student.module)) is not None:
                check_fittable(body.path, built, options)
        except InputError as error:
            return str(error)
        return ""


def _objectives(built: Method) -> tuple[Any, Any]:
    return built.labelled, built.pool


def neighbours(
    candidate: Candidate, learning_rates: Sequence[float], weight_decays: Sequence[float], *, balanced: bool
) -> list[Candidate]:
    """Candidates that differ from one in one training option, a multiple by one step of those to try.

    Args:
        candidate: The candidate.
        learning_rates: Multiples to try.
        weight_decays: Multiples to try.
        balanced: Whether balanced classes are tried.

    Example:
        >>> near = neighbours(Candidate(method="hard"), (1.0, 0.25, 4.0, 16.0), (1.0,), balanced=True)
        >>> [each.name for each in near]
        ['hard, balanced classes', 'hard, learning rate x 0.25', 'hard, learning rate x 4']
    """
    found = [replace(candidate, balanced=True)] if balanced and not candidate.balanced else []
    found += [replace(candidate, learning_rate=each) for each in _beside(candidate.learning_rate, learning_rates)]
    return found + [replace(candidate, weight_decay=each) for each in _beside(candidate.weight_decay, weight_decays)]


def _beside(value: float, values: Sequence[float]) -> list[float]:
    """The largest smaller and the smallest larger one."""
    smaller, larger = [each for each in values if each < value], [each for each in values if each > value]
    return [*([max(smaller)] if smaller else []), *([min(larger)] if larger else [])]


def preferred(candidates: Sequence[Candidate], prior: Sequence[str]) -> list[Candidate]:
    """Candidates in the order in which equally good ones are chosen.

    First those with fewer changed training options; of these by the order of `prior`; methods that it does not name
    follow, `labelled_only` last.

    Args:
        candidates: In the order in which they were tried.
        prior: Names of methods, the best first.

    Example:
        >>> tried = [Candidate(method=name) for name in ("labelled_only", "soft", "hard")]
        >>> [each.method for each in preferred(tried, ("hard", "soft"))]
        ['hard', 'soft', 'labelled_only']
    """

    def key(numbered: tuple[int, Candidate]) -> tuple[bool, int, int, int]:
        number, each = numbered
        place = prior.index(each.method) if each.method in prior else len(prior)
        return each.method == LABELLED_ONLY, each.num_changes, place, number

    return [each for _, each in sorted(enumerate(candidates), key=key)]
