"""`overproof label`: the first step of a run."""

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

    experiment, named = load(file, change), as_paths({*allow_import, *typed_paths(change)})
    if dry_run:
        show_plan(experiment, folder, as_json, named)
        return
    console, earlier = remarks(), Earlier.of(folder)
    with OnTerminal(console) as progress:
        rows = Run(experiment=experiment, folder=folder, progress=progress, allow_import=named).label()
    if as_json:
        print_json(answers_as_json(experiment, folder, rows, earlier))
    console.print(f"The teacher's answers are in {folder / 'labels'}.", soft_wrap=True)
