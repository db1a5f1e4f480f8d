"""`overproof answers`: how a file of answers is read."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.file_options import Align
from overproof.commands.output.terminal import AsJson, print_json, results
from overproof.errors import InputError


def answers(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of answers, as a tool wrote it.")],
    classes: Annotated[
        str | None, typer.Option("--classes", metavar="A,B", help="The classes of your data, in their order.")
    ] = None,
    wanted: Annotated[
        str, typer.Option("--format", metavar="NAME", help="Its format, where it is not recognised (docs/answers.md).")
    ] = "auto",
    align: Annotated[
        Align, typer.Option("--align", help="rows: the file has no ids, and its rows are those of the data in order.")
    ] = Align.id,
    as_json: AsJson = False,
) -> None:
    """Show how a file of answers is read: format, columns, classes, first rows, and what is left out.

    Example:
        overproof answers predictions.csv --classes neg,pos
    """
    from overproof.answers.shown import described, shown

    names = tuple(each.strip() for each in classes.split(",")) if classes else ()
    if len(set(names)) < len(names) or len(names) == 1 or "" in names:
        raise InputError(f"Option --classes is {classes!r}; at least two different names with commas are needed.")
    found = shown(file.expanduser(), classes=names, wanted=wanted, by_rows=align == Align.rows)
    if as_json:
        print_json(found.as_json())
        return
    for line in described(found):
        results().print(line, soft_wrap=True, highlight=False, markup=False)
