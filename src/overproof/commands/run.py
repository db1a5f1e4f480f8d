"""`overproof run`: an experiment, from its file or from files of examples, to the finished report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overproof.commands.file_options import OPTIONS, describes_files
from overproof.commands.output.run_table import show_plan, show_result
from overproof.commands.output.terminal import AllowImport, AsJson, Cache, DryRun, On, RunFolder, remarks
from overproof.errors import InputError

if TYPE_CHECKING:
    from overproof.runs.experiment import Experiment
    from overproof.runs.first_look.sources import Choices


_CHANGES = ("changes", "align")
"""Options that go with an experiment file too."""


@describes_files
def run(
    file: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Experiment file in YAML; or files of examples, as for `init`, with the options below.",
            show_default=False,
        ),
    ],
    folder: RunFolder,
    allow_import: AllowImport = [],  # noqa: B006
    on: On = None,
    dry_run: DryRun = False,
    *,
    choices: "Choices",
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Run an experiment: get the teacher's answers, train the students, evaluate them, write the report.

    From files of examples it makes the experiment that `init` would write, and keeps it in the output folder.

    Example:
        overproof run experiment.yaml --out runs/first --set train.epochs=5
    """
    from overproof.models.importing import allowing
    from overproof.runs.changes import typed_paths

    named = {*allow_import, *typed_paths(choices.changes)}
    with allowing(named):
        experiment = experiment_of(file, choices, with_remarks=dry_run)
    run_experiment(experiment, folder, named, dry_run=dry_run, as_json=as_json, cache=cache, on=on)


def run_experiment(
    experiment: "Experiment",
    folder: Path,
    named: set[str],
    *,
    dry_run: bool = False,
    as_json: bool = False,
    cache: Path | None = None,
    on: str | None = None,
) -> None:
    """Run an experiment with progress on the terminal, and print its result.

    Args:
        experiment: All of the run.
        folder: Its folder.
        named: Import paths that the user has named.
        dry_run: Print the plan instead.
        as_json: Print JSON.
        cache: Folder of runs whose teacher's answers are used again; None for that which holds the run's.
        on: Where to compute, as `--on`.
    """
    from overproof.api import run as run_all
    from overproof.progress import OnTerminal
    from overproof.scale import engine_on

    if dry_run:
        show_plan(experiment, folder, as_json, named)
        return
    with OnTerminal(remarks()) as progress, engine_on(on, progress) as engine:
        result = run_all(
            experiment, folder, report=True, progress=progress, allow_import=named, cache=cache, engine=engine
        )
    show_result(result, as_json, progress.noted)


def experiment_of(files: list[str], choices: "Choices", *, with_remarks: bool = False) -> "Experiment":
    """The experiment of an experiment file, or the one that files of examples suggest.

    Args:
        files: As they were typed.
        choices: What the user has said of files of examples.
        with_remarks: Print what is to be known of the examples too, which a run says itself when it begins.

    Raises:
        InputError: They cannot be read or understood.
    """
    from overproof.models.importing import look_in
    from overproof.runs.experiment import load
    from overproof.runs.first_look.proposal import propose
    from overproof.runs.folder.resume import holds_run

    path = Path(files[0])
    if path.is_dir() and holds_run(path):
        raise InputError(
            f"{path} is the folder of a run; to go on with it: overproof run {path}/experiment.yaml --out {path}"
        )
    said = bool(choices.answers or choices.named)
    if len(files) > 1 or _is_of_examples(path, said):
        made = propose(files, choices)
        console = remarks()
        for sentence in made.sentences(with_remarks=with_remarks):
            console.print(sentence, soft_wrap=True)
        assert made.experiment is not None
        return made.experiment
    if said:
        raise InputError(
            f"{', '.join(f'--{name}' for name in OPTIONS if name not in _CHANGES)} go with files of examples, and "
            f"{path} is taken for an experiment file; write them there (overproof init --explain data.files)."
        )
    experiment = load(path, choices.changes)
    look_in(path.parent)
    return experiment


def _is_of_examples(path: Path, said: bool) -> bool:
    """Whether a path leads to examples, and not to an experiment in YAML, or in JSON."""
    from typing import get_args

    from overproof.data.options import FileRole
    from overproof.data.source import format_of

    role = str(path).partition("=")[0]
    if path.is_dir() or "*" in path.name or (role in get_args(FileRole) and not path.exists()):
        return True
    return format_of(path) is not None and (said or path.suffix != ".json")
