"""`overproof cite`: the works that a run used."""

from pathlib import Path

import typer

from overproof.commands.output.terminal import AsJson, Folder, print_json
from overproof.papers import Paper


def cite(folder: Folder, as_json: AsJson = False) -> None:
    """Print BibTeX entries for exactly the works that a run used.

    Example:
        overproof cite runs/first > references.bib
    """
    from dataclasses import asdict

    from overproof.runs.folder.citations import recorded_papers

    papers = recorded_papers(folder)
    if papers is None:
        papers = _papers_of_the_experiment(folder)
    if as_json:
        print_json([asdict(paper) for paper in papers])
        return
    for paper in papers:
        typer.echo(paper.bibtex())


def _papers_of_the_experiment(folder: Path) -> list[Paper]:
    """Of a run by an earlier version: from its methods, recorded for the next call where the folder can be written."""
    from overproof.runs.folder.citations import record_papers
    from overproof.runs.pipeline import open_run

    experiment = open_run(folder).experiment
    try:
        return record_papers(folder, experiment)
    except OSError:
        return experiment.papers()
