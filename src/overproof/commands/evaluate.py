"""`overproof evaluate`: the last step of a run, or two students by labels on their disagreements."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.run_table import show_result
from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Between,
    Folder,
    OfSeed,
    print_json,
    remarks,
    results,
)


def evaluate(
    folder: Folder,
    labels: Annotated[
        Path | None,
        typer.Option(help="A file of `overproof disagreements` with labels: compare the two students of --between."),
    ] = None,
    between: Between = "",
    seed: OfSeed = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run the last step only: evaluate the students on the test set and write result.json.

    With --labels: compare two students by people's labels on their disagreements; nothing is written.

    Example:
        overproof evaluate runs/first
    """
    from overproof.errors import InputError
    from overproof.runs.pipeline import open_run

    if labels is None:
        if between or seed is not None:
            raise InputError("--between and --seed go with --labels, a file that `overproof disagreements` wrote.")
        show_result(open_run(folder, allow_import=allow_import).evaluate(), as_json)
        return
    from dataclasses import asdict

    from overproof.runs.disagreements import disagreements, pair, read_labels, sentence

    names, known = pair(between), read_labels(labels)
    found, notes = disagreements(open_run(folder, allow_import=allow_import), names, seed).judged(known)
    if as_json:
        print_json({"first": names[0], "second": names[1], **asdict(found), "verdict": found.verdict})
    else:
        results().print(sentence(names, found), soft_wrap=True)
    for note in notes:
        remarks().print(f"Warning: {note}", soft_wrap=True)
