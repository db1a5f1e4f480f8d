"""Which student of a finished table to deploy, of a method only where it beats plain distillation, and its accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.paired import CROSS_VALIDATED
from overproof.evaluation.verdict import LABELLED_ONLY, Row, Summary
from overproof.functional.intervals import accuracy_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployable:
    """The student to deploy.

    Args:
        row: Its row of the table.
        seed: Its seed.
        num_seeds: Number of seeds of the row.
        accuracy: Of this student, not of the row; None where the row has no student of this seed.
        low: Lower end of its 95 % interval; None without examples that could be counted.
        high: The upper end.
        worth: How often it is right, its row over all seeds, and why this row, in one sentence without its subject.
    """

    row: str
    seed: int
    num_seeds: int
    accuracy: float | None
    low: float | None
    high: float | None
    worth: str

    @property
    def why(self) -> str:
        """The same as a sentence of its own."""
        return f"{self.row!r} (seed {self.seed}) {self.worth}"


def deployable(summary: Sequence[Summary], rows: Sequence[Row], *, seed: int | None = None) -> Deployable | None:
    """A student of the row with the highest mean of those that beat the best conventional row; without any, of that row
    or the labels alone, whichever has the higher mean.

    Neither the teacher nor the oracle is deployed. The seed is the first one: a seed chosen on the test would have an
    accuracy there that is too high. None for a table without students.

    Args:
        summary: Of a finished run.
        rows: Its rows by method and seed.
        seed: Of the student; None for the row's first.

    Example:
        >>> from overproof.evaluation.verdict import summarise
        >>> def row(method, role, accuracy, seed):
        ...     metrics = {"accuracy": accuracy, "num_examples": 100}
        ...     return Row(method=method, role=role, seed=seed, metrics=metrics)
        >>> hard = [row("hard", "conventional", accuracy, seed) for seed, accuracy in enumerate([0.5, 0.75])]
        >>> ours = [row("ours", "method", accuracy + 0.125, seed) for seed, accuracy in enumerate([0.5, 0.75])]
        >>> found = deployable(summarise([*hard, *ours]), [*hard, *ours])
        >>> found.row, found.seed, found.accuracy, deployable(summarise(hard), hard).row
        ('ours', 0, 0.625, 'hard')
    """
    best = row_to_deploy(summary)
    if best is None:
        return None
    if best.verdict == "BEATS":
        gain = f"{100 * (best.difference or 0):+.1f} points"
        if best.difference_low is not None and best.difference_high is not None:
            gain += f" [{100 * best.difference_low:+.1f}, {100 * best.difference_high:+.1f}]"
        why = f", {gain} above {best.baseline!r}, the best conventional row"
    else:
        plain = best.method in (best.baseline, LABELLED_ONLY)
        why = ", and no other row is better beyond doubt" if plain else ", the most of all rows"
    own = [row for row in rows if row.method == best.method]
    seed = (own[0].seed if own else 0) if seed is None else seed
    accuracy, low, high = own_accuracy(
        next((row.metrics for row in own if row.seed == seed), {}), cross_validated=best.num_folds > 0
    )
    where = JudgedOn.of(best.num_judged, best.num_folds).words() if best.num_folds else "on the test"
    mean = _percent(best.mean, best.low, best.high)
    worth = f"is right {mean if accuracy is None else _percent(accuracy, low, high)} of the time {where}"
    if best.num_seeds > 1:
        worth = f"{worth}; mean of {best.num_seeds} seeds {mean}"
    return Deployable(
        row=best.method,
        seed=seed,
        num_seeds=best.num_seeds,
        accuracy=accuracy,
        low=low,
        high=high,
        worth=f"{worth}{why}",
    )


def row_to_deploy(summary: Sequence[Summary]) -> Summary | None:
    """The row whose student `deployable` takes; None for a table without students.

    Args:
        summary: Of a finished run, or of one budget of a comparison.
    """
    students = [each for each in summary if each.role != "reference" or each.method == LABELLED_ONLY]
    if not students:
        return None
    better = [each for each in students if each.verdict == "BEATS"]
    plain = [each for each in students if each.method in (students[0].baseline, LABELLED_ONLY)]
    return max(better or plain or students, key=lambda each: each.mean)


def own_accuracy(
    metrics: Mapping[str, float], *, cross_validated: bool
) -> tuple[float | None, float | None, float | None]:
    """The accuracy of one student with the ends of its 95 % interval; None where they are unknown.

    The interval is Wilson's; of examples in groups it counts the independent ones, and of cross-validated ones fewer,
    as `paired.CROSS_VALIDATED` says.

    Args:
        metrics: Of one row and seed.
        cross_validated: Whether the examples are labelled rows, each answered by students trained without its fold.
    """
    accuracy, num = metrics.get("accuracy"), int(metrics.get("num_examples", 0))
    if accuracy is None or not num:
        return accuracy, None, None
    independent = metrics.get("num_independent", num) / (CROSS_VALIDATED if cross_validated else 1)
    return accuracy, *accuracy_interval(round(accuracy * num) / num * independent, independent)


def _percent(mean: float, low: float | None, high: float | None) -> str:
    ends = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * mean:.1f} %{ends}"
