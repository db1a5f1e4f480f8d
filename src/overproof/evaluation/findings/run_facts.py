"""What the findings of a run are derived from: its table, and what is known of each training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overproof.evaluation.verdict import Row, Summary


@dataclass(frozen=True, kw_only=True, slots=True)
class VoteFacts:
    """What one file of votes holds.

    Args:
        file: Its name.
        per_example: Mean number of votes an example.
        agreement: Share of the examples whose votes agree.
        vote: How they are turned into probabilities: a key of `votes.COUNTED`.
    """

    file: str
    per_example: float
    agreement: float
    vote: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RunFacts:
    """A finished run, as far as findings need it.

    Args:
        trainings: What is known of each student's training, by row and seed: the content of its row.json.
        rows: One a method and seed.
        summary: One a method.
        class_names: K names.
        repeated: How many examples of each role are in the test too; empty where that is not to be reported.
        published_accuracy: The teacher's, where one is given.
        votes: One entry for each file of votes among the teacher's answers.
        scorers: The scorers by name.
        stacks: What each scorer of a stack counts, seed by seed; empty with one scorer.
        input_remarks: What the student does not see of the examples, in sentences.
    """

    trainings: Mapping[tuple[str, int], Mapping[str, Any]]
    rows: Sequence[Row] = ()
    summary: Sequence[Summary] = ()
    class_names: Sequence[str] = ()
    repeated: Mapping[str, int] | None = None
    published_accuracy: float | None = None
    votes: Sequence[VoteFacts] = ()
    scorers: Sequence[str] = ()
    stacks: Sequence[Mapping[str, Any]] = ()
    input_remarks: Sequence[str] = ()

    def row_names(self) -> list[str]:
        """The rows that hold students, each once, in the order of the table."""
        return list(dict.fromkeys(row for row, _ in self.trainings))

    def trainings_of(self, row: str) -> list[Mapping[str, Any]]:
        """What is known of the trainings of one row, seed by seed."""
        return [facts for (name, _), facts in self.trainings.items() if name == row]

    def partial_selections(self, row: str) -> list[Mapping[str, Any]]:
        """What a row kept of the pool, seed by seed; empty unless every seed kept a part of it."""
        kept = [facts["selection"] for facts in self.trainings_of(row) if "selection" in facts]
        return kept if all(0 < each["num_kept"] < each["num_pool"] for each in kept) else []


Finding = Callable[[RunFacts], list[str]]
"""Derives sentences from a finished run; an empty list where nothing is to be reported."""
