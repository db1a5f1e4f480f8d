"""`overproof compare`: many methods, seeds, label budgets and students, and one table of all."""

import json
from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Changes,
    ExperimentFile,
    print_json,
    remarks,
    results,
)
from overproof.errors import InputError


def compare(
    file: ExperimentFile,
    folder: Annotated[
        Path, typer.Option("--out", help="Output folder. If it already holds this comparison, the run resumes.")
    ],
    labels: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Numbers of labels to compare, for example 100,200,500.")
    ] = "",
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Methods instead of those in the file, for example wd,slam.")
    ] = "",
    seeds: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Seeds instead of those in the file, for example 0,1,2.")
    ] = "",
    students: Annotated[
        str, typer.Option(metavar="NAMES", help="Students instead of that in the file, for example mlp,linear.")
    ] = "",
    change: Changes = [],  # noqa: B006
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Compare methods over seeds, numbers of labels and students, in one table.

    There is one run for each number of labels; all share the teacher's answers.

    Example:
        overproof compare experiment.yaml --out runs/budgets --labels 100,200,500
    """
    from overproof.commands.output.compare_table import page
    from overproof.processes import leads
    from overproof.progress import OnTerminal
    from overproof.report import write_comparison_report, write_report
    from overproof.runs.changes import typed_paths
    from overproof.runs.comparison import compare as compare_all
    from overproof.runs.comparison import load_comparison

    comparison = load_comparison(
        file,
        change,
        labels=_numbers(labels, "--labels"),
        methods=_names(methods),
        seeds=_numbers(seeds, "--seeds"),
        students=_names(students),
    )
    named = {*allow_import, *typed_paths(change), *(each for each in _names(students) if ":" in each)}
    with OnTerminal(remarks()) as progress:
        compare_all(comparison, folder, finished=write_report, progress=progress, allow_import=named)
    if not leads():
        return
    write_comparison_report(folder)
    content = json.loads((folder / "compare.json").read_text())
    if as_json:
        print_json(content)
        return
    results().print(page(content))
    remarks().print(f"\nOutput in {folder}: compare.json and one run per number of labels.", soft_wrap=True)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str, option: str) -> list[int]:
    numbers = _names(text)
    for number in numbers:
        if not number.isdecimal():
            raise InputError(f"{option} {text!r}: {number!r} is not a whole number; separate numbers by commas.")
    return [int(number) for number in numbers]
