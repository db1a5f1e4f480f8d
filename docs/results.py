"""Print a finished run as a section of the results: `python docs/results.py runs/letter "the command" [ROW]`.

The section goes to the page of its kind of data (docs/results_images.md, _texts.md or _tables.md; or to that of its
question, as docs/results_self_distillation.md), the last line to the table of all settings in docs/results.md. With the
name of a row every other one is compared with that row instead of the best conventional one.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from markdown.extensions.toc import slugify

from overproof.evaluation.verdict import Summary, cells, markdown, summarise
from overproof.models import load_student
from overproof.runs.pipeline import open_run


def section(folder: Path, command: str, against: str | None = None) -> str:
    """Title, command, table and findings of one run."""
    result = json.loads((folder / "result.json").read_text())
    seeds = sorted({row["seed"] for row in result["rows"]})
    if against is None:
        table = markdown([Summary(**each) for each in result["summary"]])
    else:
        table = markdown(compared(folder, against)).replace("best conventional row", "row compared with")
    findings = "\n".join(f"* {finding}" for finding in result["findings"])
    return f"## {result['name']}\n\n`{command}`, seeds {', '.join(map(str, seeds))}.\n\n{table}\n{findings}\n"


def compared(folder: Path, against: str) -> list[Summary]:
    """The rows of a finished run beside one of them; a second look at its students, nothing is trained."""
    rows = open_run(folder).evaluate().rows
    return summarise([replace(row, role="conventional" if row.method == against else "reference") for row in rows])


def overview(folder: Path) -> str:
    """The run's line in the table of all settings: what it rests on, SLaM's difference, and the rows that BEAT."""
    result = json.loads((folder / "result.json").read_text())
    kind = load_student(next(folder.glob("students/*/*/student.json")).parent).kind
    link = f"[{result['name']}](results_{kind}s.md#{slugify(result['name'], '-')})"
    return line(link, [Summary(**each) for each in result["summary"]])


def line(setting: str, summaries: Sequence[Summary]) -> str:
    """One line of the table of all settings."""
    named = {each.method: each for each in summaries}
    best = named[str(summaries[0].baseline)]

    def mean(name: str) -> str:
        return f"{100 * named[name].mean:.1f}" if name in named else "–"

    gain = cells(named["slam"])[2] if "slam" in named else "–"
    winners = ", ".join(f"`{each.method}`" for each in summaries if each.verdict == "BEATS") or "none"
    row = [setting, mean("teacher"), mean("labelled_only"), f"{mean(best.method)} (`{best.method}`)", mean("oracle")]
    return f"| {' | '.join([*row, gain, winners])} |"


if __name__ == "__main__":
    print(section(Path(sys.argv[1]), *sys.argv[2:4]))
    print(overview(Path(sys.argv[1])))
