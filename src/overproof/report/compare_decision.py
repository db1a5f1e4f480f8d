"""What to do after a comparison, in words: which student to deploy at the largest budget; what fewer labels give."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from overproof.evaluation.deployable import row_to_deploy
from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.verdict import Summary


def decisions_of(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """For each student of a comparison the decision as a sentence, and the folder of the run to export.

    A method is deployed where it beats the best conventional row of its budget, corrected for the number of methods;
    without any, that row or the labels alone, whichever has the higher mean (`overproof.evaluation.deployable`).

    Args:
        content: Of a compare.json.
    """
    students = list(dict.fromkeys(cell["student"] for cell in content["cells"]))
    found = []
    for student in students:
        by_budget = [
            (cell, chosen)
            for cell in sorted(
                (each for each in content["cells"] if each["student"] == student),
                key=lambda each: (each["labels"] is None, each["labels"] or 0),
            )
            if (chosen := row_to_deploy(_rows(content["rows"], cell["folder"]))) is not None
        ]
        if by_budget:
            words = _sentence(by_budget)
            found.append((f"{student}: {words}" if len(students) > 1 else words, by_budget[-1][0]["folder"]))
    return found


def summary_of(row: Mapping[str, Any]) -> Summary:
    """The summary that a row of a compare.json is, without what only a comparison has.

    Args:
        row: One of its `rows`.
    """
    return Summary(**{field.name: row[field.name] for field in fields(Summary)})


def _rows(rows: Sequence[Mapping[str, Any]], folder: str) -> list[Summary]:
    return [
        replace(summary_of(row), verdict=row["verdict_holm"] or row["verdict"])
        for row in rows
        if row["folder"] == folder
    ]


def _sentence(by_budget: Sequence[tuple[Mapping[str, Any], Summary]]) -> str:
    (cell, best), fewer = by_budget[-1], by_budget[:-1]
    where = JudgedOn.of(best.num_judged, best.num_folds).words() if best.num_folds else "on the test"
    seeds = f", mean of {best.num_seeds} seeds" if best.num_seeds > 1 else ""
    worth = f"{_labels(cell)} deploy {best.method}: {_value(best)} {where}{seeds}"
    if best.verdict == "BEATS" and best.difference is not None:
        worth += f", {_points(best.difference, best)} beside {best.baseline}, the best conventional row"
    else:
        worth += ", and no method is better beyond doubt"
    less = [
        f"{_labels(other)} it would be {chosen.method}, {_value(chosen)} ({_points(chosen.mean - best.mean, best)})"
        for other, chosen in reversed(fewer)
    ]
    return " ".join(f"{words[0].upper()}{words[1:]}." for words in (worth, *less))


def _labels(cell: Mapping[str, Any]) -> str:
    return "with all labels" if cell["labels"] is None else f"with {cell['labels']:,} labels"


def _value(row: Summary) -> str:
    if row.metric == "log_loss":
        return f"log-loss {row.mean:.3f}"
    ends = "" if row.low is None or row.high is None else f" [{100 * row.low:.1f}, {100 * row.high:.1f}]"
    return f"{row.metric.replace('_', ' ')} {100 * row.mean:.1f} %{ends}"


def _points(difference: float, row: Summary) -> str:
    return f"{difference:+z.3f}" if row.metric == "log_loss" else f"{100 * difference:+z.1f} points"
