"""The options that describe files of examples, for every command that takes such files."""

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from overproof.commands.output.terminal import Changes


class Align(StrEnum):
    """What joins answers with rows."""

    id = "id"
    rows = "rows"


OPTIONS: dict[str, tuple[Any, Any]] = {
    "answers": (
        Annotated[
            list[str] | None,
            typer.Option("--answers", metavar="FILE", help="A teacher's answers, joined by id. Can be repeated."),
        ],
        None,
    ),
    "align": (
        Annotated[
            Align | None,
            typer.Option(
                "--align", help="What joins answers with rows: ids, or their order (rows). The same as teacher.align."
            ),
        ],
        None,
    ),
    "label": (Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="Column of the labels.")], None),
    "text": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--text", metavar="COLUMN", help="Column of the texts to read. Repeated: several, read as one text."
            ),
        ],
        None,
    ),
    "image": (
        Annotated[
            str | None, typer.Option("--image", metavar="COLUMN", help="Column of images, or of names of image files.")
        ],
        None,
    ),
    "id": (Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="Column of your ids.")], None),
    "group": (
        Annotated[
            str | None,
            typer.Option(
                "--group", metavar="COLUMN", help="Column of what several rows come from, such as a customer."
            ),
        ],
        None,
    ),
    "query": (
        Annotated[
            str | None,
            typer.Option(
                "--query", metavar="SQL", help="What is read of a SQLite or DuckDB file; needed for several tables."
            ),
        ],
        None,
    ),
    "changes": (Changes, []),
}
"""Annotation and default by the name that `overproof.runs.first_look.sources.Choices` has for it; `align` is one of
its changes."""


def describes_files(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with these options in the place of its argument `choices`, which holds what was typed.

    Args:
        function: A command with an argument `choices` of type `Choices`.
    """
    parameters: list[inspect.Parameter] = []
    for each in inspect.signature(function).parameters.values():
        parameters += (
            [each]
            if each.name != "choices"
            else [
                inspect.Parameter(name, each.kind, default=default, annotation=annotation)
                for name, (annotation, default) in OPTIONS.items()
            ]
        )

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        from overproof.runs.first_look.sources import Choices

        given = {name: options.pop(name, None) for name in OPTIONS}
        given |= {name: tuple(given[name] or ()) for name in ("answers", "text", "changes")}
        if (align := given.pop("align")) is not None:
            given["changes"] = (*given["changes"], f"teacher.align={align.value}")
        return function(*arguments, choices=Choices(**given), **options)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    others = {name: each for name, each in function.__annotations__.items() if name != "choices"}
    command.__annotations__ = {**others, **{name: annotation for name, (annotation, _) in OPTIONS.items()}}
    return command
