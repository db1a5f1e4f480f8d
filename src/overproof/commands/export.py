"""`overproof export`: a student as files that need no overproof."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AllowImport, AsJson, print_json, remarks


def export(
    source: Annotated[Path, typer.Argument(metavar="STUDENT_OR_RUN", help="Folder of a student, or of a run.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Output folder: empty, new, or with an export of the same student.")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="With a run: the row of the table; by default the best that beats plain distillation, else the best "
            "plain row."
        ),
    ] = "",
    seed: Annotated[int | None, typer.Option(help="With a run: the seed; the run's first one by default.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write a graph with 8-bit weights and measure its loss of accuracy.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Also write a folder web: a page that classifies a typed text in the browser.")
    ] = False,
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="With --web: folder of the npm package onnxruntime-web, three of whose files the page needs."
        ),
    ] = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Export a student as ONNX, safetensors and a model card, for machines without overproof.

    Example:
        overproof export runs/first --out exported
    """
    from dataclasses import asdict

    from overproof.deployment import export as export_student

    written = export_student(
        source, folder, method=method, seed=seed, int8=int8, web=web, runtime=runtime, allow_import=allow_import
    )
    if as_json:
        print_json({**asdict(written), "folder": str(folder)})
    if written.why:
        remarks().print(f"Chosen: {written.why}.", soft_wrap=True)
    remarks().print(f"{', '.join(written.files)} in {folder}.", soft_wrap=True)
    if web and runtime is None:
        from overproof.deployment.web import RUNTIME, WEB

        remarks().print(
            f"The page needs onnxruntime-web: copy {', '.join(RUNTIME)} from the folder dist of that npm package to "
            f"{folder / WEB}, or export with --runtime node_modules/onnxruntime-web.",
            soft_wrap=True,
        )
    if written.cost is not None:
        ends = f"[{100 * written.cost.low:+.1f}, {100 * written.cost.high:+.1f}]"
        cost = f"{100 * written.cost.difference:+.1f} points {ends}"
        remarks().print(f"8-bit weights change the accuracy on {written.cost.num_examples} test examples by {cost}.")
