"""What all commands share: options, `--quiet`, where output goes, and shell completion.

Results are printed on standard output, messages and progress bars on standard error. Colours are used only on a
terminal, and never where NO_COLOR is set. Off a terminal lines are 80 columns wide, or as wide as COLUMNS.

Names and texts of the user are printed as they are: rich's markup is off, and control characters, which a terminal
would obey, are shown as `\\x1b`.
"""

import functools
import gc
import inspect
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from overproof.commands.catalogue import read_catalogue
from overproof.errors import CONTROL, InputError, visible
from overproof.processes import leads

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the result and errors: no messages, no progress bars.")
]
Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="OPTION=VALUE",
        help="Change an option, for example train.epochs=5. Can be repeated.",
        autocompletion=lambda incomplete: changes(incomplete),
    ),
]
ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file in YAML.", show_default=False)]
RunFolder = Annotated[Path, typer.Option("--out", help="Output folder. If it already holds this run, the run resumes.")]
Folder = Annotated[
    Path,
    typer.Argument(
        help="Folder of a run.", show_default=False, autocompletion=lambda incomplete: run_folders(incomplete)
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of runs in which the teacher's answers to the same examples are looked up; by default that of "
        "--out.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the expected steps, memory, disk and time; write nothing.")
]
AllowImport = Annotated[
    list[str],
    typer.Option(
        "--allow-import",
        metavar="PATH",
        help="Allow the code at an import path package.module:name that a file names, or sending texts to an address "
        "https:// that it names. Can be repeated.",
    ),
]
Risk = Annotated[
    float | None,
    typer.Option("--risk", help="Abstain on uncertain rows, so that at most this share of the rest is wrong."),
]
Confidence = Annotated[float, typer.Option("--confidence", help="Probability with which --risk holds.")]
Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        help="Labelled examples for --risk that the student was not trained on; by default the validation role of its "
        "run.",
    ),
]
CalibrateLabel = Annotated[str | None, typer.Option("--label", help="Column of the true classes in --calibrate.")]
CalibrateGroup = Annotated[
    str | None,
    typer.Option(
        "--group",
        help="Column in --calibrate of what several rows may come from, such as a patient or an author; of each group "
        "one row counts.",
    ),
]
MaxUnpackedGb = Annotated[
    float | None,
    typer.Option(
        "--max-unpacked-gb",
        help="Gigabytes to which a compressed file, or the piece that is read at a time, may unpack; 8 by default.",
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ENGINE",
        help="Where to compute: ray (the cluster of RAY_ADDRESS or of this machine, else one that is started here) or "
        "ray://HOST:PORT; by default in this process. The result is the same.",
    ),
]
Between = Annotated[str, typer.Option(metavar="ROW,ROW", help="Two rows of the table, as auto,hard.")]
OfSeed = Annotated[int | None, typer.Option(help="A seed of the run; its first one by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)

ends_with_command: ContextVar[bool] = ContextVar("ends_with_command", default=False)
"""Whether the process ends with the command: it is not called from Python."""

EXIT_CODES = (
    "Exit codes: 0 success; 1 failed; 2 invalid input, with an error message of one sentence; 130 interrupted; "
    "143 terminated."
)


class App(typer.Typer):
    """A typer application whose commands all take `--quiet` and show the example of their docstring in `--help`."""

    def command(  # type: ignore[override]  # typer's own signature has fifteen options
        self, *names: Any, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a function as a command, as `typer.Typer.command` does.

        The function's docstring is the help text. Its first paragraph is shown in the list of commands, in full (typer
        cuts it after 45 characters); what follows `Example:` is printed unchanged at the end of the help.
        """

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            text, _, example = (inspect.getdoc(function) or "").partition("\n\nExample:\n")
            # A line that holds a backspace alone keeps typer from wrapping the paragraph below it.
            texts: dict[str, Any] = {"help": text, "short_help": text.partition("\n\n")[0]}
            texts["epilog"] = f"\b\nExample:\n{example}"
            super(App, self).command(*names, **{**texts, **options})(_quietable(function))
            return function

        return add


class PlainConsole(Console):
    """A console that prints strings as they are: without markup, emoji codes and control characters.

    Args:
        options: Those of `rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """As of `Console`, of the visible text."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As of `Console`; what came as a `Text` is made visible here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def remarks() -> Console:
    """The console for messages and progress bars: standard error, or nothing with `--quiet`."""
    return PlainConsole(stderr=True, quiet=_quiet.get())


def results() -> Console:
    """The console for results: standard output."""
    return PlainConsole()


def not_repeated(sentences: Iterable[str], noted: Collection[str]) -> list[str]:
    """Sentences without those that stand among the messages already, where messages and results go to one place.

    Args:
        sentences: To be printed as results.
        noted: What was printed as messages.
    """
    try:
        one_place = os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):
        one_place = False
    return [each for each in sentences if not (one_place and each in noted)]


def print_json(value: Any) -> None:
    """Print a result as JSON on standard output; of several processes only the first one prints.

    Control characters beyond ASCII are escaped as JSON allows, so that a terminal does not obey them.
    """
    if leads():
        text = json.dumps(value, indent=2, ensure_ascii=False)
        typer.echo(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


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


def check_risk(risk: float | None, calibrate: str | None, label: str | None, group: str | None) -> None:
    """Check that options which belong to --risk and --calibrate are not given without them.

    Raises:
        InputError: One is.
    """
    if risk is None and (calibrate is not None or label is not None):
        raise InputError("--calibrate and --label choose a threshold for --risk, which is not given.")
    if group is not None and calibrate is None:
        raise InputError("--group names a column of --calibrate, which is not given.")


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection: what is imported stays, and looking for garbage in it is slow.

    Where the process ends with the command, it is not looked through later either.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ends_with_command.get():
            gc.freeze()
        if enabled:
            gc.enable()


# --- shell completion


def run_folders(incomplete: str) -> Iterator[str]:
    """Run folders whose path starts with the typed text, and folders that may contain one."""
    typed = Path(incomplete)
    home = typed if incomplete.endswith("/") else typed.parent
    if not home.is_dir():
        return
    for folder in sorted(home.iterdir()):
        if folder.is_dir() and str(folder).startswith(incomplete.removeprefix("./")):
            yield str(folder) if (folder / "experiment.yaml").exists() else f"{folder}/"


def method_names(incomplete: str) -> list[str]:
    """Methods whose name starts with the typed text."""
    return [each.name for each in read_catalogue().methods if each.name.startswith(incomplete)]


def selector_names(incomplete: str) -> list[str]:
    """Selectors whose name starts with the typed text."""
    return [name for name in read_catalogue().selectors if name.startswith(incomplete)]


def changes(incomplete: str) -> list[str]:
    """Options for `--set` that start with the typed text, and method names after `methods=[`."""
    before, opened, typed = incomplete.rpartition("[" if "," not in incomplete else ",")
    if incomplete.startswith("methods=[") and opened:
        return [f"{before}{opened}{name}" for name in method_names(typed)]
    return [f"{option}=" for option in read_catalogue().options if f"{option}=".startswith(incomplete)]
