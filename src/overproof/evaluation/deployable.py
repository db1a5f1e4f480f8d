"""Which row of a finished table to deploy: a method only where it is better than plain distillation beyond doubt."""

from collections.abc import Sequence
from dataclasses import dataclass

from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.verdict import LABELLED_ONLY, Summary


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployable:
    """The row to deploy.

    Args:
        row: Its name.
        why: In one sentence.
    """

    row: str
    why: str


def deployable(summary: Sequence[Summary]) -> Deployable | None:
    """The row with the highest mean of those that beat the best conventional row; without any, that row or the labels
    alone, whichever has the higher mean.

    Neither the teacher nor the oracle is deployed. None for a table without students.

    Args:
        summary: Of a finished run.

    Example:
        >>> from overproof.evaluation.verdict import Row, summarise
        >>> def row(method, role, accuracy, seed):
        ...     return Row(method=method, role=role, seed=seed, metrics={"accuracy": accuracy})
        >>> hard = [row("hard", "conventional", accuracy, seed) for seed, accuracy in enumerate([0.5, 0.75])]
        >>> ours = [row("ours", "method", accuracy + 0.25, seed) for seed, accuracy in enumerate([0.5, 0.75])]
        >>> deployable(summarise([*hard, *ours])).row, deployable(summarise([*hard])).row
        ('ours', 'hard')
    """
    students = [each for each in summary if each.role != "reference" or each.method == LABELLED_ONLY]
    if not students:
        return None
    better = [each for each in students if each.verdict == "BEATS"]
    if better:
        best = max(better, key=lambda each: each.mean)
        gain = f"{100 * (best.difference or 0):+.1f} points"
        if best.difference_low is not None and best.difference_high is not None:
            gain += f" [{100 * best.difference_low:+.1f}, {100 * best.difference_high:+.1f}]"
        return Deployable(
            row=best.method, why=f"{_right(best)}, {gain} above {best.baseline!r}, the best conventional row"
        )
    baseline = students[0].baseline
    plain = [each for each in students if each.method in (baseline, LABELLED_ONLY)]
    best = max(plain or students, key=lambda each: each.mean)
    if not plain:
        return Deployable(row=best.method, why=f"{_right(best)}, the most of all rows")
    return Deployable(row=best.method, why=f"{_right(best)}, and no other row is better beyond doubt")


def _right(row: Summary) -> str:
    ends = "" if row.low is None or row.high is None else f" [{100 * row.low:.1f}, {100 * row.high:.1f}]"
    return f"{row.method!r} is right {100 * row.mean:.1f} %{ends} of the time {_where(row)}"


def _where(row: Summary) -> str:
    return JudgedOn.of(row.num_judged, row.num_folds).words() if row.num_folds else "on the test"
