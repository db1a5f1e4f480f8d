"""`overproof next`: the rows of the pool whose labels are worth most."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AllowImport, AsJson, Between, Folder, OfSeed, print_json, remarks
from overproof.errors import InputError


class Purpose(StrEnum):
    """What labels of people are to tell."""

    random = "random"
    teacher_accuracy = "teacher_accuracy"
    verdict = "verdict"


def next_rows(
    folder: Folder,
    file: Annotated[Path, typer.Option("--out", help="Output file with an empty column `label`: .csv.")],
    purpose: Annotated[
        Purpose,
        typer.Option(
            help="random: for `annotate`, or accuracies of teacher and students on the pool. teacher_accuracy: most "
            "about that alone. verdict: which of two students is better (--between)."
        ),
    ] = Purpose.random,
    budget: Annotated[int, typer.Option(min=1, help="Number of rows, at most.")] = 60,
    between: Between = "",
    seed: OfSeed = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """List the rows of the pool whose labels by people are worth most for a purpose.

    Example:
        overproof next runs/first --purpose random --budget 100 --out sample.csv
    """
    from overproof.runs.people.disagreements import disagreements, pair, write_disagreements
    from overproof.runs.people.sampling import write_drawn
    from overproof.runs.pipeline import open_run

    if bool(between) != (purpose == Purpose.verdict):
        raise InputError("--between goes with --purpose verdict, as --purpose verdict --between auto,hard.")
    run = open_run(folder, allow_import=allow_import)
    if purpose == Purpose.verdict:
        num = write_disagreements(disagreements(run, pair(between), seed), budget, file)
    else:
        num = write_drawn(run, "random" if purpose == Purpose.random else "teacher_accuracy", budget, file, seed)
    if as_json:
        print_json({"purpose": purpose.value, "num_listed": num, "file": str(file)})
    more = f" --between {between}" if between else ""
    more += "" if seed is None else f" --seed {seed}"
    then = f"overproof evaluate {folder}{more} --labels {file}"
    if purpose == Purpose.random:
        then += f", or overproof annotate {folder}{more} --labels {file} --out annotated.csv, or train with them: "
        then += f"overproof label {folder}/experiment.yaml --people {file} --out NEW_RUN"
    remarks().print(
        f"{num} rows in {file}. Write the classes into its column `label`, from the first row on, then: {then}",
        soft_wrap=True,
    )
