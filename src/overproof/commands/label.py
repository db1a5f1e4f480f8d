"""`overproof label`: the first step of a run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.run_table import show_plan
from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Changes,
    DryRun,
    ExperimentFile,
    RunFolder,
    print_json,
    remarks,
)


def label(
    file: ExperimentFile,
    folder: RunFolder,
    people: Annotated[
        list[Path],
        typer.Option(
            help="A random sample of `overproof next` with labels of people, which are added to the labelled "
            "examples. Can be repeated."
        ),
    ] = [],  # noqa: B006
    change: Changes = [],  # noqa: B006
    allow_import: AllowImport = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run the first step only: compute and store the teacher's answer for every example, once.

    Example:
        overproof label experiment.yaml --out runs/first
    """
    from overproof.commands.output.json_output import Earlier, answers_as_json
    from overproof.models.importing import as_paths
    from overproof.progress import OnTerminal
    from overproof.runs.changes import typed_paths
    from overproof.runs.experiment import load
    from overproof.runs.pipeline import Run

    added = [f"data.labels={json.dumps([str(path) for path in people])}"] if people else []
    experiment, named = load(file, [*change, *added]), as_paths({*allow_import, *typed_paths(change)})
    if dry_run:
        show_plan(experiment, folder, as_json, named)
        return
    console, earlier = remarks(), Earlier.of(folder)
    with OnTerminal(console) as progress:
        rows = Run(experiment=experiment, folder=folder, progress=progress, allow_import=named).label()
    if as_json:
        print_json(answers_as_json(experiment, folder, rows, earlier))
    console.print(f"The teacher's answers are in {folder / 'labels'}.", soft_wrap=True)
