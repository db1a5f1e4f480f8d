"""Whether the students were trained at all: where none has learned, a table and a regime tell nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.evaluation.verdict import LABELLED_ONLY, ORACLE

PLAIN = (ORACLE, "hard", LABELLED_ONLY, "soft", "born_again")
"""The rows that are looked at, the first of them is shown: trained by cross-entropy with weight one, so that their loss
can be compared with log K, that of guessing."""

NEAR_GUESSING = 0.95
"""A loss of this share of log K or more is near that of guessing."""

LITTLE = 0.15
"""An accuracy is near that of guessing where it closes less than this share of the gap from chance to one."""

BY_CHANCE = 0.5
"""The same where the loss is that of guessing or higher after two epochs or more: random first weights can be right on
more than half of the examples, but a student that has learned has a lower loss than guessing."""

STEEP = 0.05
"""A learning curve falls steeply where the last epoch lowers the loss by this share of log K or more, ..."""

HIGH = 0.5
"""... from a loss that is this share of log K or more at the end."""


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
        f"The student has not learned, in any row: after {shown.epochs} epoch{'s' if shown.epochs > 1 else ''} the "
        f"training loss of {shown.row} is {shown.loss:.3f}{fell}; guessing has log {num_classes} = {guessing:.3f}. Its "
        f"{kind} accuracy is {shown.accuracy:.1%}. So neither the rows can be compared nor a regime be named: raise "
        f"'train.epochs' or 'train.learning_rate'{_or_inputs(shown, guessing)}."
    ]


def _unlearned(curve: _Curve, guessing: float, chance: float) -> bool:
    above = curve.loss >= guessing and curve.fell is not None
    closed = (curve.accuracy - chance) / (1 - chance) if chance < 1 else 0.0
    near = curve.loss >= NEAR_GUESSING * guessing and closed <= (BY_CHANCE if above else LITTLE)
    steep = curve.fell is not None and curve.fell >= STEEP * guessing and curve.loss >= HIGH * guessing
    return near or steep


def _or_inputs(curve: _Curve, guessing: float) -> str:
    flat = curve.fell is not None and abs(curve.fell) < 0.01 * guessing
    return " (the loss hardly moves: if neither helps, the inputs tell little about the classes)" if flat else ""


def _curve(facts: RunFacts, row: str) -> _Curve | None:
    """The end of a row's curve; None for a row that is a method, is not in the table, or has no gradient steps."""
    roles = {each.role for each in facts.rows if each.method == row}
    accuracies = [each.metrics["accuracy"] for each in facts.rows if each.method == row and "accuracy" in each.metrics]
    histories = [each.get("history") or [] for each in facts.trainings_of(row)]
    if not accuracies or "method" in roles or not histories or not all(_stepped(history) for history in histories):
        return None
    fell = [history[-2]["loss"] - history[-1]["loss"] for history in histories if len(history) > 1]
    return _Curve(
        row=row,
        epochs=max(map(len, histories)),
        loss=fmean(history[-1]["loss"] for history in histories),
        fell=fmean(fell) if fell else None,
        accuracy=fmean(accuracies),
    )


def _stepped(history: list[Mapping[str, Any]]) -> bool:
    """Whether a history is one of the training loop, which counts answers during training; estimators do not."""
    return bool(history) and any(history[-1].get(name) is not None for name in ("labelled_right", "pool_agreement"))
