"""Write docs/commands.md from the command line itself: `make docs`; a test compares the two."""

import os
import re
from pathlib import Path

os.environ.update(COLUMNS="88", NO_COLOR="1", TERMINAL_WIDTH="88")

from typer.main import get_command
from typer.testing import CliRunner

from overproof.commands.main import app

INTRODUCTION = """# The command line

This page is written by `make docs` from the commands themselves.

`overproof --install-completion` teaches your shell the commands, their options, methods, selectors and run folders.

With `--json` a command prints one JSON value on standard output and nothing else there; remarks and bars go to standard
error, and `--quiet` leaves them out:

* `run`, `demo`, `evaluate`: the run's `result.json`, which holds rows, summary with intervals and verdicts, findings.
  With `--dry-run` (`label` too) the plan: examples by role, steps or fits, memory, disk, seconds. `compare`: its
  `compare.json`.
* `label`: `folder`, `teacher`, how many answers were `asked` for in all, and `answers`: for each `seed`, `role` and
  `teacher` its `rows`, how many of them were `asked` for by this call and how many were `cached` (in a store, or
  brought in files). `seed` is null for the examples that all seeds draw from.
* `distill`: `folder` and `students`: for each `seed` and `row` its `folder`, the `seconds` it took, and whether it was
  `finished` "before" this call or "now".
* `assess`: every estimate with its interval, the recommendation and its reason.
* `report`: `file` and `num_bytes`.
* `select`: `file`, what was kept, the classes before and after.
* `predict`: `file`, its `columns`, `num_rows`, `num_answered`, `abstained_share`, `seconds`, `rows_per_second`, and the
  `abstention` with its guarantee, or null.
* `export`: `folder`, `files`, what eight bits cost. `tune-xi`: the pairs tried, the best, what it wins.
* `methods`, `cite`: a list, of names, summaries and papers, and of the works to cite.
"""


def page() -> str:
    """The whole page."""
    commands = get_command(app).commands
    parts = [INTRODUCTION, f"```text\n{helped()}\n```\n"]
    parts += [f"## overproof {name}\n\n```text\n{helped(name)}\n```\n" for name in commands]
    return "\n".join(parts)


def helped(*words: str) -> str:
    """What `overproof WORDS --help` prints."""
    said = CliRunner().invoke(app, [*words, "--help"], prog_name="overproof").output
    return re.sub(r"[ \t]+$", "", said, flags=re.MULTILINE).strip()


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
