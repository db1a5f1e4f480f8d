"""Write docs/commands.md from the command line itself, and the names it lists from the registry: `make docs`.

A test compares both files with what is generated.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

os.environ.update(COLUMNS="88", NO_COLOR="1", TERMINAL_WIDTH="88")

from typer.main import get_command
from typer.testing import CliRunner

from overproof.commands.main import app
from overproof.methods.published import method
from overproof.registry import entries
from overproof.runs.experiment import Experiment

CATALOGUE = Path(__file__).parent.parent / "src/overproof/commands/catalogue.json"

INTRODUCTION = """# The command line

This page is written by `make docs` from the commands themselves.

`overproof --install-completion` adds completion to your shell: commands, options, methods, selectors and run folders.

With `--json` a command prints one JSON value on standard output and nothing else there; messages and progress bars are
printed on standard error, and `--quiet` omits them:

* `init`: `file`, the `experiment` in it, what is `understood` and `unsure`, and the `next` commands. With `--explain`:
  `key`, `allowed`, `default`, `about`, `keys`, `names` (of students, teachers, methods).
* `answers`: `format`, `tool` and `why`, `columns`, `ids`, `kind`, `classes`, `num_rows`, the first five `rows` (`id`,
  `label`, `probs`), `left_out` (counts by reason), `notes`, and what to `write` under `teacher`.
* `run`, `demo`, `evaluate`: the run's `result.json` with rows, summary with intervals and verdicts, findings, and the
  `decision`: the student to deploy by `row` and `seed`, its own `accuracy` with `low` and `high`, the `mean` of the
  row's `num_seeds` seeds, and the sentences on the terminal (null without students)
  (`evaluate --labels`: the counts and accuracies by model; with `--between` the counts, the difference, its interval
  and the verdict). `next`, `disagreements`: the counts and the file. `annotate`: the guarantee, its counts and both
  files. With `--dry-run` (`label` too) the plan: examples by role, steps or fits, memory, disk, seconds. `compare`:
  its
  `compare.json`; with `--dry-run` the plans of its `runs` and their `total`.
* `label`: `folder`, `teacher`, the total number of answers `asked` for, and `answers`: for each `seed`, `role` and
  `teacher` the number of `rows`, how many of them were `asked` for in this call and how many were `cached` (stored, or
  read from files). `seed` is null for the examples that all seeds draw from. With `--endpoint`: `folder`, and all of
  the job's `summary.json`; with `--dry-run` the questions left, tokens, cost, seconds, and the `basis` of the numbers.
* `distill`: `folder` and `students`: for each `seed` and `row` its `folder`, the `seconds` of training, and whether it
  was `finished` "before" this call or "now".
* `assess`: every estimate with its interval, the recommendation and its reason.
* `report`: `file` and `num_bytes`.
* `select`: `file`, the number of rows kept, the classes before and after.
* `predict`: `file`, its `columns`, `num_rows`, `num_answered`, `abstained_share`, `seconds`, `rows_per_second`,
  `remarks` in sentences, and the `abstention` with its guarantee, or null.
* `export`: `folder`, `files`, `why` this row was chosen, the cost of 8-bit weights. `tune-xi`: the pairs tried, the
  best pair, its gain.
* `serve`: once it listens, its `address` and what `/health` answers.
* `methods`, `cite`: a list of names, summaries and papers; a list of the works to cite.
"""


def page() -> str:
    """The whole page."""
    commands = get_command(app).commands
    parts = [INTRODUCTION, f"```text\n{help_text()}\n```\n"]
    parts += [f"## overproof {name}\n\n```text\n{help_text(name)}\n```\n" for name in commands]
    return "\n".join(parts)


def help_text(*command: str) -> str:
    """What `overproof COMMAND --help` prints."""
    printed = CliRunner().invoke(app, [*command, "--help"], prog_name="overproof").output
    return re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE).strip()


def catalogue() -> str:
    """The names that commands list and complete without importing the methods, as JSON."""
    methods = [
        {
            "name": entry.name,
            "summary": entry.summary,
            "paper": entry.paper and entry.paper.key,
            "parts": method(entry.name).described(),
        }
        for entry in entries("method")
    ]
    options = []
    for name, field in Experiment.model_fields.items():
        group: dict[str, Any] = getattr(field.annotation, "model_fields", {})
        options += [f"{name}.{option}" for option in group] or [name]
    selectors = [entry.name for entry in entries("select")]
    content = {"methods": methods, "selectors": selectors, "options": options}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
    CATALOGUE.write_text(catalogue())
