"""The sections of a report from plain values: a run uses all of them, any other set of rows those it has values for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from overproof.evaluation.confusions import MAX_MATRIX, Tally
from overproof.evaluation.verdict import ORACLE, Role, Summary, caption, cells, header, in_order
from overproof.registry import Paper
from overproof.report import charts
from overproof.report.page import Section, rendered

Facts = Mapping[str, Any]
"""What is known of one training: its row.json with `method` and `seed`."""

NUM_HISTOGRAMS = 5
"""Epochs whose weights are drawn."""

DIFFERENCES_NOTE = (
    "The differences of the table with their intervals: one that lies right of the line beats the baseline, one that "
    "touches it does not."
)
RECOVERED_NOTE = (
    "Of the gap between the best conventional row and a student trained on the pool's true labels, how much each "
    "method closes, with its interval."
)

GROUPS: dict[Role, str] = {"reference": "References", "conventional": "Conventional distillation", "method": "Methods"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One example with what is said of it.

    Args:
        picture: The example as HTML.
        said: What is said: a word, a value, and "right" or "wrong" where that is known.
    """

    picture: Markup
    said: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What one row costs; None where it was not measured.

    Args:
        method: The row.
        train_seconds: To train it, mean over the seeds.
        num_parameters: Of the student.
        num_bytes: Of its file of weights.
        examples_per_second: Answered for the test, from raw examples on.
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
    """The table with intervals and verdicts, and its differences and recovered shares as pictures.

    Args:
        summary: One a method.
        name: The section's address.
        title: Its heading.
        more: A column more, if any: its title, and what stands there by method.
    """
    rows, best = [], max((row.mean for row in summary if row.role == "method"), default=None)
    for row in in_order(summary):
        method, mean, difference, share, verdict = cells(row)
        rows.append(
            {
                "group": GROUPS[row.role],
                "name": method,
                "cells": [_split(each) for each in (mean, difference, share)],
                "more": more[1].get(method, ""),
                "verdict": verdict,
                "best": row.role == "method" and row.mean == best,
            }
        )
    pictures = (
        ("Difference to the baseline", charts.differences(summary, f"{name}-differences"), DIFFERENCES_NOTE),
        ("Recovered share", charts.recovered(summary, f"{name}-recovered"), RECOVERED_NOTE),
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
    """What a reader must know beside the table; None where there is nothing."""
    if not findings:
        return None
    return Section(name="findings", title="Findings", body=rendered("findings.html", findings=findings))


def curves_section(students: Sequence[Facts]) -> Section | None:
    """Learning curves: loss, agreement with the teacher, the labelled examples, and held-out ones where there are."""
    # The oracle's answers are not the teacher's.
    taught = [facts for facts in students if facts["method"] != ORACLE]
    answered = dict.fromkeys(("labelled_right", "loss", "held_out_loss"), students) | {"pool_agreement": taught}
    pictures = [
        (title, charts.curves(f"curve-{key}", _history(answered[key], key), label, shares=shares), note)
        for key, title, label, shares, note in (
            ("pool_agreement", "Agreement with the teacher", "agreement", True,
             "On pool examples, while it trains: near 100 % it has learned the teacher's mistakes too."),
            ("labelled_right", "On the labelled examples", "right", True,
             "On the labelled examples it trains on, while it trains."),
            ("loss", "Training loss", "loss", False,
             "Mean weighted loss of the epoch's batches; every method has its own: compare shapes only."),
            ("held_out_loss", "Held-out loss", "loss", False,
             "Cross-entropy on labelled examples kept out of training, for methods that look at them."),
        )
    ]  # fmt: skip
    drawn = [each for each in pictures if each[1] is not None]
    if not drawn:
        return None
    return Section(name="learning", title="Learning curves", body=rendered("charts.html", charts=drawn, intro=""))


def belief_section(students: Sequence[Facts], refreshed: Collection[str]) -> Section | None:
    """How much the examples counted, at several epochs, and how often the teacher is estimated to be right.

    Args:
        students: Of all rows and seeds; the first seed of each row is shown.
        refreshed: Rows whose weights are estimated anew before every epoch.
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
                    "How much the pool's examples counted, from the first epoch to the last; estimated anew before "
                    "every epoch but the first, in which all count one."
                )
            else:
                shown = {"every epoch": counted[max(counted)]}
                note = "How much the pool's examples counted: fixed before training, the same at every epoch."
            chart = charts.ridges(f"weights-{method}", shown, "weight of a pool example", ("0", "1 or more"))
            drawn.append((f"{method}: weights", chart, note))
    alike: dict[tuple[int, ...], list[str]] = {}
    for method, facts in first_seed.items():
        counts = facts.get("doubt", {}).get("accuracy_counts")
        if counts:
            alike.setdefault(tuple(counts), []).append(method)
    for number, (counts, methods) in enumerate(alike.items()):
        curve = first_seed[methods[0]].get("noise", {}).get("accuracy_at_margin", {})
        if len(set(curve.values())) > 1:
            by, chart = "by its margin", charts.believed(f"accuracy-{number}", counts, curve)
        else:
            by, label = "by the class it names", "estimated accuracy of the teacher"
            chart = charts.ridges(f"accuracy-{number}", {"pool": counts}, label, ("0", "1"))
        note = (
            f"How often the teacher is expected to be right, {by}, and on how many of the pool examples of "
            f"{', '.join(methods)}. Estimated once, before training, from labels that the teacher did not see: it is "
            "the same at every epoch."
        )
        drawn.append(("Estimated teacher accuracy", chart, note))
    if not drawn:
        return None
    intro = f"What the methods made of the teacher's answers (first seed). {_what_changes(moving, fixed)}"
    return Section(
        name="belief", title="Whom the student believed", body=rendered("charts.html", charts=drawn, intro=intro)
    )


def _what_changes(moving: Sequence[str], fixed: Sequence[str]) -> str:
    once = "how often the teacher is right is estimated once, before training"
    held = f", as are the weights of {', '.join(fixed)}" if fixed else ""
    if not moving:
        return f"None of it changes while the student trains: {once}{held}."
    return (
        f"While the student trains only weights change, those of {', '.join(moving)}: they are estimated anew before "
        f"every epoch, on held-out labels and with the student as it is by then; {once}{held}."
    )


def mistakes_section(tallies: Sequence[Tally], class_names: Sequence[str], rows: Sequence[str]) -> Section:
    """Confusions of several rows side by side, over all seeds; as lists where there are many classes."""
    matrices, pairs = [], []
    for row in rows:
        own = [each for each in tallies if each.method == row]
        if len(class_names) <= MAX_MATRIX:
            summed = [
                [sum(each.confusion[i][j] for each in own) for j in range(len(class_names))]
                for i in range(len(class_names))
            ]
            matrices.append((row, charts.confusion(f"confusion-{row}", summed, class_names, row), ""))
        counts: dict[tuple[int, int], int] = {}
        for each in own:
            for i, j, number in each.pairs:
                counts[i, j] = counts.get((i, j), 0) + number
        largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:8]
        pairs.append((row, [(class_names[i], class_names[j], number) for (i, j), number in largest]))
    num_seeds = len({each.seed for each in tallies})
    return Section(
        name="mistakes",
        title="Mistakes, side by side",
        body=rendered("mistakes.html", charts=matrices, pairs=pairs, num_seeds=num_seeds),
    )


def reliability_section(tallies: Sequence[Tally], rows: Sequence[str]) -> Section:
    """How often each row is right at each confidence, with the number of examples behind it."""
    drawn = []
    for row in rows:
        bins: dict[int, list[float]] = {}
        for each in (tally for tally in tallies if tally.method == row):
            for number, count, confidence, right in each.reliability:
                summed = bins.setdefault(number, [0, 0.0, 0])
                summed[0], summed[1], summed[2] = summed[0] + count, summed[1] + count * confidence, summed[2] + right
        points = [(number, int(n), total / n, int(right)) for number, (n, total, right) in sorted(bins.items())]
        drawn.append((row, charts.reliability(f"reliability-{row}", points, row), ""))
    intro = (
        "On the dashed line confidence means what it says; below it the answers are surer than they are right. The "
        "bars count the test examples of all seeds."
    )
    return Section(name="reliability", title="Reliability", body=rendered("charts.html", charts=drawn, intro=intro))


def examples_section(name: str, title: str, intro: str, examples: Sequence[Shown], *, kind: str) -> Section | None:
    """Examples with what is said of them; None without any."""
    if not examples:
        return None
    return Section(name=name, title=title, body=rendered("examples.html", examples=examples, intro=intro, kind=kind))


def costs_section(asked: Sequence[tuple[str, str]], bills: Sequence[Bill]) -> Section:
    """What teacher and students cost.

    Args:
        asked: What was asked of the teacher, in words: what, and how much.
        bills: One a row.
    """
    return Section(name="costs", title="Costs", body=rendered("costs.html", asked=asked, bills=bills))


def reproduce_section(command: str, experiment: str, versions: Sequence[tuple[str, str]]) -> Section:
    """The command that makes the same numbers again, and the experiment it reads."""
    return Section(
        name="again",
        title="The same again",
        body=rendered("again.html", command=command, experiment=experiment, versions=versions),
    )


def citations_section(papers: Iterable[Paper]) -> Section | None:
    """The works behind what ran, as BibTeX; None where there are none."""
    works = list(papers)
    if not works:
        return None
    entries = "\n".join(paper.bibtex() for paper in works)
    return Section(name="citations", title="Citations", body=rendered("citations.html", papers=works, entries=entries))


def _split(cell: str) -> tuple[str, str]:
    """A cell's number, and its interval; minus signs as wide as digits."""
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
    """At most so many of them, the first and the last among them, evenly."""
    if len(values) <= most:
        return list(values)
    return [values[round(step * (len(values) - 1) / (most - 1))] for step in range(most)]
