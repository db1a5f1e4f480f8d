"""`overproof compare`: many methods, seeds, label budgets and students, and one table of all."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Changes,
    DryRun,
    ExperimentFile,
    On,
    print_json,
    remarks,
    results,
)
from overproof.errors import InputError

if TYPE_CHECKING:
    from overproof.runs.comparison import Comparison


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
    on: On = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Compare methods over seeds, numbers of labels and students, in one table.

    There is one run for each number of labels; all share the teacher's answers.

    Example:
        overproof compare experiment.yaml --out runs/budgets --labels 100,200,500
    """
    from overproof.commands.output.compare_table import page
    from overproof.models.importing import look_in
    from overproof.processes import leads
    from overproof.progress import OnTerminal
    from overproof.report import write_comparison_report, write_report
    from overproof.runs.changes import typed_paths
    from overproof.runs.comparison import compare as compare_all
    from overproof.runs.comparison import load_comparison
    from overproof.scale import engine_on

    comparison = load_comparison(
        file,
        change,
        labels=_numbers(labels, "--labels"),
        methods=_names(methods),
        seeds=_numbers(seeds, "--seeds"),
        students=_names(students),
    )
    look_in(file.parent)
    named = {*allow_import, *typed_paths(change), *(each for each in _names(students) if ":" in each)}
    if dry_run:
        _show_plans(comparison, folder, as_json, named)
        return
    with OnTerminal(remarks()) as progress, engine_on(on, progress) as engine:
        compare_all(comparison, folder, finished=write_report, progress=progress, allow_import=named, engine=engine)
    if not leads():
        return
    write_comparison_report(folder)
    content = json.loads((folder / "compare.json").read_text())
    if as_json:
        print_json(content)
        return
    results().print(page(content, folder))
    remarks().print(f"\nOutput in {folder}: compare.json and one run per number of labels.", soft_wrap=True)


def _show_plans(comparison: "Comparison", folder: Path, as_json: bool, named: set[str]) -> None:
    """Print what each run of a comparison would take, and all of them together."""
    from dataclasses import asdict

    from overproof.runs.plan import check_room, dry_run, total

    plans = {each.name: dry_run(each.experiment, allow_import=named) for each in comparison.runs()}
    whole = total(list(plans.values()))
    if as_json:
        print_json({"runs": {name: asdict(each) for name, each in plans.items()}, "total": asdict(whole)})
    else:
        console = results()
        for name, each in plans.items():
            console.print(f"{name}: {dict(each.lines())['examples']}. {each.sentence()}", soft_wrap=True)
        from overproof.data.wording import counted

        console.print(f"All {counted(len(plans), 'run')}: {whole.sentence()}", soft_wrap=True)
    check_room(folder, whole.disk_bytes, "This comparison")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str, option: str) -> list[int]:
    numbers = _names(text)
    for number in numbers:
        if not number.isdecimal():
            raise InputError(f"{option} {text!r}: {number!r} is not a whole number; separate numbers by commas.")
    return [int(number) for number in numbers]
