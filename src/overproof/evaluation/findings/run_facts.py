"""The input of the findings: the table of a run, and the facts of each training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overproof.evaluation.verdict import Row, Summary


@dataclass(frozen=True, kw_only=True, slots=True)
class VoteFacts:
    """The content of one file of votes.

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
    """The facts of a finished run that the findings use.

    Args:
        trainings: The facts of each student's training, by row and seed: the content of its row.json.
        rows: One per method and seed.
        summary: One per method.
        class_names: K names.
        repeated: How many examples of each role are in the test too; empty where that is not to be reported.
        published_accuracy: The teacher's, where one is given.
        votes: One entry for each file of votes among the teacher's answers.
        scorers: The scorers by name.
        stacks: The weights of the scorers of a stack, seed by seed; empty with one scorer.
        input_remarks: Sentences about the parts of the examples that the student does not use.
        labelled_by_fold: Whether the labelled examples that the teacher's accuracy is estimated on were answered
            without their fold, and other examples by what was made of all folds.
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
    labelled_by_fold: bool = False

    @property
    def cross_validated(self) -> bool:
        """Whether the rows were judged on labelled examples, each answered by students trained without its fold."""
        return any(row.num_folds for row in self.rows)

    @property
    def where(self) -> str:
        """On what the rows were judged, in words."""
        return "on the labelled rows, out of fold" if self.cross_validated else "on the test"

    def row_names(self) -> list[str]:
        """The rows that hold students, each once, in the order of the table."""
        return list(dict.fromkeys(row for row, _ in self.trainings))

    def trainings_of(self, row: str) -> list[Mapping[str, Any]]:
        """The facts of the trainings of one row, seed by seed."""
        return [facts for (name, _), facts in self.trainings.items() if name == row]

    def conventional(self, row: str) -> bool:
        """Whether a row is conventional: false for one of the same name whose options make a method of it."""
        return all(each.role == "conventional" for each in self.rows if each.method == row)

    def partial_selections(self, row: str) -> list[Mapping[str, Any]]:
        """A row's selection of the pool, seed by seed; empty unless every seed selected a part of it."""
        kept = [facts["selection"] for facts in self.trainings_of(row) if "selection" in facts]
        return kept if all(0 < each["num_kept"] < each["num_pool"] for each in kept) else []


Finding = Callable[[RunFacts], list[str]]
"""Derives sentences from a finished run; an empty list if there is nothing to report."""
