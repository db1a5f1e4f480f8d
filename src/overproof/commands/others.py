"""Commands that need no run: choosing from a pool, asking and exporting a student, tuning ξ, looking up methods."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from overproof.commands.terminal import AsJson, Changes, method_names, print_json, remarks, results, selector_names
from overproof.errors import InputError


def select(
    source: Annotated[
        Path, typer.Argument(help="A store of answers, such as RUN/labels/seed-0/pool, or a file of answers.")
    ],
    rule: Annotated[
        str,
        typer.Option(
            help="confident, per_class, adaptive, random, everything or nothing.", autocompletion=selector_names
        ),
    ],
    file: Annotated[Path, typer.Option("--out", help="Where to write the chosen rows: .parquet.")],
    budget: Annotated[float | None, typer.Option(help="Rows to keep; below one, the share of the pool.")] = None,
    quota: Annotated[
        float | None, typer.Option(help="For per_class: rows of each class; below one, the share of its rows.")
    ] = None,
    teacher: Annotated[str, typer.Option(help="Refuse a store whose teacher's key does not say this.")] = "",
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Choose from a pool by the teacher's answers alone: id, row, class and score; the classes before and after."""
    from overproof.runs.experiment import changed
    from overproof.runs.selection import selector_of, write_selection

    named = {"budget": budget, "quota": quota}
    options = {name: int(value) if value.is_integer() else value for name, value in named.items() if value is not None}
    chosen = write_selection(source, selector_of(rule, changed(options, change)), file, teacher=teacher)
    if as_json:
        print_json({**chosen.described(), "file": str(file)})
    else:
        results().print(chosen.table())
    if chosen.classes.vanished:
        remarks().print(f"Warning: {escape(chosen.classes.warning())}", soft_wrap=True)
    remarks().print(f"{len(chosen.rows)} rows in {escape(str(file))}.", soft_wrap=True)


def predict(
    student: Annotated[
        Path, typer.Argument(help="A student's folder, such as RUN/students/seed-0/slam, or an export.")
    ],
    file: Annotated[str, typer.Argument(help="Examples: a file, a folder or a glob, of any form that a run reads.")],
    answers: Annotated[Path, typer.Option("--out", help="Where to write the answers: .parquet or .csv.")],
    column: Annotated[str | None, typer.Option("--input", help="The column or array of the inputs.")] = None,
    key: Annotated[
        str | None, typer.Option("--id", help="The column of your own ids, repeated in the answers.")
    ] = None,
    missing: Annotated[str, typer.Option(help="Missing inputs: refuse, drop or allow.")] = "refuse",
    risk: Annotated[
        float | None, typer.Option(help="Abstain, so that at most this share of the answers given is wrong.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="How surely the risk is kept.")] = 0.95,
    calibrate: Annotated[
        str | None, typer.Option(help="Labelled examples that the student never saw; else its run's validation role.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The column of the true classes in --calibrate.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer for files of examples with a trained student: id, class and one probability a class."""
    from dataclasses import asdict, replace

    from overproof.data import Source
    from overproof.deployment.calibration_examples import choose_abstention, write_guarantee
    from overproof.deployment.predict import predict as answer
    from overproof.models import ImageEncoder, load_student
    from overproof.progress import OnTerminal

    if risk is None and (calibrate is not None or label is not None):
        raise InputError("--calibrate and --label choose a threshold for --risk, which is not given.")
    loaded = load_student(student)
    if loaded.kind == "text" and column is None:
        raise InputError("predict: texts need --input, the column that holds them.")
    options: Any = {"missing": missing}
    if isinstance(loaded.encoder, ImageEncoder):
        options["image"] = loaded.encoder.reading
    source = Source(path=file, kind=loaded.kind, input=column, id=key, **options)
    abstention, left_out = None, 0
    if risk is not None:
        withheld = None if calibrate is None else replace(source, path=calibrate, id=None, label=label)
        abstention, left_out = choose_abstention(loaded, student, withheld, risk=risk, confidence=confidence)
    with OnTerminal(remarks()) as progress:
        written = answer(loaded, source, answers, abstention=abstention, progress=progress)
    beside = None if abstention is None else write_guarantee(answers, abstention, left_out, written)
    if as_json:
        share = 1 - written.num_answered / written.num_rows
        told = {**asdict(written), "file": str(answers), "rows_per_second": written.num_rows / written.seconds}
        print_json({**told, "abstained_share": share, "abstention": beside})
    rate = f"{written.num_rows / written.seconds:,.0f} a second"
    remarks().print(f"{written.num_rows} answers in {escape(str(answers))}, {rate}.", soft_wrap=True)
    if abstention is not None:
        remarks().print(escape(abstention.sentence()), soft_wrap=True)
        if left_out:
            remarks().print(f"{left_out} labelled examples were left out: it was trained on them.", soft_wrap=True)
        remarks().print(f"Here {written.num_answered} of {written.num_rows} rows have a class.", soft_wrap=True)


def export(
    source: Annotated[
        Path, typer.Argument(metavar="STUDENT_OR_RUN", help="A student's folder, or a run's with --method.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where to write it: an empty or new folder.")],
    method: Annotated[str, typer.Option(help="For a run: which row of the table.")] = "",
    seed: Annotated[int | None, typer.Option(help="For a run: which seed; its first by default.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also a graph with weights of eight bits, and its cost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """A student as ONNX, safetensors and a model card, to run where overproof is not."""
    from dataclasses import asdict

    from overproof.deployment import export as export_student

    written = export_student(source, folder, method=method, seed=seed, int8=int8)
    if as_json:
        print_json({**asdict(written), "folder": str(folder)})
    remarks().print(f"{escape(', '.join(written.files))} in {escape(str(folder))}.", soft_wrap=True)
    if written.cost is not None:
        ends = f"[{100 * written.cost.low:+.1f}, {100 * written.cost.high:+.1f}]"
        cost = f"{100 * written.cost.difference:+.1f} points {ends}"
        remarks().print(escape(f"Eight bits cost {cost} on {written.cost.num_examples} test examples."))


def tune_xi(
    file: Annotated[Path, typer.Argument(metavar="FEATURES", help="Frozen features: .npz or Parquet.")],
    label: Annotated[str | None, typer.Option(help="The column or array of classes: a softmax head.")] = None,
    target: Annotated[
        list[str], typer.Option(help="A column or array of numbers to predict: ridge. May be repeated.")
    ] = [],  # noqa: B006
    features: Annotated[
        list[str], typer.Option(help="A column or array of features; without it all that fit. May be repeated.")
    ] = [],  # noqa: B006
    truth: Annotated[
        str | None, typer.Option(help="Trusted classes to measure on; nothing is fitted on or chosen by them.")
    ] = None,
    folds: Annotated[int, typer.Option(help="How often examples are left out, at least 2.")] = 5,
    seed: Annotated[int, typer.Option(help="Draws the folds.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Is it worth to be one's own teacher? The best imitation xi for a linear model on features, and what it wins."""
    from overproof.linear.tuning import report, tune

    found = tune(file, label=label, target=target, features=features, truth=truth, folds=folds, seed=seed)
    if as_json:
        print_json(found.as_json())
    else:
        results().print(report(found))


def methods(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One method, to see its parts and options.", show_default=False, autocompletion=method_names
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the methods, what they do, and their papers; or, of one, its parts with their options."""
    import overproof.methods.published
    from overproof.registry import entries, lookup

    if name is not None:
        entry, parts = lookup("method", name), overproof.methods.published.method(name).described()
        if as_json:
            print_json(
                {"name": name, "summary": entry.summary, "parts": parts, "paper": entry.paper and entry.paper.place}
            )
            return
        results().print(f"{escape(entry.summary)}\n")
        drawn = _table("option", "value")
        for path, part in parts.items():
            drawn.add_row(path, escape(part))
        results().print(drawn)
        if entry.paper:
            typer.echo(f"\n{entry.paper.bibtex()}")
        return
    if as_json:
        print_json(
            [{"name": e.name, "summary": e.summary, "paper": e.paper and e.paper.place} for e in entries("method")]
        )
        return
    drawn = _table("method", "what it does", "paper")
    for entry in entries("method"):
        drawn.add_row(entry.name, escape(entry.summary), entry.paper.place if entry.paper else "")
    results().print(drawn)


def _table(*columns: str) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column, no_wrap=number == 0)
    return drawn
