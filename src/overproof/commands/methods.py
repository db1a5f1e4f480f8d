"""`overproof methods`: what can be run, and where it was published."""

from typing import Annotated

import typer
from rich.table import Table

from overproof.commands.catalogue import Catalogue, ListedMethod, read_catalogue
from overproof.commands.output.terminal import AsJson, method_names, print_json, results
from overproof.errors import InputError, suggest


def methods(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One method, to show its parts and options.", show_default=False, autocompletion=method_names
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods with summaries and papers; or show the parts and options of one method.

    Example:
        overproof methods slam
    """
    catalogue = read_catalogue()
    if name is None:
        _print_all(catalogue, as_json)
    else:
        _print_one(_method(catalogue, name), as_json)


def _print_all(catalogue: Catalogue, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"name": each.name, "summary": each.summary, "paper": each.paper and each.paper.place}
                for each in catalogue.methods
            ]
        )
        return
    drawn = _table("method", "what it does", "paper")
    for each in catalogue.methods:
        drawn.add_row(each.name, each.summary, each.paper.place if each.paper else "")
    results().print(drawn)


def _print_one(found: ListedMethod, as_json: bool) -> None:
    if as_json:
        place = found.paper and found.paper.place
        print_json({"name": found.name, "summary": found.summary, "parts": found.parts, "paper": place})
        return
    results().print(f"{found.summary}\n")
    drawn = _table("option", "value")
    for path, part in found.parts.items():
        drawn.add_row(path, part)
    results().print(drawn)
    if found.paper:
        typer.echo(f"\n{found.paper.bibtex()}")


def _method(catalogue: Catalogue, name: str) -> ListedMethod:
    by_name = {each.name: each for each in catalogue.methods}
    if name not in by_name:
        raise InputError(f"There is no method {name!r}; {suggest(name, by_name)}.")
    return by_name[name]


def _table(*columns: str) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column, no_wrap=number == 0)
    return drawn
