"""Print a finished run as a section of docs/results.md: `python docs/results.py runs/letter "the command"`."""

import json
import sys
from pathlib import Path

from overproof.verdict import Summary, markdown


def section(folder: Path, command: str) -> str:
    """Title, command, table and findings of one run."""
    result = json.loads((folder / "result.json").read_text())
    seeds = sorted({row["seed"] for row in result["rows"]})
    table = markdown([Summary(**each) for each in result["summary"]])
    findings = "\n".join(f"* {finding}" for finding in result["findings"])
    return f"## {result['name']}\n\n`{command}`, seeds {', '.join(map(str, seeds))}.\n\n{table}\n{findings}\n"


if __name__ == "__main__":
    print(section(Path(sys.argv[1]), sys.argv[2]))
