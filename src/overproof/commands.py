"""Commands that need no run: choosing from a pool, tuning ξ on features, looking up methods."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from overproof.terminal import AsJson, Changes, method_names, print_json, remarks, results, selector_names


def select(
    source: Annotated[
        Path, typer.Argument(help="A store of answers, such as RUN/labels/seed-0/pool, or a file of answers.")
    ],
    rule: Annotated[
        str,
        typer.Option(
            help="confident, per_class, adaptive, random, everything or nothing.", autocompletion=selector_names
        ),
    ],
    file: Annotated[Path, typer.Option("--out", help="Where to write the chosen rows: .parquet.")],
    budget: Annotated[float | None, typer.Option(help="Rows to keep; below one, the share of the pool.")] = None,
    quota: Annotated[
        float | None, typer.Option(help="For per_class: rows of each class; below one, the share of its rows.")
    ] = None,
    teacher: Annotated[str, typer.Option(help="Refuse a store whose teacher's key does not say this.")] = "",
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Choose from a pool by the teacher's answers alone: id, row, class and score; the classes before and after."""
    from overproof.experiment import changed
    from overproof.selection import selector_of, write_selection

    named = {"budget": budget, "quota": quota}
    options = {name: int(value) if value.is_integer() else value for name, value in named.items() if value is not None}
    chosen = write_selection(source, selector_of(rule, changed(options, change)), file, teacher=teacher)
    if as_json:
        print_json({**chosen.described(), "file": str(file)})
    else:
        results().print(chosen.table())
    if chosen.classes.vanished:
        remarks().print(f"Warning: {escape(chosen.classes.warning())}", soft_wrap=True)
    remarks().print(f"{len(chosen.rows)} rows in {escape(str(file))}.", soft_wrap=True)


def tune_xi(
    file: Annotated[Path, typer.Argument(metavar="FEATURES", help="Frozen features: .npz or Parquet.")],
    label: Annotated[str | None, typer.Option(help="The column or array of classes: a softmax head.")] = None,
    target: Annotated[
        list[str], typer.Option(help="A column or array of numbers to predict: ridge. May be repeated.")
    ] = [],  # noqa: B006
    features: Annotated[
        list[str], typer.Option(help="A column or array of features; without it all that fit. May be repeated.")
    ] = [],  # noqa: B006
    truth: Annotated[
        str | None, typer.Option(help="Trusted classes to measure on; nothing is fitted on or chosen by them.")
    ] = None,
    folds: Annotated[int, typer.Option(help="How often examples are left out, at least 2.")] = 5,
    seed: Annotated[int, typer.Option(help="Draws the folds.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Is it worth to be one's own teacher? The best imitation xi for a linear model on features, and what it wins."""
    from overproof.tuning import report, tune

    found = tune(file, label=label, target=target, features=features, truth=truth, folds=folds, seed=seed)
    if as_json:
        print_json(found.as_json())
    else:
        results().print(report(found))


def methods(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One method, to see its parts and options.", show_default=False, autocompletion=method_names
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods, what they do, and their papers; or, of one, its parts with their options."""
    import overproof.methods
    from overproof.registry import entries, lookup

    if name is not None:
        entry, parts = lookup("method", name), overproof.methods.method(name).described()
        if as_json:
            print_json(
                {"name": name, "summary": entry.summary, "parts": parts, "paper": entry.paper and entry.paper.place}
            )
            return
        results().print(f"{escape(entry.summary)}\n")
        drawn = _table("option", "value")
        for path, part in parts.items():
            drawn.add_row(path, escape(part))
        results().print(drawn)
        if entry.paper:
            typer.echo(f"\n{entry.paper.bibtex()}")
        return
    if as_json:
        print_json(
            [{"name": e.name, "summary": e.summary, "paper": e.paper and e.paper.place} for e in entries("method")]
        )
        return
    drawn = _table("method", "what it does", "paper")
    for entry in entries("method"):
        drawn.add_row(entry.name, escape(entry.summary), entry.paper.place if entry.paper else "")
    results().print(drawn)


def _table(*columns: str) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column, no_wrap=number == 0)
    return drawn
