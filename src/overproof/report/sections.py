"""Build the sections of a report from plain values: results, findings, curves, weights, errors, costs, citations."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from overproof.evaluation.confusions import MAX_MATRIX, Tally
from overproof.evaluation.deployable import row_to_deploy
from overproof.evaluation.verdict import ORACLE, Role, Summary, caption, cells, has_shares, header, in_order
from overproof.registry import Paper
from overproof.report import charts
from overproof.report.page import Section, rendered

Facts = Mapping[str, Any]
"""The facts of one training: its row.json with `method` and `seed`."""

NUM_FINDINGS = 6
"""Largest number of findings that are shown at once; the rest is folded."""

NUM_HISTOGRAMS = 5
"""Largest number of epochs whose weights are shown."""

DIFFERENCES_NOTE = (
    "Differences of the table with their intervals: a row whose interval is right of the line beats the baseline, a "
    "row whose interval touches the line does not."
)
RECOVERED_NOTE = (
    "Share of the gap between the best conventional row and a student trained on the pool's true labels that each "
    "method closes, with its interval."
)

GROUPS: dict[Role, str] = {"reference": "References", "conventional": "Conventional distillation", "method": "Methods"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedExample:
    """One example with its labels and predictions.

    Args:
        content: The example as HTML.
        notes: Each a name, a value, and "right" or "wrong" where that is known.
    """

    content: Markup
    notes: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCosts:
    """The costs of one row; None where they were not measured.

    Args:
        method: The row.
        train_seconds: Training time, mean over the seeds.
        num_parameters: Number of the student's parameters.
        num_bytes: Size of its file of weights.
        examples_per_second: Test predictions per second, encoding included.
    """

    method: str
    train_seconds: float | None
    num_parameters: int | None
    num_bytes: int | None
    examples_per_second: float | None


def results_section(
    summary: Sequence[Summary],
    *,
    name: str = "results",
    title: str = "Results",
    more: tuple[str, Mapping[str, str]] = ("", {}),
) -> Section:
    """The table with intervals and verdicts, with charts of differences and recovered shares.

    Args:
        summary: One per method.
        name: The section's anchor.
        title: Its heading.
        more: An additional column, if any: its title, and its cells by method.
    """
    rows, deployed = [], row_to_deploy(summary)
    shares = has_shares(summary)
    for row in in_order(summary):
        method, *numbers, verdict = cells(row, shares=shares)
        rows.append(
            {
                "group": GROUPS[row.role],
                "name": method,
                "cells": [_split(each) for each in numbers],
                "more": more[1].get(method, ""),
                "verdict": verdict,
                "deployed": deployed is not None and row.method == deployed.method,
            }
        )
    pictures = (
        ("Difference from the baseline", charts.differences(summary), DIFFERENCES_NOTE),
        ("Recovered share", charts.recovered(summary), RECOVERED_NOTE),
    )
    return Section(
        name=name,
        title=title,
        body=rendered(
            "results.html",
            name=name,
            rows=rows,
            more=more[0],
            header=header(summary),
            caption=caption(summary),
            charts=[each for each in pictures if each[1] is not None],
        ),
    )


def findings_section(findings: Sequence[str]) -> Section | None:
    """The findings as a list; None where there are none."""
    if not findings:
        return None
    body = rendered("findings.html", findings=findings[:NUM_FINDINGS], rest=findings[NUM_FINDINGS:])
    return Section(name="findings", title="Findings", body=body)


def curves_section(students: Sequence[Facts], names: Sequence[str]) -> Section | None:
    """Learning curves: agreement with the teacher, accuracy on the labelled examples, training and held-out loss.

    Args:
        students: The facts of all rows and seeds.
        names: All rows of the table.
    """
    # The oracle is not trained on teacher answers.
    taught = [facts for facts in students if facts["method"] != ORACLE]
    answered = dict.fromkeys(("labelled_right", "loss", "held_out_loss"), students) | {"pool_agreement": taught}
    pictures = [
        (title, charts.curves(_history(answered[key], key), label, shares=shares, names=names), note)
        for key, title, label, shares, note in (
            ("pool_agreement", "Agreement with the teacher", "agreement", True,
             "On pool examples during training: near 100 % the student has learned the teacher's errors too."),
            ("labelled_right", "Accuracy on the labelled examples", "accuracy", True,
             "On the labelled training examples, during training."),
            ("loss", "Training loss", "loss", False,
             "Mean weighted loss of the epoch's batches; losses differ by method: compare shapes only."),
            ("held_out_loss", "Held-out loss", "loss", False,
             "Cross-entropy on held-out labelled examples, for methods that use them."),
        )
    ]  # fmt: skip
    drawn = [each for each in pictures if each[1] is not None]
    if not drawn:
        return None
    return Section(name="learning", title="Learning curves", body=rendered("charts.html", charts=drawn, intro=""))


def weights_section(students: Sequence[Facts], refreshed: Collection[str]) -> Section | None:
    """Weights of pool examples at several epochs, and the estimated accuracy of the teacher.

    Args:
        students: The facts of all rows and seeds; the first seed of each row is shown.
        refreshed: Rows whose weights are estimated again before every epoch.
    """
    first_seed: dict[str, Facts] = {}
    for facts in students:
        first_seed.setdefault(facts["method"], facts)
    drawn, moving, fixed = [], list[str](), list[str]()
    for method, facts in first_seed.items():
        counted = {each["epoch"]: each["weight_counts"] for each in facts["history"] if each.get("weight_counts")}
        if facts.get("num_pool", 0) and any(max(counts) < sum(counts) for counts in counted.values()):
            (moving if method in refreshed else fixed).append(method)
            if method in refreshed:
                shown = {f"epoch {epoch}": counted[epoch] for epoch in _spread(sorted(counted), NUM_HISTOGRAMS)}
                note = (
                    "Weights of the pool examples from the first epoch to the last; estimated again before every "
                    "epoch but the first, in which all weights are one."
                )
            else:
                shown = {"every epoch": counted[max(counted)]}
                note = "Weights of the pool examples: fixed before training, the same at every epoch."
            chart = charts.ridges(shown, "weight of a pool example", ("0", "1 or more"))
            drawn.append((f"{method}: weights", chart, note))
    alike: dict[tuple[int, ...], list[str]] = {}
    for method, facts in first_seed.items():
        counts = facts.get("doubt", {}).get("accuracy_counts")
        if counts:
            alike.setdefault(tuple(counts), []).append(method)
    for counts, methods in alike.items():
        curve = first_seed[methods[0]].get("noise", {}).get("accuracy_at_margin", {})
        if len(set(curve.values())) > 1:
            by, chart = "by its margin", charts.estimated_accuracy(counts, curve)
        else:
            by, label = "by its pseudo-label", "estimated accuracy of the teacher"
            chart = charts.ridges({"pool": counts}, label, ("0", "1"))
        note = (
            f"Estimated accuracy of the teacher {by}, and its distribution over the pool examples of "
            f"{', '.join(methods)}. Estimated once, before training, from labels that the teacher was not trained on: "
            "it is the same at every epoch."
        )
        drawn.append(("Estimated teacher accuracy", chart, note))
    if not drawn:
        return None
    intro = f"How the methods weight the teacher's answers (first seed). {_what_changes(moving, fixed)}"
    return Section(
        name="weights",
        title="Weights and estimated teacher accuracy",
        body=rendered("charts.html", charts=drawn, intro=intro),
    )


def _what_changes(moving: Sequence[str], fixed: Sequence[str]) -> str:
    once = "the teacher's accuracy is estimated once, before training"
    held = f", as are the weights of {', '.join(fixed)}" if fixed else ""
    if not moving:
        return f"Nothing here changes during training: {once}{held}."
    return (
        f"Only the weights of {', '.join(moving)} change during training: they are estimated again before every epoch, "
        f"on held-out labels with the current student; {once}{held}."
    )


def errors_section(tallies: Sequence[Tally], class_names: Sequence[str], rows: Sequence[str]) -> Section:
    """Confusions of several rows side by side, over all seeds; as lists where there are many classes."""
    matrices, pairs = [], []
    for row in rows:
        own = [each for each in tallies if each.method == row]
        if len(class_names) <= MAX_MATRIX:
            summed = [
                [sum(each.confusion[i][j] for each in own) for j in range(len(class_names))]
                for i in range(len(class_names))
            ]
            matrices.append((row, charts.confusion(summed, class_names, row), ""))
        counts: dict[tuple[int, int], int] = {}
        for each in own:
            for i, j, number in each.pairs:
                counts[i, j] = counts.get((i, j), 0) + number
        largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:8]
        pairs.append((row, [(class_names[i], class_names[j], number) for (i, j), number in largest]))
    num_seeds = len({each.seed for each in tallies})
    return Section(
        name="errors",
        title="Errors by class",
        body=rendered("errors.html", charts=matrices, pairs=pairs, num_seeds=num_seeds),
    )


def reliability_section(tallies: Sequence[Tally], rows: Sequence[str], names: Sequence[str]) -> Section:
    """Accuracy of each row by confidence, with the number of examples in each bin.

    Args:
        tallies: One a method and seed.
        rows: Those that are shown.
        names: All rows of the table.
    """
    drawn = []
    for row in rows:
        bins: dict[int, list[float]] = {}
        for each in (tally for tally in tallies if tally.method == row):
            for number, count, confidence, right in each.reliability:
                summed = bins.setdefault(number, [0, 0.0, 0])
                summed[0], summed[1], summed[2] = summed[0] + count, summed[1] + count * confidence, summed[2] + right
        points = [(number, int(n), total / n, int(right)) for number, (n, total, right) in sorted(bins.items())]
        drawn.append((row, charts.reliability(points, row, names), ""))
    intro = (
        "On the dashed line confidence is equal to accuracy; below it the predictions are overconfident. The bars "
        "count the examples that judge, of all seeds."
    )
    return Section(name="reliability", title="Reliability", body=rendered("charts.html", charts=drawn, intro=intro))


def examples_section(
    name: str, title: str, intro: str, examples: Sequence[AnnotatedExample], *, kind: str
) -> Section | None:
    """Examples with their labels and predictions; None without examples."""
    if not examples:
        return None
    return Section(name=name, title=title, body=rendered("examples.html", examples=examples, intro=intro, kind=kind))


def search_section(students: Sequence[Facts]) -> Section | None:
    """What each row that chose on labelled examples tried, of its first seed; None without such a row.

    Args:
        students: The facts of all trainings.
    """
    searches: dict[str, Facts] = {}
    for facts in students:
        if "search" in facts and facts["method"] not in searches:
            found = facts["search"]
            searches[facts["method"]] = {
                **found,
                "row": facts["method"],
                "seed": facts["seed"],
                "line": json.dumps(found["row"]),
                "each_cost": _trainings(found["cost"] / max(len(found["tried"]), 1)),
            }
    if not searches:
        return None
    body = rendered("search.html", searches=list(searches.values()))
    return Section(name="search", title="How the method was chosen", body=body)


def _trainings(number: float) -> str:
    words = f"{number:.3g}"
    return f"{words} {'training' if words == '1' else 'trainings'}"


def costs_section(teacher: Sequence[tuple[str, str]], rows: Sequence[RowCosts]) -> Section:
    """The costs of teacher and students.

    Args:
        teacher: The costs of the teacher: name and value.
        rows: One per row.
    """
    return Section(name="costs", title="Costs", body=rendered("costs.html", teacher=teacher, rows=rows))


def reproduce_section(command: str, experiment: str, versions: Sequence[tuple[str, str]]) -> Section:
    """The command that reproduces the numbers, and its experiment file."""
    return Section(
        name="reproduce",
        title="Reproduction",
        body=rendered("reproduce.html", command=command, experiment=experiment, versions=versions),
    )


def citations_section(papers: Iterable[Paper]) -> Section | None:
    """The papers of the methods in use, with BibTeX; None where there are none."""
    works = list(papers)
    if not works:
        return None
    entries = "\n".join(paper.bibtex() for paper in works)
    return Section(name="citations", title="Citations", body=rendered("citations.html", papers=works, entries=entries))


def _split(cell: str) -> tuple[str, str]:
    """A cell's number and its interval, with typographic minus signs."""
    if cell[:1] in "+-" or cell[:1].isdigit():
        cell = cell.replace("-", "−")
    for mark in (" ±", " ["):
        if mark in cell:
            number, _, rest = cell.partition(mark)
            return number, mark.strip() + rest
    return cell, ""


def _history(students: Sequence[Facts], key: str) -> dict[str, list[list[float | None]]]:
    found: dict[str, list[list[float | None]]] = {}
    for facts in students:
        found.setdefault(facts["method"], []).append([record.get(key) for record in facts["history"]])
    return found


def _spread(values: Sequence[int], most: int) -> list[int]:
    """At most `most` of the values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(step * (len(values) - 1) / (most - 1))] for step in range(most)]
