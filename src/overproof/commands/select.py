"""`overproof select`: choose examples from a pool by the teacher's answers."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AsJson, Changes, On, print_json, remarks, results, selector_names


def select(
    source: Annotated[
        Path,
        typer.Argument(help="Folder of stored answers, for example RUN/labels/seed-0/pool, or a file of answers."),
    ],
    rule: Annotated[
        str,
        typer.Option(
            help="confident, per_class, adaptive, random, everything or nothing.", autocompletion=selector_names
        ),
    ],
    file: Annotated[Path, typer.Option("--out", help="Output file of the selected rows: .parquet.")],
    budget: Annotated[
        float | None, typer.Option(help="Number of rows to keep; below 1, the share of the pool.")
    ] = None,
    quota: Annotated[
        float | None,
        typer.Option(help="With per_class: number of rows per class; below 1, the share of the class's rows."),
    ] = None,
    teacher: Annotated[
        str, typer.Option(help="Reject stored answers unless the key of their teacher contains this text.")
    ] = "",
    change: Changes = [],  # noqa: B006
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Select examples from a pool by the teacher's answers alone; the output has id, row, class and score.

    The classes before and after the selection are printed.

    Example:
        overproof select pool.csv --rule confident --budget 500 --out kept.parquet
    """
    from overproof.runs.changes import changed
    from overproof.runs.selection import selector_of, write_selection
    from overproof.scale import engine_on

    named = {"budget": budget, "quota": quota}
    options = {name: int(value) if value.is_integer() else value for name, value in named.items() if value is not None}
    selector = selector_of(rule, changed(options, change))
    with engine_on(on) as engine:
        chosen = write_selection(source, selector, file, teacher=teacher, engine=engine)
    if as_json:
        print_json({**chosen.described(), "file": str(file)})
    else:
        results().print(chosen.table())
    if chosen.classes.vanished:
        remarks().print(f"Warning: {chosen.classes.warning()}", soft_wrap=True)
    from overproof.data.wording import counted

    remarks().print(f"{counted(len(chosen.chosen), 'row')} in {file}.", soft_wrap=True)
