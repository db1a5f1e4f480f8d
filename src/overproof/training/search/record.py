"""The record of a search: what was tried, what the labels said of it, what it cost and why one was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One candidate, judged on labelled examples out of sample.

    Args:
        name: The candidate in words.
        log_loss: Mean log-loss of its students, calibrated.
        accuracy: Share of the examples of which they predict the class.
        behind: Mean paired difference of the log-loss from the lowest; 0 for the lowest itself.
        standard_error: Of that difference.
    """

    name: str
    log_loss: float
    accuracy: float
    behind: float
    standard_error: float


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class SearchRecord:
    """What a search tried and chose.

    Args:
        chosen: The candidate in words.
        reason: Why, in one sentence.
        row: The chosen row as it is written in an experiment: method, options, training options and rounds.
        tried: By rising log-loss; empty where the labels are too few to choose.
        left_out: Candidates that were not tried, each with the reason.
        num_judged: Number of independent labelled examples that the candidates were judged on.
        num_folds: Number of students that each candidate took.
        pool_share: Share of the pool that each was trained on.
        cost: What the search cost, in trainings of the final student, without that training and its rounds.
        regime: The key of `overproof.training.search.candidates.PRIOR`.
        prior_version: The version of that table.
        too_few: Whether the labels were too few to choose, so that the prior choice was taken.
    """

    chosen: str
    reason: str
    row: Mapping[str, Any]
    tried: tuple[Tried, ...]
    left_out: tuple[tuple[str, str], ...]
    num_judged: int
    num_folds: int
    pool_share: float
    cost: float
    regime: str
    prior_version: int
    too_few: bool

    def __repr__(self) -> str:
        return (
            f"SearchRecord({self.chosen!r}, from {len(self.tried)} candidates on {self.num_judged} labelled examples: "
            f"{self.reason})"
        )

    @property
    def log_loss(self) -> float | None:
        """The labelled log-loss of students of the chosen candidate, out of sample; None where none was tried."""
        return next((each.log_loss for each in self.tried if each.name == self.chosen), None)

    def without_rounds(self) -> "SearchRecord":
        """The record of a choice whose peer rounds are not used."""
        return replace(self, row={name: value for name, value in self.row.items() if name != "rounds"})

    def facts(self) -> dict[str, Any]:
        """The record as values for JSON."""
        return asdict(self)

    def sentences(self) -> Sequence[str]:
        """The record as lines of the log."""
        lines = [
            f"tried {each.name}: labelled log-loss {each.log_loss:.4f} (behind the lowest {each.behind:.4f}, standard "
            f"error {each.standard_error:.4f}), accuracy {each.accuracy:.3f}"
            for each in self.tried
        ]
        lines += [f"not tried {name}: {why}" for name, why in self.left_out]
        return [*lines, f"chose {self.chosen}: {self.reason}"]
