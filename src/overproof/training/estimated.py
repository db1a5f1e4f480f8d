"""How often a student is right, by labelled examples that students like it were not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """The performance of a student, cross-validated.

    Args:
        accuracy: Share of the judged examples of which the class is right.
        low: The lower end of its 95 % interval.
        high: The upper end.
        metrics: By `overproof.evaluation.metrics.metrics`, accuracy included.
        teacher_accuracy: Share of them of which the teacher's class is right, where it has an answer.
        num_judged: Number of different labelled examples.
        num_folds: Each was answered by a student that was trained without its fold.
    """

    accuracy: float
    low: float
    high: float
    metrics: Mapping[str, float]
    teacher_accuracy: float
    num_judged: int
    num_folds: int

    def words(self) -> str:
        """In a few words."""
        interval = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"right {100 * self.accuracy:.1f} % {interval} in {self.num_folds}-fold cross-validation"
