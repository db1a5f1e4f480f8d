"""`overproof demo`: the experiment that comes with the package."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AsJson, Changes, RunFolder
from overproof.commands.run import run_experiment

QUICK = ["data.rows.pool=500", "data.rows.test=300", "train.epochs=3", "seeds=[0, 1]"]
"""What `--quick` changes."""


def demo(
    folder: RunFolder = Path("runs/demo"),
    quick: Annotated[
        bool, typer.Option(help="Use a tenth of the data and epochs; the numbers are too noisy to interpret.")
    ] = False,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run an example on real data that comes with the package: clothing reviews, few labels, a small text student.

    The teacher is a sentence encoder that never saw a label, the student a bag of n-grams. Nothing is downloaded.

    Example:
        overproof demo --quick
    """
    from overproof.runs.changes import typed_paths
    from overproof.runs.experiment import load

    changes = [*(QUICK if quick else []), *change]
    with resources.as_file(resources.files("overproof.commands") / "demo.yaml") as file:
        run_experiment(load(file, changes), folder, typed_paths(changes), as_json=as_json)
