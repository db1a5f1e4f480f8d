"""`overproof cite`: the works that a run used."""

from pathlib import Path

import typer

from overproof.commands.output.terminal import AsJson, Folder, print_json
from overproof.papers import Paper


def cite(folder: Folder, as_json: AsJson = False) -> None:
    """Print BibTeX entries for exactly the works that a run, or all runs of a comparison, used.

    Example:
        overproof cite runs/first > references.bib
    """
    from dataclasses import asdict

    runs = [each.parent for each in sorted(folder.glob("*/experiment.yaml"))] if is_comparison(folder) else [folder]
    papers = list(dict.fromkeys(paper for run in runs or [folder] for paper in _papers_of(run)))
    if as_json:
        print_json([asdict(paper) for paper in papers])
        return
    for paper in papers:
        typer.echo(paper.bibtex())


def is_comparison(folder: Path) -> bool:
    """As `overproof.runs.comparison.holds_comparison`, whose import takes seconds.

    Args:
        folder: Any.
    """
    return (folder / "compare.yaml").is_file()


def _papers_of(run: Path) -> list[Paper]:
    from overproof.runs.folder.citations import recorded_papers

    papers = recorded_papers(run)
    return _papers_of_the_experiment(run) if papers is None else papers


def _papers_of_the_experiment(folder: Path) -> list[Paper]:
    """Of a run by an earlier version: from its methods, recorded for the next call where the folder can be written."""
    from overproof.runs.folder.citations import record_papers
    from overproof.runs.pipeline import open_run

    experiment = open_run(folder).experiment
    try:
        return record_papers(folder, experiment)
    except OSError:
        return experiment.papers()
