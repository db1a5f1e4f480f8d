"""`overproof init`: from files to an experiment."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overproof.commands.file_options import describes_files
from overproof.commands.output.terminal import AsJson, print_json, results
from overproof.errors import InputError

if TYPE_CHECKING:
    from overproof.runs.first_look.sources import Choices

Data = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATA",
        help="Files of examples: CSV, TSV, JSON lines, Parquet, Arrow, a folder of images, .npz. Several have roles by "
        "their names or labels; test=FILE, pool=FILE, labelled=FILE say them.",
        show_default=False,
    ),
]


@describes_files
def init(
    data: Data = None,
    *,
    choices: "Choices",
    file: Annotated[Path, typer.Option("--out", help="Experiment file to write.")] = Path("experiment.yaml"),
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
            results().print(found.text(), soft_wrap=True)
        return
    if not data:
        raise InputError("init: name the files of your examples, for example: overproof init tickets.csv")
    from overproof.models.importing import allowing
    from overproof.runs.changes import typed_paths
    from overproof.runs.first_look.proposal import propose
    from overproof.runs.first_look.written import commented, typed
    from overproof.runs.plan import plan_of_roles
    from overproof.storage import atomic

    if file.suffix not in (".yaml", ".yml"):
        raise InputError(
            f"--out is {str(file)!r}, and an experiment file ends in .yaml: write --out {shlex.quote(f'{file}.yaml')}."
        )
    atomic.check_output(file, folder=False)
    if file.exists():
        raise InputError(
            f"{file} exists already and is not overwritten: add --out {shlex.quote(str(_free(file)))}, or remove it."
        )
    with allowing(typed_paths(choices.changes)):
        made = propose(data, choices)
        assert made.experiment is not None, "it is checked"
        assert made.roles is not None, "they are drawn"
        cost = plan_of_roles(made.experiment, made.roles)
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
                "cost": cost.sentence(),
            }
        )
        return
    console = results()
    for sentence in made.sentences():
        console.print(sentence, soft_wrap=True)
    if any("--" in each for each in made.unsure):
        # The file is there now, and is not overwritten.
        again = f"{typed('init', data, choices)} --out {shlex.quote(str(_free(file)))}"
        console.print(f"With such an option, or several: {again} OPTION", soft_wrap=True)
    console.print(f"\n{file} is written. Next:", soft_wrap=True)
    for step, why in zip(steps, ("is the teacher good enough?", "train and compare", "deploy"), strict=True):
        console.print(f"  {step}    # {why}", soft_wrap=True)
    console.print(f"The run: {cost.sentence()[:1].lower()}{cost.sentence()[1:]}", soft_wrap=True)


def _free(file: Path) -> Path:
    """The first of `experiment-2.yaml`, `experiment-3.yaml` and so on that does not exist."""
    number = 2
    while (other := file.with_stem(f"{file.stem}-{number}")).exists():
        number += 1
    return other
