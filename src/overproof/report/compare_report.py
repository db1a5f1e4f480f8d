"""Write the HTML page of a comparison: metrics against the number of labels, and a table for each number."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from overproof.data.wording import counted, reason
from overproof.errors import InputError
from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.paired import Role
from overproof.evaluation.verdict import Summary, Verdict
from overproof.models.saved.checked_fields import checked_fields
from overproof.report import charts
from overproof.report.compare_decision import decisions_of, summary_of
from overproof.report.page import Section, page, rendered
from overproof.report.sections import findings_section, results_section
from overproof.runs.comparison import FORMAT, RESULT
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, checked

HOLM = "p Holm"
HOLM_NOTE = (
    "p Holm is the p-value of no difference, corrected for the number of methods at a number of labels. A BEATS whose "
    "p Holm is above one less the level does not survive the correction."
)


def write_comparison_report(folder: Path, file: Path | None = None) -> Path:
    """Write a finished comparison as one page, by default as report.html in its folder, and return its path.

    Raises:
        InputError: The comparison is not finished.
    """
    files = checked(folder, (RESULT,), kind="comparison")
    try:
        content = json.loads(files[RESULT] if files else (folder / RESULT).read_bytes())
    except (OSError, KeyError, ValueError, RecursionError):
        raise InputError(
            f"{str(folder)!r} has no readable compare.json: the comparison is not finished; run the same command again."
        ) from None
    if files is None and isinstance(content, dict) and "manifest" in content:
        raise InputError(
            f"{folder / MANIFEST} is missing, which {RESULT} beside it names; give the command of the comparison again."
        )
    try:
        content = _checked(content)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{folder / RESULT} is damaged ({reason(error)}); give the command of the comparison again."
        ) from None
    file = file or folder / "report.html"
    atomic.check_page(file)
    atomic.write_text(file, comparison_page(content))
    return file


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cell:
    """A run, as `compare.json` has it."""

    folder: str
    student: str
    labels: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """A line of a plot."""

    student: str
    method: str
    role: Role
    metric: str
    labels: tuple[int | None, ...]
    mean: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row(Summary):
    """A method at a cell."""

    folder: str
    student: str
    labels: int | None
    p_holm: float | None
    verdict_holm: Verdict | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """What `compare.json` holds beside the name of its manifest."""

    format: int
    name: str
    seeds: tuple[int, ...]
    cells: tuple[Mapping[str, Any], ...]
    rows: tuple[Mapping[str, Any], ...]
    curves: tuple[Mapping[str, Any], ...]
    findings: tuple[str, ...]


def _checked(content: Any) -> dict[str, Any]:
    """The content of a compare.json; raises ValueError where a value is of another type than `compare` writes."""
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    found = checked_fields(_Content, {key: each for key, each in content.items() if key != "manifest"}, "it")
    if found.format != FORMAT:
        raise ValueError(f"it has format {found.format}, and this version reads {FORMAT}")
    cells = [asdict(checked_fields(_Cell, each, f"cell {number}")) for number, each in enumerate(found.cells)]
    lines = [checked_fields(_Line, each, f"curve {number}") for number, each in enumerate(found.curves)]
    if any(len({*map(len, (each.labels, each.mean, each.low, each.high))}) > 1 for each in lines):
        raise ValueError("a curve has lists of different lengths")
    rows = [asdict(checked_fields(_Row, each, f"row {number}")) for number, each in enumerate(found.rows)]
    known = [{*each.items()} for each in cells]
    if odd := [number for number, row in enumerate(rows) if not any(each <= {*row.items()} for each in known)]:
        raise ValueError(f"row {odd[0]} belongs to no cell")
    curves = [asdict(each) for each in lines]
    return {**asdict(found), "cells": cells, "rows": rows, "curves": curves}


def comparison_page(content: Mapping[str, Any]) -> str:
    """The page of a comparison.

    Args:
        content: The content of a compare.json.
    """
    students = list(dict.fromkeys(cell["student"] for cell in content["cells"]))
    sections = [_curves(content, students), findings_section(content["findings"])]
    for number, cell in enumerate(content["cells"]):
        rows = [row for row in content["rows"] if row["folder"] == cell["folder"]]
        holm = {row["method"]: f"{row['p_holm']:.3f}" for row in rows if row["p_holm"] is not None}
        if not rows:
            continue
        title = _budget(cell["labels"]) + (f", {cell['student']}" if len(students) > 1 else "")
        sections.append(
            results_section([summary_of(row) for row in rows], name=f"run-{number}", title=title, more=(HOLM, holm))
        )
    return page(
        title=content["name"],
        kind="Comparison",
        verdict=" ".join(
            [*(words for words, _ in decisions_of(content)), _verdict(content)]
            if content["rows"]
            else [JudgedOn(kind="nothing").sentence()]
        ),
        sections=[section for section in sections if section is not None],
        facts=[counted(len(content["cells"]), "run"), counted(len(content["seeds"]), "seed"), *map(str, students)],
    )


def _budget(labels: int | None) -> str:
    return "All labels" if labels is None else f"{labels:,} labels".replace(",", " ")


def _curves(content: Mapping[str, Any], students: list[str]) -> Section | None:
    """A metric against the number of labels, one chart per student; None with one number of labels only."""
    drawn = []
    for student in students:
        lines = [line for line in content["curves"] if line["student"] == student and None not in line["labels"]]
        if lines and max(len(line["labels"]) for line in lines) > 1:
            drawn.append((student, charts.budgets(lines), "Bars are the intervals of the table."))
    if not drawn:
        return None
    return Section(
        name="budgets", title="By number of labels", body=rendered("charts.html", charts=drawn, intro=HOLM_NOTE)
    )


def _verdict(content: Mapping[str, Any]) -> str:
    """The verdicts of the method that BEATS most often, of equal ones that of the largest mean difference."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in content["rows"]:
        if row["role"] == "method":
            found.setdefault((row["student"], row["method"]), []).append(row)
    if not found:
        return "The comparison has no method."

    def wins(rows: list[Mapping[str, Any]]) -> tuple[int, float]:
        return sum(row["verdict"] == "BEATS" for row in rows), sum(row["difference"] or 0.0 for row in rows) / len(rows)

    (student, method), rows = max(found.items(), key=lambda item: wins(item[1]))
    several = len({each for each, _ in found}) > 1
    verdicts: dict[str, list[str]] = {}
    for row in rows:
        labels = "all" if row["labels"] is None else f"{row['labels']:,}".replace(",", " ")
        verdicts.setdefault(row["verdict"] or "INCONCLUSIVE", []).append(labels)
    phrases = {"BEATS": "BEATS the best conventional row", "DOES NOT BEAT": "DOES NOT BEAT it"}
    if "BEATS" not in verdicts:
        phrases["DOES NOT BEAT"] = "DOES NOT BEAT the best conventional row"
    text = "; ".join(
        f"{phrases.get(verdict, 'INCONCLUSIVE')} with {_listed(verdicts[verdict])} labels"
        for verdict in ("BEATS", "INCONCLUSIVE", "DOES NOT BEAT")
        if verdict in verdicts
    )
    chosen = f", the best of {len(found)} methods" if len(found) > 1 else ""
    return f"{method}{f' ({student})' if several else ''}{chosen}: {text}."


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
