"""Whether the students were trained at all: where none has learned, a table and a regime tell nothing."""

import math
from dataclasses import dataclass
from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.evaluation.learning import has_steps, is_guessing, still_falls
from overproof.evaluation.verdict import LABELLED_ONLY, ORACLE

PLAIN = (ORACLE, "hard", LABELLED_ONLY, "soft", "born_again")
"""The rows that are looked at, the first of them is shown: trained by cross-entropy with weight one, so that their loss
can be compared with log K, that of guessing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Curve:
    """The end of a row's learning curve, the mean over its seeds.

    Args:
        row: The row.
        epochs: Number of epochs of the longest training.
        loss: Training loss of the last epoch.
        fell: How much lower it was than that of the epoch before; None with one epoch.
        accuracy: On the test.
    """

    row: str
    epochs: int
    loss: float
    fell: float | None
    accuracy: float


NOT_LEARNED = "The student has not learned, in any row:"
"""How the finding begins."""


def find(facts: RunFacts) -> list[str]:
    """One sentence where every plain row, the oracle included, is near guessing or its loss still falls steeply.

    Near guessing are both the loss (to log K) and the accuracy on the test (to the larger of 1/K and the share of the
    most frequent label). Students that are not trained by gradient steps are left out.
    """
    num_classes = len(facts.class_names)
    if num_classes < 2:
        return []
    guessing = math.log(num_classes)
    curves = [curve for row in PLAIN if (curve := _curve(facts, row)) is not None]
    commonest = max((each.get("commonest_label", 0.0) for each in facts.trainings.values()), default=0.0)
    chance = max(1 / num_classes, commonest)
    if not curves or not all(_unlearned(curve, guessing, chance) for curve in curves):
        return []
    shown, kind = curves[0], "cross-validated" if facts.cross_validated else "test"
    fell = (
        ""
        if shown.fell is None
        else f", {abs(shown.fell):.3f} {'below' if shown.fell >= 0 else 'above'} the epoch before"
    )
    return [
        f"{NOT_LEARNED} after {shown.epochs} epoch{'s' if shown.epochs > 1 else ''} the "
        f"training loss of {shown.row} is {shown.loss:.3f}{fell}; guessing has log {num_classes} = {guessing:.3f}. Its "
        f"{kind} accuracy is {shown.accuracy:.1%}. So neither the rows can be compared nor a regime be named: raise "
        f"'train.epochs' or 'train.learning_rate'{_or_inputs(shown, guessing)}."
    ]


def _unlearned(curve: _Curve, guessing: float, chance: float) -> bool:
    loss, fell = curve.loss, curve.fell
    near = is_guessing(loss=loss, accuracy=curve.accuracy, chance=chance, guessing=guessing, first=fell is None)
    return near or still_falls(loss=loss, fell=fell, guessing=guessing)


def _or_inputs(curve: _Curve, guessing: float) -> str:
    flat = curve.fell is not None and abs(curve.fell) < 0.01 * guessing
    return " (the loss hardly moves: if neither helps, the inputs tell little about the classes)" if flat else ""


def _curve(facts: RunFacts, row: str) -> _Curve | None:
    """The end of a row's curve; None for a row that is a method, is not in the table, or has no gradient steps."""
    roles = {each.role for each in facts.rows if each.method == row}
    accuracies = [each.metrics["accuracy"] for each in facts.rows if each.method == row and "accuracy" in each.metrics]
    histories = [each.get("history") or [] for each in facts.trainings_of(row)]
    if not accuracies or "method" in roles or not histories or not all(has_steps(history) for history in histories):
        return None
    fell = [history[-2]["loss"] - history[-1]["loss"] for history in histories if len(history) > 1]
    return _Curve(
        row=row,
        epochs=max(map(len, histories)),
        loss=fmean(history[-1]["loss"] for history in histories),
        fell=fmean(fell) if fell else None,
        accuracy=fmean(accuracies),
    )
