"""What every command shares on a terminal: where it writes, what keeps it quiet, and what the Tab key completes.

Results go to standard output, remarks and bars to standard error; colours only on a terminal, and none where NO_COLOR
is set. Off a terminal lines are 80 columns wide, or as wide as COLUMNS says.
"""

import functools
import inspect
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No bars and no remarks: the result and errors alone.")]

Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="OPTION=VALUE",
        help="Change an option, such as train.epochs=5.",
        autocompletion=lambda incomplete: changes(incomplete),
    ),
]
RunFolder = Annotated[Path, typer.Option("--out", help="The run's folder; an unfinished run there is gone on with.")]
Folder = Annotated[
    Path,
    typer.Argument(
        help="The folder of a run.", show_default=False, autocompletion=lambda incomplete: run_folders(incomplete)
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would take; write nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)

EXIT_CODES = "Exit codes: 0 done; 1 stopped or failed; 2 the input does not fit, and one sentence says how."


class App(typer.Typer):
    """A command line whose every command takes `--quiet`."""

    def command(  # type: ignore[override]  # typer's own signature has fifteen options
        self, *words: Any, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a function as a command, as typer does, with one option more."""

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            # Said in full: the list of commands would cut it after 45 characters.
            said = {"short_help": (inspect.getdoc(function) or "").partition("\n\n")[0], **options}
            super(App, self).command(*words, **said)(_quietable(function))
            return function

        return add


def remarks() -> Console:
    """Where bars and remarks go: standard error, or nowhere after `--quiet`."""
    return Console(stderr=True, quiet=_quiet.get())


def results() -> Console:
    """Where results go: standard output."""
    return Console()


def print_json(value: Any) -> None:
    """A result for machines, on standard output; of several processes the first one speaks."""
    from overproof.processes import leads

    if leads():
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _quietable(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    quiet = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)

    @functools.wraps(function)
    def command(*arguments: Any, quiet: bool = False, **options: Any) -> Any:
        before = _quiet.set(quiet)
        try:
            return function(*arguments, **options)
        finally:
            _quiet.reset(before)

    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), quiet])  # type: ignore[attr-defined]
    command.__annotations__ = {**function.__annotations__, "quiet": Quiet}
    return command


# --- what the Tab key completes


def run_folders(incomplete: str) -> Iterator[str]:
    """Folders that hold a run and begin so, and folders on the way to one."""
    typed = Path(incomplete)
    home = typed if incomplete.endswith("/") else typed.parent
    if not home.is_dir():
        return
    for folder in sorted(home.iterdir()):
        if folder.is_dir() and str(folder).startswith(incomplete.removeprefix("./")):
            yield str(folder) if (folder / "experiment.yaml").exists() else f"{folder}/"


def method_names(incomplete: str) -> list[str]:
    """Methods that begin so."""
    return _registered("method", incomplete)


def selector_names(incomplete: str) -> list[str]:
    """Selectors that begin so."""
    return _registered("select", incomplete)


def changes(incomplete: str) -> list[str]:
    """Options for `--set` that begin so, and methods after `methods=[`."""
    from overproof.runs.experiment import Experiment

    before, opened, typed = incomplete.rpartition("[" if "," not in incomplete else ",")
    if incomplete.startswith("methods=[") and opened:
        return [f"{before}{opened}{name}" for name in method_names(typed)]
    paths = []
    for name, field in Experiment.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {})
        paths += [f"{name}.{option}=" for option in inner] if inner else [f"{name}="]
    return [path for path in paths if path.startswith(incomplete)]


def _registered(kind: Any, incomplete: str) -> list[str]:
    import overproof.methods.published  # noqa: F401
    from overproof.registry import entries

    return [entry.name for entry in entries(kind) if entry.name.startswith(incomplete)]
