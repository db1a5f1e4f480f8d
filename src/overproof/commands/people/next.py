"""`overproof next`: the rows of the pool whose labels by people, or answers by the teacher, are worth most."""

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


class Whom(StrEnum):
    """Who is asked."""

    people = "people"
    teacher = "teacher"


class Rule(StrEnum):
    """How rows for the teacher are drawn."""

    uncertainty = "uncertainty"
    robust = "robust"
    random = "random"
    least_sure = "least_sure"


def next_rows(
    folder: Folder,
    file: Annotated[
        Path,
        typer.Option("--out", help="Output file, .csv: for people with an empty column `label`."),
    ],
    whom: Annotated[
        Whom,
        typer.Option(
            "--for", help="Who is asked: people about rows of the pool, or the teacher about rows it has not."
        ),
    ] = Whom.people,
    purpose: Annotated[
        Purpose | None,
        typer.Option(
            help="For people. random (the default): for `annotate`, or accuracies of teacher and students on the pool. "
            "teacher_accuracy: most about that alone. verdict: which of two students is better (--between)."
        ),
    ] = None,
    rule: Annotated[
        Rule | None,
        typer.Option(
            help="For the teacher: uncertainty (the default), half of the rows at random and half by one minus the "
            "student's margin; robust, the latter by RAD, which allows for wrong answers; random; least_sure, the rows "
            "with the smallest margins, which are no sample of the pool."
        ),
    ] = None,
    row: Annotated[
        str, typer.Option("--method", help="For the teacher: the student's row; by default that which `export` takes.")
    ] = "",
    budget: Annotated[int, typer.Option(min=1, help="Number of rows, at most.")] = 60,
    between: Between = "",
    seed: OfSeed = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """List the rows of the pool that are worth most: labelled by people, or answered by the teacher.

    For the teacher each row keeps the probability with which it was drawn, and students count it accordingly once it
    is answered.

    Example:
        overproof next runs/first --purpose random --budget 100 --out sample.csv
    """
    if whom == Whom.teacher:
        if purpose is not None or between:
            raise InputError("--purpose and --between go with --for people.")
        _for_teacher(folder, file, rule or Rule.uncertainty, row, budget, seed, allow_import, as_json)
        return
    if rule is not None or row:
        raise InputError("--rule and --method go with --for teacher.")
    _for_people(folder, file, purpose or Purpose.random, budget, between, seed, allow_import, as_json)


def _for_people(
    folder: Path,
    file: Path,
    purpose: Purpose,
    budget: int,
    between: str,
    seed: int | None,
    allow_import: list[str],
    as_json: bool,
) -> None:
    from overproof.data.wording import counted
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
        f"{counted(num, 'row')} in {file}. Write the classes into its column `label`, from the first row on, "
        f"then: {then}",
        soft_wrap=True,
    )


def _for_teacher(
    folder: Path,
    file: Path,
    rule: Rule,
    row: str,
    budget: int,
    seed: int | None,
    allow_import: list[str],
    as_json: bool,
) -> None:
    from overproof.data.wording import counted
    from overproof.deployment.provenance import chosen_student
    from overproof.runs.asking.next_rows import draw_next, write_next
    from overproof.runs.people.to_label import check_to_label
    from overproof.runs.pipeline import open_run

    check_to_label(file)
    run = open_run(folder, allow_import=allow_import)
    found = draw_next(run, budget=budget, rule=rule.value, row=row or chosen_student(folder).row, seed=seed)
    write_next(found, file)
    stage = found.stage
    if as_json:
        counts = {"num_listed": stage.num, "num_without_answer": stage.num_left}
        print_json({"for": "teacher", "rule": rule.value, **counts, "file": str(file), "remarks": found.remarks})
    for remark in found.remarks:
        remarks().print(remark, soft_wrap=True)
    classes = run.experiment.teacher.classes
    named = ",".join(classes) if classes and not any("," in each for each in classes) else "A,B"
    keep = where = ""
    if rule != Rule.least_sure:
        keep = " with the columns `inclusion_probability` and `drawn` as they are"
        where = f" Where a tool drops these columns, add {file} to `draws` under `teacher`."
    remarks().print(
        f"{stage.num} of {counted(stage.num_left, 'row')} without an answer {'is' if stage.num == 1 else 'are'} in "
        f"{file}. Have them answered (overproof label "
        f"{file} --endpoint URL --model M --prompt FILE --classes {named} --out NEW_ANSWERS, or by your own tool)"
        f"{keep}, add the answers to `answers` under `teacher`, and run again in another folder.{where}",
        soft_wrap=True,
    )
