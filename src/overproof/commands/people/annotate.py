"""`overproof annotate`: label the pool of a run by teacher and student, with a guarantee; the rest is for people."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AllowImport, AsJson, Folder, OfSeed, On, print_json, remarks, results


class Of(StrEnum):
    """Which labels a guarantee is about."""

    pool = "pool"
    accepted = "accepted"


class By(StrEnum):
    """Who labels beside people."""

    both = "both"
    student = "student"
    teacher = "teacher"


def annotate(
    folder: Folder,
    labels: Annotated[
        Path, typer.Option(help="The random sample of `overproof next --purpose random`, with people's labels.")
    ],
    file: Annotated[Path, typer.Option("--out", help="Output file: .parquet or .csv.")],
    error: Annotated[float, typer.Option(help="Share of wrong labels that is allowed.")] = 0.05,
    confidence: Annotated[
        float | None, typer.Option(help="Probability of the guarantee, with --of pool; .95 by default.")
    ] = None,
    of: Annotated[
        Of,
        typer.Option(
            help="Which labels may be wrong: all of the pool's, once people have labelled the rest; or those accepted "
            "from teacher and student, in expectation."
        ),
    ] = Of.pool,
    by: Annotated[By, typer.Option(help="Who labels beside people.")] = By.both,
    row: Annotated[
        str, typer.Option("--method", help="The student's row; by default the one that `export` chooses.")
    ] = "",
    rest: Annotated[
        Path | None, typer.Option(help="The file of the rest that an earlier call wrote, with people's labels.")
    ] = None,
    seed: OfSeed = None,
    allow_import: AllowImport = [],  # noqa: B006
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Label the pool by teacher and student where few of the labels are wrong for sure; the rest is for people.

    Example:
        overproof annotate runs/first --labels sample.csv --out annotated.csv
    """
    from dataclasses import asdict

    from overproof.deployment.annotate import annotate as label_pool
    from overproof.deployment.annotate import check_annotation, write_annotation
    from overproof.runs.people.to_label import LABEL, as_classes, read_labels
    from overproof.runs.pipeline import open_run
    from overproof.scale import engine_on

    check_annotation(file, reads=[labels, *([] if rest is None else [rest])])
    known, more = read_labels(labels), None if rest is None else read_labels(rest)
    with engine_on(on) as engine:
        run = open_run(folder, allow_import=allow_import, engine=engine)
        found = label_pool(
            run,
            labels=known,
            error=error,
            confidence=confidence,
            rest=more,
            of=of.value,
            by=by.value,
            row=row,
            seed=seed,
        )
    for given in (known, more or {}):
        if said := as_classes(given, found.pool.class_names, f"column `{LABEL}`", run.experiment.aliases)[1]:
            remarks().print(said, soft_wrap=True)
    beside = write_annotation(found, file)
    if as_json:
        facts = {**asdict(found.guarantee), "num_left": found.guarantee.num_left}
        print_json({**facts, "file": str(file), "to_label": None if beside is None else str(beside)})
    else:
        results().print(found.guarantee.sentence(), soft_wrap=True)
    if beside is not None:
        remarks().print(
            f"Labels in {file}. The rest is in {beside}: write the classes into its column `label`, and give it as "
            f"--rest with another --out.",
            soft_wrap=True,
        )
    else:
        remarks().print(f"Labels in {file}; none is missing.", soft_wrap=True)
