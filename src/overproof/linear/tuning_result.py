"""The result of `tune-xi`, and its table."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Group
from rich.table import Table

from overproof.evaluation.verdict import Verdict

Task = Literal["classification", "regression"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningResult:
    """The result of the tuning; fit for JSON through `as_json`.

    Args:
        task: "classification" (a softmax head) or "regression" (ridge).
        num_examples: N.
        num_groups: How many of them are independent: groups, and without groups contents.
        num_features: D.
        num_answers: Number of classes, or of outputs.
        metric: "accuracy", or "r2", the share of the outputs' variance that is predicted.
        teacher_regularization: The teacher's best, chosen on all examples.
        teacher: The teacher's metric, each example predicted by a fit on the other folds.
        regularization: The student's, chosen together with its imitation on all examples.
        imitation: The student's.
        fold_imitations: The imitations chosen by the students of the folds, whose predictions are measured.
        student: The student's metric, measured as the teacher's.
        gain: `student` less `teacher`; 0 where the chosen student is a teacher, which is not compared with itself.
        gain_low: Lower end of its interval.
        gain_high: Upper end of its interval.
        level: Coverage of the interval.
        verdict: BEATS, DOES NOT BEAT or INCONCLUSIVE (`overproof.evaluation.verdict`).
        measured_on: The labels or targets that the metric is computed against.
        folds: Number of folds.
        repeats: How many times the examples were divided into folds.
        same: Whether the chosen student is a teacher: its imitation is 0, so that no self-distillation was chosen.
    """

    task: Task
    num_examples: int
    num_groups: int
    num_features: int
    num_answers: int
    metric: Literal["accuracy", "r2"]
    teacher_regularization: float
    teacher: float
    regularization: float
    imitation: float
    fold_imitations: tuple[float, ...]
    student: float
    gain: float
    gain_low: float
    gain_high: float
    level: float
    verdict: Verdict
    measured_on: str
    folds: int
    repeats: int
    same: bool

    def as_json(self) -> dict[str, Any]:
        """The fields as a dictionary."""
        return asdict(self)


def report(tuned: TuningResult) -> Group:
    """The result as a table for a terminal.

    Args:
        tuned: The result.
    """
    unit = "accuracy %" if tuned.metric == "accuracy" else "R² %"
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("", "regularization", "xi", unit, "gain", "verdict"):
        drawn.add_column(name, no_wrap=True)
    gain = f"{100 * tuned.gain:+.2f} [{100 * tuned.gain_low:+.2f}, {100 * tuned.gain_high:+.2f}]"
    drawn.add_row("teacher", f"{tuned.teacher_regularization:.3g}", "0", f"{100 * tuned.teacher:.2f}", "", "")
    drawn.add_row(
        "student",
        f"{tuned.regularization:.3g}",
        f"{tuned.imitation:.3g}",
        f"{100 * tuned.student:.2f}",
        gain,
        tuned.verdict,
    )
    answers = "classes" if tuned.task == "classification" else "outputs"
    chosen = "The chosen xi is 0: the student is a teacher, and nothing is compared with itself. " if tuned.same else ""
    some = f" in {tuned.num_groups} groups" if tuned.num_groups < tuned.num_examples else ""
    return Group(
        drawn,
        f"\n{chosen}{tuned.num_examples} examples{some}, {tuned.num_features} features, {tuned.num_answers} {answers}; "
        f"{100 * tuned.level:g} % interval over examples and folds ({tuned.folds} folds, drawn "
        f"{tuned.repeats} times), measured on {tuned.measured_on}. "
        f"The xi chosen in the folds: {', '.join(f'{each:.3g}' for each in tuned.fold_imitations)}.",
    )
