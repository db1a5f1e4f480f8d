"""Labelled examples that a student never saw: only they can say how often it is wrong."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from overproof.data import Examples, Source, aligned, read
from overproof.data.ids import ID, table_ids
from overproof.data.wording import at_row
from overproof.deployment.abstention import Abstention, choose_threshold
from overproof.deployment.predict import Predicted, only_read
from overproof.errors import InputError
from overproof.evaluation.metrics import correct
from overproof.methods.noise_models import Noiseless, Published
from overproof.models import Student
from overproof.runs.experiment import Experiment, MethodOptions, load
from overproof.runs.roles import cast
from overproof.storage import atomic
from overproof.storage.shard import Ids
from overproof.storage.store import load as load_store

_NEEDED = (
    "a guaranteed risk needs labelled examples that the student was not trained on; give a file of them with "
    "--calibrate and --label"
)


def choose_abstention(
    student: Student, folder: Path, source: Source | None, *, risk: float, confidence: float
) -> tuple[Abstention, int]:
    """The threshold that keeps a student's risk, chosen on labelled examples that it never saw.

    Examples of the file that it was trained on are left out, so that the promise is for those that it was not.

    Args:
        student: Who is to abstain.
        folder: Its folder, in which its run is looked for.
        source: Labelled examples; None takes the validation role of its run.
        risk: Allowed share of wrong answers among those given, in (0, 1).
        confidence: How surely, in (0, 1).

    Returns:
        When it abstains, and how many examples were left out.

    Raises:
        InputError: There are none but those that it was trained on, or that its training has looked at; an example has
            no label; no threshold keeps the risk.
    """
    given = _validation(folder) if source is None else _own_file(student, source)
    seen = np.isin(_ids(given, student), np.concatenate([_trained_on(folder, role) for role in ("labelled", "pool")]))
    if seen.all():
        raise InputError(
            f"{given.origin} holds only examples that the student was trained on; its answers there say nothing of its "
            f"mistakes elsewhere, so others are needed."
        )
    found = given.take(~seen)
    probs = student.probs(only_read(found, student))
    wrong = ~correct(probs, found.label).numpy()
    chosen = choose_threshold(probs.amax(dim=1).double().numpy(), wrong, risk=risk, confidence=confidence)
    return chosen, int(seen.sum())


def _own_file(student: Student, source: Source) -> Examples:
    if source.label is None:
        raise InputError("--calibrate needs --label, the column that holds the true classes.")
    found = aligned({"calibrate": read(source, role="calibrate")}, student.class_names)["calibrate"]
    unknown = (found.label < 0).nonzero()[:, 0]
    if len(unknown):
        raise InputError(
            f"{found.origin} has no label in {at_row(int(unknown[0]))} ({len(unknown)} have none); leaving some out "
            f"would make the others unlike what is to come, so every row needs one."
        )
    return found


def _ids(found: Examples, student: Student) -> Ids:
    """Content ids as the run knows them: of the columns that the student reads."""
    inputs = only_read(found, student).inputs
    return table_ids(inputs) if isinstance(inputs, pa.Table) else found.ids


def _trained_on(folder: Path, role: str) -> Ids:
    """Content ids of a role of the student's run, from its stored answers; none where it lies in no run."""
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
        raise InputError(f"{str(folder)!r} lies in no run, and {_NEEDED}.")
    experiment = load(run / "experiment.yaml")
    data = experiment.data
    if "validation" not in {*data.files, *data.rows}:
        raise InputError(f"The run {str(run)!r} has no validation role, and {_NEEDED}.")
    row = next((each for each in experiment.rows() if each.row == folder.name), None)
    if reason := looks_at_validation(experiment, row):
        raise InputError(
            f"The validation examples of the run {str(run)!r} had a say in this student ({reason}), and {_NEEDED}."
        )
    # Their true labels, where the given ones were corrupted for an experiment.
    found = cast(data).parties(int(folder.absolute().parent.name.removeprefix("seed-"))).validation
    assert found is not None
    return found


def write_beside(answers: Path, abstention: Abstention, left_out: int, written: Predicted) -> dict[str, Any]:
    """Write what is promised, and on what grounds, as `NAME.risk.json` beside the answers; its content.

    Args:
        answers: The file of answers.
        abstention: When the student said nothing.
        left_out: Calibration examples that the student was trained on.
        written: What came of it.
    """
    content: dict[str, Any] = {
        "format": 1,
        **asdict(abstention),
        "coverage": abstention.coverage,
        "num_left_out": left_out,
        "num_rows": written.num_rows,
        "num_answered": written.num_answered,
    }
    atomic.write_json(answers.with_suffix(".risk.json"), content)
    return content


def looks_at_validation(experiment: Experiment, row: MethodOptions | None) -> str:
    """What in the training of a row depends on the validation labels, in words; empty where nothing does.

    Args:
        experiment: All of the run.
        row: A row of its table; None for the oracle.
    """
    if row is None:
        return "it stopped early by them" if experiment.train.early_stop_epochs else ""
    built, options = experiment.method_of(row), experiment.train_options(row)
    found = {
        "the teacher's errors were estimated on them": not isinstance(built.noise, Noiseless | Published),
        "weights were made from them": built.needs_held_out,
        "the imitation was chosen by them": built.sought is not None,
        "it stopped early by them": bool(options.early_stop_epochs),
        "peer rounds were weighed on them": bool(row.rounds.most),
        "the teachers were weighed on them": bool(experiment.teacher.others),
    }
    return next((words for words, is_so in found.items() if is_so), "")


def _run_of(folder: Path) -> Path | None:
    folder = folder.absolute()
    if len(folder.parents) < 3 or not folder.parent.name.startswith("seed-"):
        return None
    return folder.parents[2] if (folder.parents[2] / "experiment.yaml").is_file() else None
