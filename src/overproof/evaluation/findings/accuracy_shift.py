"""Whether the teacher is as accurate on the selected pool examples as on the labelled examples."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each row whose expected accuracy is outside the interval of the labelled examples."""
    return [sentence for row in facts.row_names() for sentence in _of_row(row, facts)]


def _of_row(row: str, facts: RunFacts) -> list[str]:
    kept, trainings = facts.partial_selections(row), facts.trainings_of(row)
    if not kept or not all(map(_estimated, kept, trainings)):
        return []
    selected, labelled = (fmean(each["expected_accuracy"][part] for each in kept) for part in ("kept", "labelled"))
    low, high = (fmean(each["teacher_accuracy"][end] for each in trainings) for end in ("low", "high"))
    # A method that takes the teacher's answers, or a published accuracy, as they are expects the same everywhere.
    if labelled == selected or low <= selected <= high:
        return []
    return [
        f"On what {row} keeps, the teacher's accuracy shifted: estimated from its margins, it is {selected:.1%} "
        f"there and {labelled:.1%} on the labelled examples (95 % interval {low:.1%} to {high:.1%}); the estimate is "
        f"valid for in-domain examples only."
    ]


def _estimated(selection: Mapping[str, Any], training: Mapping[str, Any]) -> bool:
    """Whether the teacher's accuracy is estimated on the selection and on labelled examples."""
    return "labelled" in selection.get("expected_accuracy", {}) and "teacher_accuracy" in training
