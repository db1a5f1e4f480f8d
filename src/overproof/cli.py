"""The command line: it parses words into an `Experiment` and calls the one path; nothing else.

Exit codes: 0 done, 1 stopped or failed, 2 the user's input does not fit (one sentence says how).
"""

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from overproof.errors import InputError
from overproof.terminal import (
    EXIT_CODES,
    App,
    changes,
    method_names,
    print_json,
    remarks,
    results,
    run_folders,
    selector_names,
)

app = App(
    name="overproof",
    help="Turn an imperfect teacher and a pile of unlabelled data into a small student you can deploy and trust.",
    epilog=f"{EXIT_CODES} Results go to standard output, remarks to standard error; --json prints a result for "
    "machines, --quiet leaves out bars and remarks, NO_COLOR leaves out colours.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Changes = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="OPTION=VALUE", help="Change an option, such as train.epochs=5.", autocompletion=changes
    ),
]
RunFolder = Annotated[Path, typer.Option("--out", help="The run's folder; an unfinished run there is gone on with.")]
Folder = Annotated[Path, typer.Argument(help="The folder of a run.", show_default=False, autocompletion=run_folders)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main(words: list[str] | None = None) -> None:
    """Run a command; `words` are the command line's without the program's name."""
    from overproof.processes import join_group, leave_group

    try:
        join_group()
        app(words, standalone_mode=False)
    except InputError as error:
        _stop(f"overproof: {error}", 2)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _stop("overproof: stopped; the same command goes on from here.", 1)
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")):
            _stop(f"overproof: {getattr(error, 'message', None) or error}", 2)
        raise
    finally:
        leave_group()


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML.", show_default=False)],
    folder: RunFolder,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Ask the teacher, train the students, judge them, write everything down."""
    from overproof.experiment import load

    _run(load(file, change), folder, as_json)


@app.command()
def demo(
    folder: RunFolder = Path("runs/demo"),
    quick: Annotated[bool, typer.Option(help="A tenth of the work; its numbers mean little.")] = False,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Clothing reviews: few labels, a sentence encoder as teacher, a tiny n-gram student; real data, all local."""
    from overproof.experiment import load

    recipe = resources.files("overproof") / "recipes" / "demo.yaml"
    shrunk = ["data.rows.pool=500", "data.rows.test=300", "train.epochs=3", "seeds=[0, 1]"] if quick else []
    with resources.as_file(recipe) as path:
        _run(load(path, [*shrunk, *change]), folder, as_json)


@app.command()
def label(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML.", show_default=False)],
    folder: RunFolder,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """The first step of a run alone: ask the teacher about every example, once."""
    from overproof.experiment import load
    from overproof.progress import OnTerminal
    from overproof.steps import Work

    console = remarks()
    with OnTerminal(console) as progress:
        Work(experiment=load(file, change), folder=folder, progress=progress).label()
    if as_json:
        print_json({"labels": str(folder / "labels")})
    console.print(f"The teacher's answers lie in {escape(str(folder / 'labels'))}.", soft_wrap=True)


@app.command()
def assess(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the folder of a run.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("--out", help="The run's folder, where an experiment is given.")
    ] = None,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Is this teacher good enough, and what to run? From labels and the teacher's answers, before any training."""
    from dataclasses import asdict

    from overproof.assess_page import page
    from overproof.experiment import load
    from overproof.progress import OnTerminal
    from overproof.steps import Work, open_run

    if not file.is_dir() and folder is None:
        raise InputError("assess: an experiment needs --out, the folder where the teacher's answers are kept.")
    with OnTerminal(remarks()) as progress:
        if folder is None:
            work = open_run(file, progress=progress)
        else:
            work = Work(experiment=load(file, change), folder=folder, progress=progress)
        found = work.assess()
    if as_json:
        print_json(asdict(found))
        return
    results().print(page(found))


@app.command()
def distill(folder: Folder, as_json: AsJson = False) -> None:
    """The second step alone: train every student of a run that is not trained yet."""
    from overproof.progress import OnTerminal
    from overproof.steps import open_run

    console = remarks()
    with OnTerminal(console) as progress:
        open_run(folder, progress=progress).distill()
    if as_json:
        print_json({"students": str(folder / "students")})
    console.print(f"The students lie in {escape(str(folder / 'students'))}.", soft_wrap=True)


@app.command()
def evaluate(folder: Folder, as_json: AsJson = False) -> None:
    """The last step alone: open the test, judge the students, write result.json."""
    from overproof.steps import open_run

    _show(open_run(folder).evaluate(), as_json)


@app.command()
def report(
    folder: Folder,
    file: Annotated[
        Path | None, typer.Option("--out", help="Where to write the page; by default RUN/report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a finished run as one page that holds all it shows: verdict, table, curves, mistakes, examples, costs."""
    from overproof.steps import open_run

    written = open_run(folder).report(file)
    if as_json:
        print_json({"report": str(written)})
    remarks().print(f"The report lies in {escape(str(written))}.", soft_wrap=True)


@app.command()
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
    from overproof.experiment import changed
    from overproof.selection import selector_of, write_selection

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


@app.command()
def predict(
    student: Annotated[Path, typer.Argument(help="A student's folder, such as RUN/students/seed-0/slam.")],
    file: Annotated[Path, typer.Argument(help="Examples: CSV, Parquet, .npz or IDX.")],
    answers: Annotated[Path, typer.Option("--out", help="Where to write the answers: .parquet or .csv.")],
    column: Annotated[str | None, typer.Option("--input", help="The column or array of the inputs.")] = None,
    key: Annotated[
        str | None, typer.Option("--id", help="The column of your own ids, repeated in the answers.")
    ] = None,
    missing: Annotated[str, typer.Option(help="Missing inputs: refuse, drop or allow.")] = "refuse",
    as_json: AsJson = False,
) -> None:
    """Answer for a file of examples with a trained student: id, class and one probability a class."""
    from overproof.data import Source, read
    from overproof.models import load_student
    from overproof.predict import write_answers

    loaded = load_student(student)
    source: Any = {"path": str(file), "input": column, "id": key, "missing": missing}
    if loaded.kind == "text" and column is None:
        raise InputError("predict: texts need --input, the column that holds them.")
    examples = read(Source(**source), role="input")
    write_answers(answers, examples, loaded)
    if as_json:
        print_json({"answers": str(answers), "num_examples": len(examples)})
    remarks().print(f"{len(examples)} answers in {escape(str(answers))}.", soft_wrap=True)


@app.command()
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
        typer.echo(json.dumps({**asdict(written), "folder": str(folder)}, indent=2, ensure_ascii=False))
        return
    _console().print(f"{escape(', '.join(written.files))} in {escape(str(folder))}.", soft_wrap=True)
    if written.cost is not None:
        ends = f"[{100 * written.cost.low:+.1f}, {100 * written.cost.high:+.1f}]"
        _console().print(
            f"Eight bits cost {100 * written.cost.difference:+.1f} points {ends} on {written.cost.num_examples} test "
            f"examples.",
            markup=False,
        )


@app.command(name="tune-xi")
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
    from overproof.tuning import report, tune

    found = tune(file, label=label, target=target, features=features, truth=truth, folds=folds, seed=seed)
    if as_json:
        print_json(found.as_json())
    else:
        results().print(report(found))


@app.command()
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
    import overproof.methods
    from overproof.registry import entries, lookup

    if name is not None:
        entry, parts = lookup("method", name), overproof.methods.method(name).described()
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


@app.command()
def cite(folder: Folder, as_json: AsJson = False) -> None:
    """Print BibTeX for exactly what a run used."""
    from dataclasses import asdict

    from overproof.steps import open_run

    papers = open_run(folder).experiment.papers()
    if as_json:
        print_json([asdict(paper) for paper in papers])
        return
    for paper in papers:
        typer.echo(paper.bibtex())


def _table(*columns: str) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column, no_wrap=number == 0)
    return drawn


def _run(experiment: Any, folder: Path, as_json: bool) -> None:
    from overproof.progress import OnTerminal
    from overproof.steps import run as run_experiment

    with OnTerminal(remarks()) as progress:
        result = run_experiment(experiment, folder, report=True, progress=progress)
    _show(result, as_json)


def _show(result: Any, as_json: bool) -> None:
    from overproof.processes import leads
    from overproof.verdict import table

    if not leads():
        return
    if as_json:
        content = json.loads((result.folder / "result.json").read_text())
        print_json(content)
        return
    console = results()
    console.print(table(result.summary))
    for finding in result.findings:
        console.print(f"\n{escape(finding)}")
    page = "report.html, " if (result.folder / "report.html").exists() else ""
    console.print(
        f"\nEverything lies in {escape(str(result.folder))}: {page}result.json, students, labels.", soft_wrap=True
    )


def _stop(words: str, code: int) -> None:
    print(words, file=sys.stderr)
    sys.exit(code)
