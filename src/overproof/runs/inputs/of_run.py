"""The record of a run's inputs beside its experiment.yaml: written when it begins, verified by every step."""

from collections.abc import Sequence
from pathlib import Path

from overproof.data import Examples
from overproof.data.options import FileRole
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, dump
from overproof.runs.folder.result_file import remove_result
from overproof.runs.folder.resume import experiment_in
from overproof.runs.inputs.record import InputRecord, Reading, has_record, record_of, verify, write_record
from overproof.storage import atomic

EXPERIMENT = "experiment.yaml"


def verify_run(folder: Path, experiment: Experiment, caches: Caches, only: Sequence[str] = ()) -> None:
    """Verify the input files of a run; one of an earlier version has no record of them.

    Args:
        folder: The run's.
        experiment: All of the run.
        caches: What it has read of its files.
        only: The groups of options whose files are verified; all without any.

    Raises:
        InputError: A file was replaced, or the folder's experiment.yaml is another one.
    """
    if has_record(folder):
        path = None if only else folder / EXPERIMENT
        verify(folder, path, record_of(experiment).only(only), _reading(experiment, caches))


def record_run(folder: Path, experiment: Experiment, caches: Caches, found: Sequence[InputRecord]) -> None:
    """Write inputs.json and experiment.yaml of a new run, or of one whose files have moved.

    Args:
        folder: The run's.
        experiment: All of the run.
        caches: What it has read of its files.
        found: The inputs of a new run, as they were before they were read; empty for one that goes on.

    Raises:
        InputError: A file is missing.
    """
    path = folder / EXPERIMENT
    same = path.exists() and experiment_in(folder) == experiment
    if same and not found and has_record(folder):
        return
    # A run of an earlier version keeps its experiment.yaml.
    written = path.read_bytes() if same else dump(experiment).encode()
    inputs = found[-1] if found else record_of(experiment)
    write_record(folder, written, inputs, _reading(experiment, caches))
    if not same:
        # A result is that of the options beside it.
        remove_result(folder)
        atomic.write_bytes(path, written)


def _reading(experiment: Experiment, caches: Caches) -> Reading:
    data = experiment.data

    def examples(role: FileRole) -> Examples | None:
        return None if data.is_on_disk(role) else caches.read(data.files[role], role=role)

    return Reading(examples=examples, answers=caches.answer_files)
