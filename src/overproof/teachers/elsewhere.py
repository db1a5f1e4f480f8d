"""A pretrained teacher that another process opens, which must answer there as it answers here."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from overproof.answers.ask import digest_of_answers
from overproof.data import Examples
from overproof.errors import InputError
from overproof.models.importing import allowed, allowing
from overproof.teachers.kinds import brought_kind_of
from overproof.teachers.options import ScorerOptions
from overproof.teachers.scorers import Brought

NUM_COMPARED = 64
"""So many examples are answered by every process that opens the teacher, and compared; openers look at no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedElsewhere:
    """What opens a teacher in another process: called there, it gives the teacher's probabilities for examples.

    Args:
        scorer: The teacher's options.
        class_names: The run's, in order.
        first: Some examples that it answers, in memory.
        fingerprint: The teacher's in the process that this was made in.
        answers: The digest of its answers to `first` there.
        named: The import paths that the user named.
    """

    scorer: ScorerOptions
    class_names: tuple[str, ...]
    first: Examples
    fingerprint: str
    answers: str
    named: frozenset[str]

    def __call__(self) -> Callable[[Examples], Tensor]:
        """Open it.

        Raises:
            InputError: It cannot be opened here, is another model, or gives other answers.
        """
        with allowing(self.named):
            teacher = brought_kind_of(self.scorer).open(self.scorer, self.class_names, self.first)
            if teacher.fingerprint != self.fingerprint:
                raise InputError(
                    f"The teacher {self.scorer.model!r} on {socket.gethostname()} is another model than where the "
                    f"command was given: all nodes need the same file at this path."
                )
            if digest_of_answers(teacher.probs(self.first)) != self.answers:
                raise InputError(
                    f"The teacher {self.scorer.model!r} on {socket.gethostname()} answers the first {len(self.first)} "
                    f"examples of {self.first.origin} with other numbers than where the command was given, so the "
                    f"stored answers would depend on the node: use nodes with one kind of processor, and give the "
                    f"command on one of them."
                )

        def probs(examples: Examples) -> Tensor:
            with allowing(self.named):
                return teacher.probs(examples)

        return probs


def opened_elsewhere(
    teacher: Brought, scorer: ScorerOptions, class_names: tuple[str, ...], examples: Examples
) -> OpenedElsewhere:
    """What opens the same teacher in another process.

    Args:
        teacher: As it is open here.
        scorer: Its options.
        class_names: The run's, in order.
        examples: Those that it was opened for; the first are answered, here and there.
    """
    first = examples.take(torch.arange(min(NUM_COMPARED, len(examples)))).in_memory()
    return OpenedElsewhere(
        scorer=scorer,
        class_names=class_names,
        first=first,
        fingerprint=teacher.fingerprint,
        answers=digest_of_answers(teacher.probs(first)),
        named=allowed(),
    )
