"""The result and the plan of a run on a terminal."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from overproof.commands.output.terminal import not_repeated, print_json, results

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from overproof.runs.experiment import Experiment
    from overproof.runs.folder.result_file import RunResult


def show_result(result: "RunResult", as_json: bool, noted: "Collection[str]" = ()) -> None:
    """Print the table of a finished run and its findings.

    Args:
        result: The run's.
        as_json: Print result.json instead, with the decision.
        noted: Findings that stand among the messages of this command already; they are not printed again where messages
            and results go to the same place.
    """
    from overproof.evaluation.verdict import table
    from overproof.processes import leads
    from overproof.report.decision import decision_of

    if not leads():
        return
    decision = decision_of(result)
    if as_json:
        content = json.loads((result.folder / "result.json").read_text())
        print_json({**content, "decision": None if decision is None else asdict(decision)})
        return
    console = results()
    if decision is not None:
        console.print(decision.deploy, style="bold", soft_wrap=True)
        for sentence in decision.beware:
            console.print(sentence, soft_wrap=True)
        for what, command in decision.steps:
            console.print(f"To {what}:\n    {command}", soft_wrap=True)
        console.print()
    if result.summary:
        console.print(table(result.summary))
    else:
        rows = dict.fromkeys(facts["method"] for facts in result.students)
        console.print(f"Trained: {', '.join(rows)}.\n\n{result.judged_on.sentence()}")
    if result.summary and all(row.method != "teacher" for row in result.summary):
        console.print("The teacher has no row: its files answer too few of the examples that judge.")
    for finding in not_repeated(result.findings, noted):
        console.print(f"\n{finding}")
    made = {each.name for each in result.folder.iterdir()}
    there = [each for each in ("report.html", "result.json", "students", "labels") if each in made]
    console.print(f"\nOutput in {result.folder}: {', '.join(there)}.", soft_wrap=True)


def show_plan(experiment: "Experiment", folder: "Path", as_json: bool, allow_import: "Iterable[str]") -> None:
    """Print what a run would take.

    Args:
        experiment: All of the run.
        folder: Where it would be written.
        as_json: Print the plan as JSON.
        allow_import: Import paths in the experiment whose code may be run.

    Raises:
        InputError: The folder cannot take this run, or the disk has too little room for it.
    """
    from overproof.runs.folder.resume import check_belongs, grown
    from overproof.runs.plan import check_room, dry_run
    from overproof.storage.atomic import check_output

    check_output(folder, folder=True)
    check_belongs(folder, grown(folder, experiment)[0])
    found = dry_run(experiment, allow_import=allow_import)
    if as_json:
        print_json(asdict(found))
    else:
        drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        for name, text in found.lines():
            drawn.add_row(name, text)
        results().print(drawn)
    check_room(folder, found.disk_bytes, "This run")
