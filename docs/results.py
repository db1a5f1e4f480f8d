"""Print a finished run as a section of docs/results.md: `python docs/results.py runs/letter "the command" [ROW]`.

With the name of a row every other one is compared with that row instead of the best conventional one.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from overproof.steps import open_run
from overproof.verdict import Summary, markdown, summarise


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


if __name__ == "__main__":
    print(section(Path(sys.argv[1]), *sys.argv[2:4]))
