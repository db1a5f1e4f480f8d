"""`overproof init`: from files to an experiment."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AsJson, Changes, print_json, remarks, results
from overproof.errors import InputError

Data = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATA",
        help="Files of examples: CSV, TSV, JSON lines, Parquet, Arrow, a folder of images, .npz. Several have roles by "
        "their names or labels; test=FILE, pool=FILE, labelled=FILE say them.",
        show_default=False,
    ),
]
AnswersOption = Annotated[
    list[str] | None,
    typer.Option("--answers", metavar="FILE", help="A teacher's answers, joined by id. Can be repeated."),
]
LabelColumn = Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="Column of the labels.")]
TextColumn = Annotated[str | None, typer.Option("--text", metavar="COLUMN", help="Column of the texts to read.")]
ImageColumn = Annotated[
    str | None, typer.Option("--image", metavar="COLUMN", help="Column of images, or of names of image files.")
]
IdColumn = Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="Column of your ids.")]
GroupColumn = Annotated[
    str | None,
    typer.Option("--group", metavar="COLUMN", help="Column of what several rows come from, such as a customer."),
]


def init(
    data: Data = None,
    answers: AnswersOption = None,
    label: LabelColumn = None,
    text: TextColumn = None,
    image: ImageColumn = None,
    key: IdColumn = None,
    group: GroupColumn = None,
    file: Annotated[Path, typer.Option("--out", help="Experiment file to write.")] = Path("experiment.yaml"),
    change: Changes = [],  # noqa: B006
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="KEY", help="Explain a key of an experiment, such as data.rows, and stop."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at files, say what they hold, and write a short experiment file for them.

    Whatever it takes for something by its looks, it says; where it cannot know, it asks for an option.

    Example:
        overproof init tickets.csv --answers llm.csv --label queue
    """
    if explain is not None:
        from overproof.runs.first_look.explain import explained

        found = explained(explain)
        if as_json:
            print_json(found.as_json())
        else:
            results().print(found.text())
        return
    if not data:
        raise InputError("init: name the files of your examples, for example: overproof init tickets.csv")
    from overproof.runs.first_look.proposal import propose
    from overproof.runs.first_look.sources import Choices
    from overproof.runs.first_look.written import commented, typed
    from overproof.storage import atomic

    atomic.check_output(file, folder=False)
    if file.exists():
        raise InputError(f"{file} exists already and is not overwritten; give another --out, or remove it.")
    choices = Choices(
        label=label, text=text, image=image, id=key, group=group, answers=tuple(answers or ()), changes=tuple(change)
    )
    made = propose(data, choices)
    head = f"Written by `{typed('init', data, choices)}`. Any key: overproof init --explain KEY"
    atomic.write_bytes(file, commented(made.content, made.comments, head).encode())
    folder = f"runs/{made.content['name']}"
    steps = [
        f"overproof assess {file} --out {folder}",
        f"overproof run {file} --out {folder}",
        f"overproof export {folder} --out {made.content['name']}-student",
    ]
    if as_json:
        print_json(
            {
                "file": str(file),
                "experiment": made.content,
                "understood": made.understood,
                "unsure": made.unsure,
                "next": steps,
            }
        )
        return
    console = results()
    for sentence in made.sentences():
        console.print(sentence, soft_wrap=True)
    console.print(f"\n{file} is written. Next:", soft_wrap=True)
    for step, why in zip(steps, ("is the teacher good enough?", "train and compare", "deploy"), strict=True):
        console.print(f"  {step}    # {why}", soft_wrap=True)
    remarks().print("Add --dry-run to `run` for its cost.", soft_wrap=True)
