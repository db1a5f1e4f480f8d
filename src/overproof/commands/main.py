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

from overproof.commands.others import export, methods, predict, select, tune_xi
from overproof.commands.terminal import (
    EXIT_CODES,
    App,
    AsJson,
    Changes,
    DryRun,
    Folder,
    RunFolder,
    print_json,
    remarks,
    results,
)
from overproof.errors import InputError

app = App(
    name="overproof",
    help="Turn an imperfect teacher and a pile of unlabelled data into a small student you can deploy and trust.",
    epilog=f"{EXIT_CODES} Results go to standard output, remarks to standard error; --json prints a result for "
    "machines, --quiet leaves out bars and remarks, NO_COLOR leaves out colours.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Ask the teacher, train the students, judge them, write everything down."""
    from overproof.runs.experiment import load

    experiment = load(file, change)
    if dry_run:
        _show_plan(experiment, folder, as_json)
    else:
        _run(experiment, folder, as_json)


@app.command()
def demo(
    folder: RunFolder = Path("runs/demo"),
    quick: Annotated[bool, typer.Option(help="A tenth of the work; its numbers mean little.")] = False,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Clothing reviews: few labels, a sentence encoder as teacher, a tiny n-gram student; real data, all local."""
    from overproof.runs.experiment import load

    recipe = resources.files("overproof.commands") / "demo.yaml"
    shrunk = ["data.rows.pool=500", "data.rows.test=300", "train.epochs=3", "seeds=[0, 1]"] if quick else []
    with resources.as_file(recipe) as path:
        _run(load(path, [*shrunk, *change]), folder, as_json)


@app.command()
def compare(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML.", show_default=False)],
    folder: Annotated[Path, typer.Option("--out", help="The comparison's folder; one begun there is gone on with.")],
    labels: Annotated[str, typer.Option(metavar="NUMBERS", help="Label budgets, such as 100,200,500.")] = "",
    methods: Annotated[str, typer.Option(metavar="NAMES", help="Rows in place of the file's, such as wd,slam.")] = "",
    seeds: Annotated[str, typer.Option(metavar="NUMBERS", help="Seeds in place of the file's, such as 0,1,2.")] = "",
    students: Annotated[str, typer.Option(metavar="NAMES", help="Students, such as mlp,linear.")] = "",
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Many methods, seeds, label budgets and students in one go: a run for each budget, one table of them all."""
    from overproof.commands.compare_table import page
    from overproof.processes import leads
    from overproof.progress import OnTerminal
    from overproof.report import write_comparison_report, write_report
    from overproof.runs.comparison import compare as compare_all
    from overproof.runs.comparison import load_comparison

    comparison = load_comparison(
        file,
        change,
        labels=_numbers(labels, "--labels"),
        methods=_words(methods),
        seeds=_numbers(seeds, "--seeds"),
        students=_words(students),
    )
    with OnTerminal(remarks()) as progress:
        compare_all(comparison, folder, finished=write_report, progress=progress)
    if not leads():
        return
    write_comparison_report(folder)
    content = json.loads((folder / "compare.json").read_text())
    if as_json:
        print_json(content)
        return
    results().print(page(content))
    remarks().print(f"\nEverything lies in {escape(str(folder))}: compare.json and a run a budget.", soft_wrap=True)


@app.command()
def label(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML.", show_default=False)],
    folder: RunFolder,
    change: Changes = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """The first step of a run alone: ask the teacher about every example, once."""
    from overproof.commands.json_output import Earlier, answers_told
    from overproof.progress import OnTerminal
    from overproof.runs.experiment import load
    from overproof.runs.pipeline import Run

    if dry_run:
        _show_plan(load(file, change), folder, as_json)
        return
    console = remarks()
    experiment, earlier = load(file, change), Earlier.of(folder)
    with OnTerminal(console) as progress:
        rows = Run(experiment=experiment, folder=folder, progress=progress).label()
    if as_json:
        print_json(answers_told(experiment, folder, rows, earlier))
    console.print(f"The teacher's answers lie in {escape(str(folder / 'labels'))}.", soft_wrap=True)


@app.command()
def assess(
    file: Annotated[Path, typer.Argument(help="An experiment in YAML, or the folder of a run.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("--out", help="The run's folder, where an experiment is given.")
    ] = None,
    written: Annotated[Path | None, typer.Option("--html", help="Write it as a page that stands alone, too.")] = None,
    change: Changes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Is this teacher good enough, and what to run? From labels and the teacher's answers, before any training."""
    from dataclasses import asdict

    from overproof.commands.assess_table import page
    from overproof.progress import OnTerminal
    from overproof.report import assessment_page
    from overproof.runs.experiment import load
    from overproof.runs.pipeline import Run, open_run
    from overproof.storage import atomic

    if not file.is_dir() and folder is None:
        raise InputError("assess: an experiment needs --out, the folder where the teacher's answers are kept.")
    with OnTerminal(remarks()) as progress:
        if folder is None:
            work = open_run(file, progress=progress)
        else:
            work = Run(experiment=load(file, change), folder=folder, progress=progress)
        found = work.assess()
    if written is not None:
        atomic.write_text(written, assessment_page(found, work.experiment.name))
        remarks().print(f"The page lies in {escape(str(written))}.", soft_wrap=True)
    if as_json:
        print_json(asdict(found))
        return
    results().print(page(found))


@app.command()
def distill(folder: Folder, as_json: AsJson = False) -> None:
    """The second step alone: train every student of a run that is not trained yet."""
    from overproof.commands.json_output import Earlier, students_told
    from overproof.progress import OnTerminal
    from overproof.runs.pipeline import open_run

    console, earlier = remarks(), Earlier.of(folder)
    with OnTerminal(console) as progress:
        open_run(folder, progress=progress).distill()
    if as_json:
        print_json(students_told(folder, earlier))
    console.print(f"The students lie in {escape(str(folder / 'students'))}.", soft_wrap=True)


@app.command()
def evaluate(folder: Folder, as_json: AsJson = False) -> None:
    """The last step alone: open the test, judge the students, write result.json."""
    from overproof.runs.pipeline import open_run

    _show(open_run(folder).evaluate(), as_json)


@app.command()
def report(
    folder: Folder,
    file: Annotated[
        Path | None, typer.Option("--out", help="Where to write the page; by default report.html in the folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a finished run as one page that holds all it shows: verdict, table, curves, mistakes, examples, costs.

    Of a comparison it holds the curves over the numbers of labels, and a table for each.
    """
    from overproof.commands.json_output import file_told
    from overproof.report import write_comparison_report, write_report
    from overproof.runs.comparison import holds_comparison
    from overproof.runs.pipeline import open_run

    written = (
        write_comparison_report(folder, file) if holds_comparison(folder) else write_report(open_run(folder), file)
    )
    if as_json:
        print_json(file_told(written))
    remarks().print(f"The report lies in {escape(str(written))}.", soft_wrap=True)


app.command()(select)


app.command()(predict)
app.command()(export)
app.command(name="tune-xi")(tune_xi)
app.command()(methods)


@app.command()
def cite(folder: Folder, as_json: AsJson = False) -> None:
    """Print BibTeX for exactly what a run used."""
    from dataclasses import asdict

    from overproof.runs.pipeline import open_run

    papers = open_run(folder).experiment.papers()
    if as_json:
        print_json([asdict(paper) for paper in papers])
        return
    for paper in papers:
        typer.echo(paper.bibtex())


def _run(experiment: Any, folder: Path, as_json: bool) -> None:
    from overproof.api import run as run_experiment
    from overproof.progress import OnTerminal

    with OnTerminal(remarks()) as progress:
        result = run_experiment(experiment, folder, report=True, progress=progress)
    _show(result, as_json)


def _show_plan(experiment: Any, folder: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from overproof.runs.plan import check_room, dry_run

    found = dry_run(experiment)
    if as_json:
        print_json(asdict(found))
    else:
        drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
        for name, words in found.lines():
            drawn.add_row(name, escape(words))
        results().print(drawn)
    check_room(folder, found.disk_bytes, "This run")


def _show(result: Any, as_json: bool) -> None:
    from overproof.evaluation.verdict import table
    from overproof.processes import leads

    if not leads():
        return
    if as_json:
        print_json(json.loads((result.folder / "result.json").read_text()))
        return
    console = results()
    console.print(table(result.summary))
    for finding in result.findings:
        console.print(f"\n{escape(finding)}")
    page = "report.html, " if (result.folder / "report.html").exists() else ""
    console.print(
        f"\nEverything lies in {escape(str(result.folder))}: {page}result.json, students, labels.", soft_wrap=True
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str, option: str) -> list[int]:
    words = _words(text)
    for word in words:
        if not word.isdecimal():
            raise InputError(f"{option} {text!r}: {word!r} is no whole number; write numbers with commas between them.")
    return [int(word) for word in words]


def _stop(words: str, code: int) -> None:
    print(words, file=sys.stderr)
    sys.exit(code)
