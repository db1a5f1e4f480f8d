"""Collect labelled examples that a student was not trained on, and choose its abstention threshold on them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from overproof.data import Examples, Source, aligned, read, repeats_as_read
from overproof.data.ids import ID, table_ids
from overproof.data.wording import at_row
from overproof.deployment.abstention import Abstention, choose_threshold
from overproof.deployment.predict import Predicted, only_read
from overproof.errors import InputError
from overproof.evaluation.metrics import correct
from overproof.methods.noise_models import Noiseless, Published
from overproof.models import Student
from overproof.runs.experiment import Experiment, MethodOptions, load
from overproof.runs.inputs.record import record_of, verify_data
from overproof.runs.roles import read_roles
from overproof.storage import atomic
from overproof.storage.id_index import IdIndex
from overproof.storage.shard import Ids
from overproof.storage.store import load as load_store

_NEEDED = (
    "a guaranteed risk needs labelled examples that the student was not trained on; give a file of them with "
    "--calibrate and --label"
)


def choose_abstention(
    student: Student, folder: Path, source: Source | None, *, risk: float, confidence: float
) -> tuple[Abstention, int]:
    """Choose a student's abstention threshold on labelled examples that it was not trained on.

    Examples of the file that the student was trained on are left out: its error rate on them is not that on new data.

    Args:
        student: The student that is to abstain.
        folder: Its folder, usually in the folder of its run.
        source: Labelled examples; None takes the validation role of its run.
        risk: Allowed error rate among the predictions that are given, in (0, 1).
        confidence: Probability that the risk is not exceeded, in (0, 1).

    Returns:
        The threshold, and how many examples were left out.

    Raises:
        InputError: All examples were used in its training, one has no label, or no threshold keeps the risk.
    """
    given = _validation(folder) if source is None else _own_file(student, source)
    trained_on = IdIndex(np.concatenate([_trained_on(folder, role) for role in ("labelled", "pool")]))
    _, seen = trained_on.find(_ids(given, student))
    if seen.all():
        raise InputError(
            f"{given.origin} holds only examples that the student was trained on, and its error rate on them is not "
            f"that on new data; give examples that it was not trained on."
        )
    found = given.take(~seen)
    read_by_it = only_read(found, student)
    probs, repeats = student.probs(read_by_it), repeats_as_read(read_by_it)
    wrong, sure = ~correct(probs, found.label).numpy(), probs.amax(dim=1).double().numpy()
    chosen = choose_threshold(sure, wrong, risk=risk, confidence=confidence, repeats=repeats)
    return chosen, int(seen.sum())


def _own_file(student: Student, source: Source) -> Examples:
    if source.label is None:
        raise InputError("--calibrate needs --label, the column of the true classes.")
    found = aligned({"calibrate": read(source, role="calibrate")}, student.class_names)["calibrate"]
    unknown = (found.label < 0).nonzero()[:, 0]
    if len(unknown):
        raise InputError(
            f"{found.origin} has no label in {at_row(int(unknown[0]))} ({len(unknown)} have none); without them the "
            f"rest would not be distributed like new data, so every row needs one."
        )
    return found


def _ids(found: Examples, student: Student) -> Ids:
    """Content ids as in the run: of the columns that the student reads."""
    inputs = only_read(found, student).inputs
    return table_ids(inputs) if isinstance(inputs, pa.Table) else found.ids


def _trained_on(folder: Path, role: str) -> Ids:
    """Content ids of a role of the student's run, from the stored teacher answers; none outside of a run."""
    run = _run_of(folder)
    store = folder if run is None else run / "labels" / folder.absolute().parent.name / role
    if not (store / "manifest.json").is_file() or run is None:
        return np.empty(0, ID)
    stored = load_store(
        store, kind="answers", key=None, class_names=None, ids=None, source=role, align=False, mmap=False
    )
    return stored.ids


def _validation(folder: Path) -> Examples:
    run = _run_of(folder)
    if run is None:
        raise InputError(f"{str(folder)!r} is not in the folder of a run, and {_NEEDED}.")
    experiment = load(run / "experiment.yaml")
    data = experiment.data
    if "validation" not in {*data.files, *data.rows}:
        raise InputError(f"The run {str(run)!r} has no validation role, and {_NEEDED}.")
    row = next((each for each in experiment.rows() if each.row == folder.name), None)
    if reason := use_of_validation(experiment, row):
        raise InputError(
            f"The validation examples of the run {str(run)!r} were used to make this student ({reason}), and {_NEEDED}."
        )
    # The true labels, also where the given ones were corrupted for an experiment.
    verify_data(run, record_of(experiment, data_only=True))
    found = read_roles(data).for_seed(int(folder.absolute().parent.name.removeprefix("seed-"))).validation
    assert found is not None
    return found


def write_guarantee(predictions: Path, abstention: Abstention, left_out: int, written: Predicted) -> dict[str, Any]:
    """Write the guarantee and its counts as `NAME.risk.json` beside the predictions; returns the content.

    Args:
        predictions: The file of predictions.
        abstention: The threshold in use.
        left_out: How many calibration examples were left out because the student was trained on them.
        written: What `overproof.deployment.predict.predict` returned.
    """
    content: dict[str, Any] = {
        "format": 1,
        **asdict(abstention),
        "coverage": abstention.coverage,
        "num_left_out": left_out,
        "num_rows": written.num_rows,
        "num_answered": written.num_answered,
    }
    atomic.write_json(predictions.with_suffix(".risk.json"), content)
    return content


def use_of_validation(experiment: Experiment, row: MethodOptions | None) -> str:
    """How the training of a row used the validation labels, in words; empty where it did not.

    Args:
        experiment: The experiment of the run.
        row: A row of its table; None for the oracle.
    """
    if row is None:
        return "they decided when to stop early" if experiment.train.early_stop_epochs else ""
    built, options = experiment.method_of(row), experiment.train_options(row)
    found = {
        "the teacher's errors were estimated on them": not isinstance(built.noise, Noiseless | Published),
        "weights were computed from them": built.needs_held_out,
        "the imitation was chosen by them": built.sought is not None,
        "they decided when to stop early": bool(options.early_stop_epochs),
        "the weights of peer rounds were fitted on them": bool(row.rounds.most),
        "the weights of the teachers were fitted on them": bool(experiment.teacher.others),
    }
    return next((words for words, is_so in found.items() if is_so), "")


def _run_of(folder: Path) -> Path | None:
    folder = folder.absolute()
    if len(folder.parents) < 3 or not folder.parent.name.startswith("seed-"):
        return None
    return folder.parents[2] if (folder.parents[2] / "experiment.yaml").is_file() else None
