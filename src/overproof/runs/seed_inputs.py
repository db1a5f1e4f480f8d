"""What every student of a seed is made from: encoded examples and the teacher's answers, by role."""

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.functional.repeats import Repeats
from overproof.models import Inputs, Student
from overproof.models.saved.row_hashes import RowHashes, grid_of, hashes_of, key_of
from overproof.noise import global_accuracy, transition_interval
from overproof.storage.shard import Ids
from overproof.training.examples import AnsweredExamples


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedInputs:
    """What every student of a seed is made from: examples encoded once, answers read once.

    Args:
        seed: The run's.
        first: An untrained student, from which fresh ones are made.
        inputs: Labelled, pool and validation examples as it reads them.
        answered: The same by role, with the teacher's answers.
        ids: The content ids of each role's examples.
        without_fold: For each fold of a teacher that was trained on the labelled examples its answers on the pool
            without the fold; empty for one that was not, and where no row has peer rounds.
        without_half: The same for each half of them, where a row chooses on labelled examples.
        truth: The true labels of the roles whose given ones were corrupted.
        trust_labelled_answers: Whether the teacher's answers on the labelled examples are out of sample.
    """

    seed: int
    first: Student
    inputs: Inputs
    answered: dict[str, AnsweredExamples]
    ids: dict[str, Ids]
    without_fold: tuple[Answers, ...]
    without_half: tuple[Answers, ...]
    truth: dict[str, Tensor]
    trust_labelled_answers: bool

    @cached_property
    def teacher_accuracy(self) -> dict[str, float]:
        """Mean, low and high of the teacher's accuracy on labelled examples unseen by it, and how many of them are
        independent; empty without any."""
        label, teacher_probs, repeats = self._unseen
        if len(label) == 0:
            return {}
        accuracy = global_accuracy(label, teacher_probs, repeats=repeats)
        return {**dict(zip(("mean", "low", "high"), accuracy, strict=True)), "num": repeats.num_independent}

    @cached_property
    def accuracy_by_class(self) -> dict[str, list[float]]:
        """Low and high of the teacher's accuracy on each class, as `teacher_accuracy`; empty without any examples."""
        label, teacher_probs, repeats = self._unseen
        if len(label) == 0:
            return {}
        ends = zip(("low", "high"), transition_interval(label, teacher_probs, repeats=repeats), strict=True)
        return {end: [round(value, 4) for value in matrix.diagonal().tolist()] for end, matrix in ends}

    @property
    def _unseen(self) -> tuple[Tensor, Tensor, Repeats]:
        """True labels and teacher's answers on the labelled examples that it was not trained on."""
        role = "validation" if "validation" in self.answered else "labelled"
        known = self.answered[role]
        if role == "labelled" and not self.trust_labelled_answers:
            return known.label[:0], known.answers.probs()[:0], Repeats.none(0)
        answered, known_label = known.answers.answered, self.truth.get(role, known.label)
        return known_label[answered], known.answered.answers.probs(), known.repeats.take(answered)

    def with_truth(self) -> dict[str, AnsweredExamples]:
        """The roles whose given labels are corrupted, with the true ones: for the oracle row."""
        return {role: replace(self.answered[role], label=label) for role, label in self.truth.items()}

    def num_for(self, pool: str) -> int:
        """How many examples a student is trained on, at most: labelled ones and those of a pool."""
        return len(self.answered["labelled"]) + len(self.answered[pool])

    @cached_property
    def seen_key(self) -> bytes:
        """The key of `read_hashes`."""
        return key_of(self.ids.values())

    @cached_property
    def read_hashes(self) -> dict[str, RowHashes]:
        """By role, hashes of what the student reads of each example."""
        grid = grid_of(self.first.encoder, self.inputs)
        return {
            role: hashes_of(self.seen_key, self.first.encoder, self.inputs, self.ids[role], each.place, grid)
            for role, each in self.answered.items()
        }

    def id_at(self, place: int) -> str:
        """The content id of the example at a row of `inputs`, as hex."""
        for ids in self.ids.values():
            if place < len(ids):
                return bytes(ids[place].tobytes()).hex()
            place -= len(ids)
        raise IndexError(place)

    def fresh(self) -> Student:
        """A new student with the seed's initial weights."""
        return self.first.fresh(seed=self.seed)
