"""The `overproof` command: the table of commands, `--version`, and errors turned into exit codes.

Exit codes: 0 success, 1 failed, 2 invalid input (with an error message of one sentence), 130 interrupted (Ctrl-C), 143
terminated (SIGTERM).

A command is a function in a file of its own, registered in `COMMANDS`: its parameters are the options, its docstring
is the help. What a command needs is imported in its body and not at the top of its file, so that `--help` and
completion import neither torch nor anything else that is slow.
"""

import atexit
import gc
import io
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from overproof.commands.answers import answers
from overproof.commands.assess import assess
from overproof.commands.cite import cite
from overproof.commands.compare import compare
from overproof.commands.demo import demo
from overproof.commands.distill import distill
from overproof.commands.evaluate import evaluate
from overproof.commands.export import export
from overproof.commands.init import init
from overproof.commands.label import label
from overproof.commands.methods import methods
from overproof.commands.output.failures import failure
from overproof.commands.output.signals import INTERRUPTED, ending, first_signal, ignore_signals, stop_on_signals
from overproof.commands.output.terminal import EXIT_CODES, App, ends_with_command
from overproof.commands.people.annotate import annotate
from overproof.commands.people.disagreements import disagreements
from overproof.commands.people.next import next_rows
from overproof.commands.predict import predict
from overproof.commands.report import report
from overproof.commands.run import run
from overproof.commands.select import select
from overproof.commands.serve import serve
from overproof.commands.tune_xi import tune_xi
from overproof.errors import InputError, visible
from overproof.processes import join_group, leave_group, received
from overproof.version import __version__

COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "answers": answers,
    "run": run,
    "demo": demo,
    "compare": compare,
    "label": label,
    "assess": assess,
    "distill": distill,
    "evaluate": evaluate,
    "next": next_rows,
    "disagreements": disagreements,
    "annotate": annotate,
    "report": report,
    "select": select,
    "predict": predict,
    "export": export,
    "serve": serve,
    "tune-xi": tune_xi,
    "methods": methods,
    "cite": cite,
}
"""Commands by name, in the order of `overproof --help`."""

app = App(
    name="overproof",
    help="Turn an imperfect teacher and a pile of unlabelled data into a small student you can deploy and trust.",
    epilog=f"{EXIT_CODES} Results are printed on standard output, messages on standard error. --json prints a result "
    "as JSON, --quiet omits messages and progress bars, NO_COLOR disables colours.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _name, _function in COMMANDS.items():
    app.command(_name)(_function)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"overproof {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None: ...


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code on failure.

    Args:
        arguments: The command line without the program's name; `sys.argv` by default.
    """
    if arguments is not None:
        try:
            _stop(*_outcome(arguments))
        finally:
            leave_group()
        return
    ends_with_command.set(True)
    # The process ends after this command. Looking for garbage among all that was imported would take .4 seconds.
    atexit.register(gc.freeze)
    try:
        try:
            stop_on_signals()
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, io.TextIOWrapper):
                    # A name that the terminal's encoding lacks is shown with escapes.
                    stream.reconfigure(errors="backslashreplace")
            message, code = _outcome(None)
            leave_group()
        finally:
            ignore_signals()
    except BaseException:
        if not received():
            raise
        message, code = "", 0
    # A signal ends the command also where a library has lost its exception, or made another one of it.
    _stop(*(ending(first_signal()) if received() else (message, code)))


def _outcome(arguments: list[str] | None) -> tuple[str, int]:
    """What a command ends with: a message for standard error, empty for none, and the exit code."""
    try:
        join_group()
        # typer returns the exit code of an interrupt and of `typer.Exit`; it raises neither.
        code = app(arguments, standalone_mode=False)
        return ("", code or 0) if code != INTERRUPTED else ending(first_signal())
    except InputError as error:
        return f"overproof: {error}", 2
    except (KeyboardInterrupt, typer.Abort):
        return ending(first_signal())
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")):
            return f"overproof: {_message(error)}", 2
        if (failed := failure(error)) is not None:
            return f"overproof: {failed[0]}", failed[1]
        raise


def _message(error: Any) -> str:
    missing = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and missing is not None:
        # By what is typed: the names of parameters are those of functions.
        options = [name for name in missing.opts if name.startswith("-")]
        typed = options[0] if options else missing.metavar or missing.name.upper()
        help_text = getattr(missing, "help", None)
        return f"{typed} is missing{f': {help_text}' if help_text else '.'}"
    near: Any = getattr(error, "possibilities", None)
    meant = f"; did you mean {' or '.join(sorted(near))}?" if near else ""
    return f"{getattr(error, 'message', None) or error}{meant}"


def _stop(message: str, code: int) -> None:
    if message:
        print(visible(message), file=sys.stderr)
    if code:
        sys.exit(code)
