"""`overproof run`: an experiment from its file to the finished report."""

from overproof.commands.output.run_table import show_plan, show_result
from overproof.commands.output.terminal import AllowImport, AsJson, Changes, DryRun, ExperimentFile, RunFolder, remarks


def run(
    file: ExperimentFile,
    folder: RunFolder,
    change: Changes = [],  # noqa: B006
    allow_import: AllowImport = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run an experiment: get the teacher's answers, train the students, evaluate them, write the report.

    Example:
        overproof run experiment.yaml --out runs/first --set train.epochs=5
    """
    from overproof.api import run as run_experiment
    from overproof.progress import OnTerminal
    from overproof.runs.changes import typed_paths
    from overproof.runs.experiment import load

    experiment, named = load(file, change), {*allow_import, *typed_paths(change)}
    if dry_run:
        show_plan(experiment, folder, as_json, named)
        return
    with OnTerminal(remarks()) as progress:
        result = run_experiment(experiment, folder, report=True, progress=progress, allow_import=named)
    show_result(result, as_json)
