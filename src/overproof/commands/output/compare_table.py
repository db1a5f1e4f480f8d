"""A comparison on a terminal: one table of all budgets, 80 columns wide."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.verdict import cells
from overproof.report.compare_decision import decisions_of, summary_of

COLOURS = {"BEATS": "green", "DOES NOT BEAT": "red", "INCONCLUSIVE": "yellow"}


def page(content: Mapping[str, Any], folder: Path) -> Group:
    """What to deploy, a table a student, and in sentences what it says.

    Args:
        content: Of a compare.json.
        folder: Of the comparison.
    """
    shown: list[RenderableType] = []
    for words, run in decisions_of(content):
        shown.append(Text(words, style="bold"))
        shown.append(Text(f"To deploy it:\n    overproof export {shlex.quote(f'{folder}/{run}')} --out student\n"))
    students = list(dict.fromkeys(cell["student"] for cell in content["cells"]))
    if not content["rows"]:
        shown.append(Text(JudgedOn(kind="nothing").sentence()))
        students = []
    for student in students:
        if len(students) > 1:
            shown.append(Text(f"{student}\n"))
        shown.append(_table([row for row in content["rows"] if row["student"] == student]))
    return Group(*shown, Text(""), *(Text(sentence) for sentence in content["findings"]))


def _table(rows: list[Mapping[str, Any]]) -> Table:
    first = summary_of(rows[0])
    unit = "" if first.metric == "log_loss" else " %"
    folds = max(row.get("num_folds", 0) for row in rows)
    caption = (f"Cross-validated over the labelled rows of each run ({folds} folds). " if folds else "") + (
        f"Intervals: {100 * first.level:g} % ({first.interval}). Differences are to the best conventional row of the "
        f"same budget. p Holm: of no difference, corrected for the number of methods of a budget; a BEATS with one "
        f"above {1 - first.level:.2g} does not survive the correction."
    )
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, caption=caption, caption_justify="left")
    for name in ("labels", "method", first.metric + unit, "vs conventional", "verdict", "p Holm"):
        drawn.add_column(name, no_wrap=name in ("labels", "method", "verdict", "p Holm"))
    folder = rows[0]["folder"]
    for number, row in enumerate(rows):
        if begins := number == 0 or row["folder"] != folder:
            folder = row["folder"]
        method, mean, difference, _, verdict = cells(summary_of(row))
        labels = "all" if row["labels"] is None else str(row["labels"])
        last = number + 1 == len(rows) or rows[number + 1]["folder"] != folder
        drawn.add_row(
            labels if begins else "",
            Text(method),
            mean,
            difference,
            Text(verdict, style=COLOURS.get(verdict, "")),
            "" if row["p_holm"] is None else f"{row['p_holm']:.3f}",
            end_section=last,
        )
    return drawn
