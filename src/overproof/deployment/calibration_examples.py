"""Collect labelled examples that a student was not trained on, and choose its abstention threshold on them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from overproof.data import Examples, Source, aligned, read, repeats_in
from overproof.data.ids import ID
from overproof.data.labelled.near_copies import MOST, near_copies
from overproof.data.options import DataOptions
from overproof.data.wording import at_row, counted, listed
from overproof.deployment.abstention import Abstention, choose_threshold, fewest_examples
from overproof.deployment.input_pieces import only_read, reaching, refuse_new_gap
from overproof.deployment.predict import Predicted
from overproof.errors import InputError
from overproof.evaluation.metrics import correct
from overproof.functional.repeats import Repeats
from overproof.models import Student
from overproof.models.saved.digits import Rounding
from overproof.models.saved.near_rows import is_numeric
from overproof.models.saved.row_hashes import hashes, key_of, numbers_in
from overproof.models.saved.seen_rows import Unsure
from overproof.runs.folder.resume import experiment_in
from overproof.runs.folder.seen import use_of_validation
from overproof.runs.inputs.record import record_of, verify_data
from overproof.runs.read_roles import read_roles
from overproof.storage import atomic

_NEEDED = (
    "a guaranteed risk needs labelled examples that the student was not trained on; give a file of them with "
    "--calibrate and --label"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """The calibration examples that a threshold was not chosen on.

    Args:
        num_left_out: How many the student was made from, or depend on one of those.
        num_by_group: How many of them it was not made from, but are in the group of an example that it was made from,
            or near copies of it.
        num_near: How many of the others are near copies of another one and do not count, beside repeats and groups.
        roles: How many of them were used as what; one that was used twice counts for both.
        unknown: What the student was made with whose own training rows are not known, and could not be left out.
        unsure: Those that would not be recognised for the digits they have.
    """

    num_left_out: int
    num_by_group: int
    num_near: int
    roles: Mapping[str, int]
    unknown: tuple[str, ...]
    unsure: Unsure

    def sentences(self) -> list[str]:
        """What was left out and why, and what could not be."""
        found = []
        if self.num_left_out:
            roles = ", ".join(f"{count} of its {role}" for role, count in self.roles.items())
            if self.num_by_group:
                roles += f", and {self.num_by_group} of the groups of these, or nearly equal to one of these"
            found.append(
                f"{counted(self.num_left_out, 'labelled example was', 'labelled examples were')} left out, "
                "because the student was made from them "
                f"({roles}); the promise is for rows that it was not made from."
            )
        if self.num_near:
            found.append(
                f"{counted(self.num_near, 'labelled example is a near copy', 'labelled examples are near copies')} of "
                f"others and {'does' if self.num_near == 1 else 'do'} not count, because the promise "
                f"needs independent ones; if several rows come from one source, name its column with --group."
            )
        if self.unknown:
            found.append(
                f"Which rows {listed(self.unknown)} was trained on is not known: the promise holds only if none of "
                f"them is among the labelled examples."
            )
        if self.unsure.num:
            digits = "; ".join(f"{name!r} {_written(each)}" for name, each in list(self.unsure.columns.items())[:8])
            found.append(
                f"{self.unsure.num} of the labelled examples {'has' if self.unsure.num == 1 else 'have'} other "
                "digits than the "
                f"rows that the student was made from ({digits}), so that such a row would not be recognised among "
                f"them: the promise holds only if none of them is one of these rows; give the examples with all their "
                f"digits."
            )
        if self.unsure.exact_only:
            found.append(
                "The student's list of its rows is of an earlier version, which recognises them only with all their "
                "digits: the promise holds only if none of them is among the labelled examples in another precision."
            )
        return found


def _written(rounding: Rounding) -> str:
    decimals, digits = rounding
    if decimals is None and digits is None:
        return "with more than six digits"
    if decimals is not None and decimals >= 0:
        return f"with {counted(decimals, 'decimal')}"
    return f"with {counted(digits or 0, 'significant digit')}"


def choose_abstention(
    student: Student,
    folder: Path,
    source: Source | None,
    *,
    risk: float,
    confidence: float,
    new_gaps: bool = True,
) -> tuple[Abstention, LeftOut]:
    """Choose a student's abstention threshold on labelled examples that it was not made from.

    Examples that it was trained on, chosen by or calibrated on are left out, recognised by what it reads of them: its
    error rate on them is not that on new data. So are the other examples of their groups, where the source has groups,
    and near copies of them; of every other group, and set of near copies, one example counts.

    Args:
        student: The student that is to abstain.
        folder: Its folder, usually in the folder of its run.
        source: Labelled examples; None takes the validation role of its run.
        risk: Allowed error rate among the predictions that are given, in (0, 1).
        confidence: Probability that the risk is not exceeded, in (0, 1).
        new_gaps: As for `overproof.deployment.predict.predict`: labelled examples are read as new data are.

    Returns:
        The threshold, and the examples that were left out.

    Raises:
        InputError: The student has no list of its rows, all examples are on it, one has no label, or no threshold
            keeps the risk.
    """
    if student.seen is None:
        raise InputError(
            f"{str(folder)!r} does not list the rows that the student was trained on (it was saved by an earlier "
            f"version or by your own code), so they cannot be left out and no risk can be promised; train it again "
            f"with this version, or name them with `Student.trained_on` and save it."
        )
    given = _validation(folder, risk, confidence) if source is None else _own_file(student, source)
    read_by_it = only_read(given, student)
    if not new_gaps:
        refuse_new_gap(student, read_by_it)
    roles = student.seen.roles(student.encoder, read_by_it)
    seen = np.any([np.zeros(len(given), bool), *roles.values()], axis=0)
    as_read = _as_read(student, read_by_it)
    by_name = repeats_in(as_read)
    repeats = _with_near_copies(student, by_name, as_read)
    group = repeats.group.numpy()
    known, seen = seen, np.isin(group, group[seen])
    left = torch.from_numpy(~seen)
    left_out = LeftOut(
        num_left_out=int(seen.sum()),
        num_by_group=int(seen.sum() - known.sum()),
        num_near=by_name.take(left).num_groups - repeats.take(left).num_groups,
        roles={role: int(each.sum()) for role, each in roles.items() if each.any()},
        unknown=student.seen.unknown,
        unsure=student.seen.unsure(student.encoder, read_by_it.take(~seen)),
    )
    if seen.all():
        raise InputError(
            f"{given.origin} holds only examples that the student was trained on or chosen by, and its error rate on "
            f"them is not that on new data; give examples that it was not made from."
        )
    found = read_by_it.take(~seen)
    probs = student.probs(found)
    wrong, sure = ~correct(probs, found.label).numpy(), probs.amax(dim=1).double().numpy()
    try:
        chosen = choose_threshold(sure, wrong, risk=risk, confidence=confidence, repeats=repeats.take(left))
    except InputError as error:
        if not left_out.num_left_out:
            raise
        raise InputError(
            f"{str(error).rstrip('.')}; {left_out.num_left_out} of the {len(given)} in the file were left out, because "
            f"the student was made from them."
        ) from None
    return chosen, left_out


def _as_read(student: Student, examples: Examples) -> Examples:
    """The same examples with ids of what the student's module is given of each: equal where it cannot tell them apart.

    So neither a column that it does not read, nor a value that it ignores (of a column that was constant or empty when
    it was fitted, a category that it does not know), makes another example of a copy.
    """
    exact = hashes(key_of([examples.ids]), student.encoder, examples).exact
    return replace(examples, ids=np.stack([exact, np.zeros_like(exact)], axis=1).view(ID)[:, 0])


def _with_near_copies(student: Student, repeats: Repeats, examples: Examples) -> Repeats:
    """The same repeats, with the examples of each set of near copies, as the student reads them, in one group."""
    group, rows = np.arange(len(examples)), repeats.once[:MOST]
    some = examples.take(rows)
    if is_numeric(student.encoder):
        numbers = numbers_in(student.encoder.encode(some), torch.arange(len(some)))
        some = replace(some, held=pa.table({f"f{place}": column for place, column in enumerate(numbers.T.copy())}))
    for each in near_copies(some):
        group[rows[each]] = int(rows[each[0]])
    return Repeats(content=repeats.content, group=Repeats.of(repeats.group, group).group)


def _own_file(student: Student, source: Source) -> Examples:
    if source.label is None:
        raise InputError("--calibrate needs --label, the column of the true classes.")
    found = aligned({"calibrate": read(reaching(student, source, "calibrate"), role="calibrate")}, student.class_names)[
        "calibrate"
    ]
    unknown = (found.label < 0).nonzero()[:, 0]
    if len(unknown):
        raise InputError(
            f"{found.origin} has no label in {len(unknown)} of {len(found)} rows, the first {at_row(int(unknown[0]))}; "
            f"without them the rest would not be distributed like new data, so every row needs one."
        )
    return found


def _validation(folder: Path, risk: float, confidence: float) -> Examples:
    run = _run_of(folder)
    if run is None:
        raise InputError(f"{str(folder)!r} is not in the folder of a run, and {_NEEDED}.")
    experiment = experiment_in(run)
    row = next((each for each in experiment.rows() if each.row == folder.name), None)
    reason, data = use_of_validation(experiment, row), experiment.data
    if not data.has_validation:
        raise InputError(
            f"The run {str(run)!r} has no validation role, and {_NEEDED}{_instead(data, reason, risk, confidence)}."
        )
    if reason:
        raise InputError(
            f"The validation examples of the run {str(run)!r} were used to make this student ({reason}), and {_NEEDED}."
        )
    # The true labels, also where the given ones were corrupted for an experiment.
    verify_data(run, record_of(experiment, data_only=True))
    seed = int(folder.absolute().parent.name.removeprefix("seed-"))
    found = read_roles(data, aliases=experiment.aliases).for_seed(seed).validation
    assert found is not None
    return found


def _instead(data: DataOptions, use: str, risk: float, confidence: float) -> str:
    """How many are needed, why labelled rows of the run are none, and the line that gives it some."""
    fewest = fewest_examples(risk, confidence)
    label = next((source.label for source in data.files.values() if source.label), "COLUMN")
    found = f" (as --calibrate FILE --label {label}; {fewest} rows at least, for this risk and confidence)"
    if data.cross_validated:
        found += "; the cross-validated rows are none: this student was trained on them, and others answered them"
    if use:
        return f"{found}; a validation role would not do for this row, because {use}"
    if "all" in data.files:
        line = f"`validation: {fewest}` or more below `data: rows:`"
    else:
        line = "`validation: {path: FILE, label: COLUMN}` below `data: files:`"
    return f"{found}; or write {line} in the experiment file, and run it in another folder"


def write_guarantee(predictions: Path, abstention: Abstention, left_out: LeftOut, written: Predicted) -> dict[str, Any]:
    """Write the guarantee and its counts as `NAME.risk.json` beside the predictions; returns the content.

    Args:
        predictions: The file of predictions.
        abstention: The threshold in use.
        left_out: The calibration examples that were left out.
        written: What `overproof.deployment.predict.predict` returned.
    """
    content: dict[str, Any] = {
        "format": 1,
        **asdict(abstention),
        "coverage": abstention.coverage,
        "num_left_out": left_out.num_left_out,
        "num_left_out_by_group": left_out.num_by_group,
        "num_near_copies": left_out.num_near,
        "left_out": dict(left_out.roles),
        "training_rows_unknown": list(left_out.unknown),
        "num_not_recognisable": left_out.unsure.num,
        "not_recognisable_columns": list(left_out.unsure.columns),
        "same_digits_only": left_out.unsure.exact_only,
        "num_rows": written.num_rows,
        "num_answered": written.num_answered,
    }
    atomic.write_json(predictions.with_suffix(".risk.json"), content)
    return content


def _run_of(folder: Path) -> Path | None:
    folder = folder.absolute()
    if len(folder.parents) < 3 or not folder.parent.name.startswith("seed-"):
        return None
    return folder.parents[2] if (folder.parents[2] / "experiment.yaml").is_file() else None
