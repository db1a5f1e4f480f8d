"""`overproof evaluate`: the last step of a run, or what labels of people say about teacher and students."""

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
        typer.Option(
            help="A file of `overproof next` with labels of people: accuracies on the pool, or with --between which of "
            "two students is better."
        ),
    ] = None,
    between: Between = "",
    seed: OfSeed = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run the last step only: evaluate the students on the test set and write result.json.

    With --labels: what people's labels of pool examples say about teacher and students; nothing is written.

    Example:
        overproof evaluate runs/first
    """
    from overproof.errors import InputError
    from overproof.runs.pipeline import open_run

    if labels is None:
        if between or seed is not None:
            raise InputError("--between and --seed go with --labels, a file that `overproof next` wrote.")
        show_result(open_run(folder, allow_import=allow_import).evaluate(), as_json)
        return
    from dataclasses import asdict

    from overproof.runs.people.disagreements import disagreements, pair, sentence
    from overproof.runs.people.sampling import judged_by, sentences_of
    from overproof.runs.people.to_label import as_classes, check_pair, read_inclusion, read_labels

    known, run = read_labels(labels), open_run(folder, allow_import=allow_import)
    check_pair(labels, pair(between) if between else None)
    if not between:
        models = judged_by(run, known, read_inclusion(labels), seed)
        class_names = run.seed_roles(run.experiment.seeds[0]).pool.class_names
        if said := as_classes(known, class_names, str(labels), run.experiment.aliases)[1]:
            remarks().print(f"Warning: {said}", soft_wrap=True)
        if as_json:
            print_json({name: asdict(each) for name, each in models.items()})
        for sentence_of_model in () if as_json else sentences_of(models):
            results().print(sentence_of_model, soft_wrap=True)
        return
    names = pair(between)
    found, notes = disagreements(run, names, seed).judged(known)
    if as_json:
        print_json({"first": names[0], "second": names[1], **asdict(found), "verdict": found.verdict})
    else:
        results().print(sentence(names, found), soft_wrap=True)
    for note in notes:
        remarks().print(f"Warning: {note}", soft_wrap=True)
