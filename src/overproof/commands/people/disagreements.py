"""`overproof disagreements`: pool examples whose labels decide between two students."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AllowImport, AsJson, Between, Folder, OfSeed, print_json, remarks


def disagreements(
    folder: Folder,
    between: Between,
    file: Annotated[Path, typer.Option("--out", help="Output file with an empty column `label`: .csv.")],
    budget: Annotated[int, typer.Option(min=1, help="Number of examples to label, at most.")] = 60,
    seed: OfSeed = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """List pool examples on which two students disagree, to be labelled by people: only these tell which is better.

    Example:
        overproof disagreements runs/first --between auto,hard --out to_label.csv
    """
    from overproof.runs.people.disagreements import disagreements as found_in
    from overproof.runs.people.disagreements import pair, write_disagreements
    from overproof.runs.pipeline import open_run

    found = found_in(open_run(folder, allow_import=allow_import), pair(between), seed)
    num = write_disagreements(found, budget, file)
    if as_json:
        counts = {"num": len(found.once), "num_different": len(found.drawn), "num_listed": num}
        print_json({"first": found.names[0], "second": found.names[1], **counts, "file": str(file)})
    remarks().print(
        f"{num} of {len(found.drawn)} disagreements ({len(found.drawn) / len(found.once):.1%} of {len(found.once)} "
        f"pool examples) in {file}. Write the classes into its column `label`, from the first row on, then: overproof "
        f"evaluate {folder} --between {between}{'' if seed is None else f' --seed {seed}'} --labels {file}",
        soft_wrap=True,
    )
