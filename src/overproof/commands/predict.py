"""`overproof predict`: classes and probabilities for new examples."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Calibrate,
    CalibrateGroup,
    CalibrateLabel,
    Confidence,
    MaxUnpackedGb,
    On,
    Risk,
    check_risk,
    print_json,
    quick_imports,
    remarks,
)
from overproof.errors import InputError


def predict(
    student: Annotated[
        Path, typer.Argument(help="Folder of an export, of a run, or of a student such as RUN/students/seed-0/slam.")
    ],
    file: Annotated[
        str, typer.Argument(help="Examples: a file, a folder or a glob pattern, in any format that a run reads.")
    ],
    written: Annotated[Path, typer.Option("--out", help="Output file: .parquet or .csv.")],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN",
            help="Column or array of the inputs; by default that of the training data. Repeated for a text that is "
            "joined of several columns.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--id",
            help="Column of your ids, copied to the output; by default that of the training data, if it is there.",
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="Missing inputs: refuse, drop or allow; by default allowed in the columns of a table that had some."
        ),
    ] = None,
    risk: Risk = None,
    confidence: Confidence = 0.95,
    calibrate: Calibrate = None,
    label: CalibrateLabel = None,
    group: CalibrateGroup = None,
    max_unpacked_gb: MaxUnpackedGb = None,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="In CSV, write an apostrophe before cells that spreadsheets would run as formulas.",
        ),
    ] = False,
    allow_import: AllowImport = [],  # noqa: B006
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Predict with a trained student; the output has id, class and one probability per class.

    Example:
        overproof predict exported new.csv --out predictions.parquet
    """
    from dataclasses import asdict, replace

    with quick_imports():
        from overproof.data import Source
        from overproof.deployment.predict import predict as write_predictions
        from overproof.models import ImageEncoder, TableEncoder, load_student
        from overproof.models.saved.data_columns import columns_of
        from overproof.progress import OnTerminal
        from overproof.scale import engine_on

    check_risk(risk, calibrate, label, group)
    student = chosen(student, calibrate is not None)
    loaded = load_student(student, allow_import=allow_import)
    names, key = _columns(student, file, loaded.kind, tuple(column or ()), key)
    asked = missing is not None
    if missing is None:
        had_gaps = isinstance(loaded.encoder, TableEncoder) and loaded.encoder.had_gaps
        missing = "allow" if columns_of(student).gaps or had_gaps else "refuse"
    options: Any = {"missing": missing}
    if max_unpacked_gb is not None:
        options["max_unpacked_gb"] = max_unpacked_gb
    if isinstance(loaded.encoder, ImageEncoder):
        options["image"] = loaded.encoder.reading
    source = Source(path=file, kind=loaded.kind, input=names or None, id=key, **options)
    abstention, left_out = None, None
    if risk is not None:
        from overproof.deployment.calibration_examples import choose_abstention

        withheld = None if calibrate is None else replace(source, path=calibrate, id=None, label=label, group=group)
        with _named_by_flag():
            abstention, left_out = choose_abstention(
                loaded, student, withheld, risk=risk, confidence=confidence, new_gaps=asked
            )
    with _named_by_flag(), OnTerminal(remarks()) as progress, engine_on(on, progress) as engine:
        done = write_predictions(
            loaded,
            source,
            written,
            abstention=abstention,
            spreadsheet_safe=spreadsheet_safe,
            new_gaps=asked,
            progress=progress,
            engine=engine,
            saved=student,
            allow_import=allow_import,
        )
    done = replace(done, remarks=tuple(map(_with_flag, done.remarks)))
    beside = None
    if abstention is not None and left_out is not None:
        from overproof.deployment.calibration_examples import write_guarantee

        beside = write_guarantee(written, abstention, left_out, done)
    if as_json:
        share = 1 - done.num_answered / done.num_rows
        facts = {**asdict(done), "file": str(written), "rows_per_second": done.num_rows / done.seconds}
        print_json({**facts, "abstained_share": share, "abstention": beside})
    rate = f"{done.num_rows / done.seconds:,.0f} rows per second"
    remarks().print(f"{done.num_rows} predictions in {written}, {rate}.", soft_wrap=True)
    for sentence in done.remarks:
        remarks().print(sentence, soft_wrap=True)
    if abstention is not None:
        remarks().print(abstention.sentence(), soft_wrap=True)
        for sentence in left_out.sentences() if left_out is not None else ():
            remarks().print(sentence, soft_wrap=True)
        remarks().print(f"{done.num_answered} of {done.num_rows} rows have a class.", soft_wrap=True)


@contextmanager
def _named_by_flag() -> Iterator[None]:
    """Refusals of missing inputs name the flag of this command; they are written for the options of a file."""
    try:
        yield
    except InputError as error:
        if (sentence := _with_flag(str(error))) == str(error):
            raise
        raise InputError(sentence) from error.__cause__


def _with_flag(sentence: str) -> str:
    both = sentence.replace("set `missing` to 'drop' or 'allow'", "write --missing drop or --missing allow")
    return both.replace("set `missing` to 'drop'", "write --missing drop").replace("`missing: drop`", "--missing drop")


def _columns(
    student: Path, file: str, kind: str, names: tuple[str, ...], key: str | None
) -> tuple[tuple[str, ...], str | None]:
    """The columns of inputs and ids: those that were typed, else those of the training data that are there."""
    from overproof.data import Source
    from overproof.data.find_files import find_files
    from overproof.data.open_source import open_source
    from overproof.data.wording import listed, nearest
    from overproof.models.saved.data_columns import columns_of

    known = columns_of(student)
    place = find_files((file,), "input")
    if place.family == "columns" and (not names or key is None):
        there = open_source(Source(path=file), place, peek=True).rows[0].columns
        if not names and known.input is not None and kind != "table":
            names = (known.input,) if isinstance(known.input, str) else known.input
            if lacking := next((name for name in names if name not in there), None):
                raise InputError(
                    f"{place.name} has no column {lacking!r}{nearest(lacking, there)}, which the student was "
                    f"trained on; it has {listed(there)}: name the one to read with --input."
                )
        if key is None and known.id in there:
            key = known.id
    if kind == "text" and not names and place.family == "columns":
        raise InputError("predict: texts need --input, the column that holds them.")
    return names, key or None


def chosen(folder: Path, calibrated: bool) -> Path:
    """The folder of a student; of a run the one that `export` chooses, with a message.

    Args:
        folder: Of a student, an export or a run.
        calibrated: Whether a threshold is chosen on labelled rows that the user names.

    Raises:
        InputError: It is a run whose test may hold these rows.
    """
    from overproof.runs.folder.resume import holds_run

    if not holds_run(folder):
        return folder
    from overproof.deployment.provenance import chosen_student, student_folder
    from overproof.runs.experiment import load

    found = chosen_student(folder)
    if calibrated and load(folder / "experiment.yaml").data.has_test:
        raise InputError(
            f"{folder} is a run, whose student is chosen on the test, and --calibrate may hold rows of it: export it "
            f"first (`overproof export {folder} --out FOLDER`), which remembers them, or name the student, as "
            f"{student_folder(folder, found.row)}."
        )
    remarks().print(f"Chosen: {found.why}.", soft_wrap=True)
    return student_folder(folder, found.row)
