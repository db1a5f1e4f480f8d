"""The works that a run uses, recorded beside its experiment, so that `overproof cite` need not import the methods."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from overproof.papers import Paper
from overproof.seeds import digest
from overproof.storage import checked

if TYPE_CHECKING:
    from overproof.runs.experiment import Experiment

FILE = "citations.json"


def record_papers(folder: Path, experiment: "Experiment") -> list[Paper]:
    """Write the works behind a run's methods into its folder.

    Args:
        folder: Folder of the run; its experiment.yaml is written.
        experiment: What that file holds.

    Returns:
        The works, each once.
    """
    papers = experiment.papers()
    content = {"experiment": _digest(folder), "papers": [asdict(paper) for paper in papers]}
    checked.write_json(folder / FILE, content)
    return papers


def recorded_papers(folder: Path) -> list[Paper] | None:
    """The works as recorded; None if there is no record, or if it or experiment.yaml was changed since.

    Args:
        folder: Folder of a run.
    """
    try:
        content = checked.read_json(folder / FILE, ("experiment", "papers"))
        return [Paper(**paper) for paper in content["papers"]] if content["experiment"] == _digest(folder) else None
    except (checked.Damaged, OSError, ValueError, KeyError, TypeError):
        return None


def _digest(folder: Path) -> str:
    return digest((folder / "experiment.yaml").read_bytes())
