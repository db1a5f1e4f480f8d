"""`overproof report`: a finished run or comparison as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import AllowImport, AsJson, Folder, print_json, remarks


def report(
    folder: Folder,
    file: Annotated[
        Path | None, typer.Option("--out", help="Output file; by default report.html in the run's folder.")
    ] = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Write a finished run as one HTML page: verdict, table, learning curves, errors, examples and costs.

    For a comparison the page shows accuracy against the number of labels, and one table for each number of labels.

    Example:
        overproof report runs/first
    """
    from overproof.commands.output.json_output import file_as_json
    from overproof.report import write_comparison_report, write_report
    from overproof.runs.comparison import holds_comparison
    from overproof.runs.pipeline import open_run

    if holds_comparison(folder):
        written = write_comparison_report(folder, file)
    else:
        written = write_report(open_run(folder, allow_import=allow_import), file)
    if as_json:
        print_json(file_as_json(written))
    remarks().print(f"The report is in {written}.", soft_wrap=True)
