"""The experiment that files suggest: roles, columns, rows and teacher, with what was understood in sentences."""

import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from overproof.data import Source, num_distinct, read
from overproof.data.labelled.remarks import other_spellings
from overproof.data.options import CROSS_VALIDATE, DataOptions, FileRole
from overproof.data.row_order import rising, row_numbers
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.evaluation.paired import CROSS_VALIDATED
from overproof.options import Options, validated
from overproof.runs.changes import changed
from overproof.runs.experiment import Experiment, experiment_from
from overproof.runs.first_look.answers import AnswersFound, answers_found
from overproof.runs.first_look.files import FileFacts, folders_of, look_at, roles_of_files
from overproof.runs.first_look.sources import Choices, Said, options_of_others, options_of_rows
from overproof.runs.first_look.uses import uses
from overproof.runs.first_look.warts import with_answers
from overproof.runs.first_look.written import quoted, typed_option
from overproof.runs.preflight import preflight
from overproof.runs.read_roles import read_roles
from overproof.runs.roles import Roles
from overproof.teachers import spoken

FEWEST_LABELS = 20
"""With fewer labelled rows nothing is estimated."""
NUM_TEST = 1000
"""Rows that are held out as a test where three times as many have a label: an accuracy is then known to about 2.5
points, for one training instead of six. Fewer labelled rows are cross-validated."""


_WRITTEN = re.compile(r"`([a-z_]+): ([^`]+)`")
"""An option of a source, as the messages about files write it."""


@dataclass(kw_only=True, slots=True, eq=False)
class Proposal(Said):
    """An experiment that was made from files.

    Args:
        content: Its options that differ from the defaults.
        comments: Words beside an option, by path.
        experiment: The same with all defaults; checked.
        roles: The examples by role.
        num_labelled: Rows with a label that cross-validation was proposed for, with or without an answer.
    """

    content: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    experiment: Experiment | None = None
    roles: Roles | None = None
    num_labelled: int = 0

    def sentences(self, *, with_remarks: bool = True) -> list[str]:
        """All that is to be said of the files, a sentence a line.

        Args:
            with_remarks: Whether also what a run says of its examples.
        """
        found = [*self.understood]
        if self.experiment is not None and self.roles is not None:
            drawn = self.roles.for_seed(self.experiment.seeds[0]).by_role()
            found.append(f"Roles: {', '.join(f'{len(each)} {role}' for role, each in drawn.items())}.")
            if "labelled" in drawn and (num := len(drawn["labelled"])) < self.num_labelled:
                found.append(
                    f"Only {num} labelled rows are cross-validated: an accuracy near 80 % is known "
                    f"to about ±{_known_to(num, CROSS_VALIDATED):.0f} points."
                )
            found += self.roles.remarks_for(self.experiment.seeds[0]) if with_remarks else ()
        return [*found, *(f"Unsure: {each}" for each in self.unsure)]


def propose(data: Sequence[str], choices: Choices) -> Proposal:
    """Make an experiment from files.

    Args:
        data: Files, folders or globs; ROLE=PATH where the user says the role.
        choices: What else the user has said.

    Raises:
        InputError: A file cannot be read, or what it holds cannot be known; the sentence has the option to type.
    """
    made = Proposal()
    files = [look_at(each, choices.query) for each in data]
    if choices.query is not None and not any(each.query for each in files):
        raise InputError(f"--query is for SQLite and DuckDB files, and {listed(data)} holds none.")
    families = {each.place.family for each in files}
    if len(families) > 1:
        raise InputError(
            f"{files[0].path} and {files[-1].path} hold rows, arrays and images; files of one kind are allowed."
        )
    options = (
        options_of_rows(files, choices, made) if families == {"columns"} else options_of_others(files, choices, made)
    )
    label = options.get("label")
    by_file: dict[str, dict[str, Any]] = {}
    for each in files:
        lacks = bool(each.columns) and label is not None and each.column(label) is None
        own = {} if each.query is None else {"query": each.query}
        by_file[each.path] = own | {key: value for key, value in options.items() if not (lacks and key == "label")}
    set_here = changed({}, choices.changes).get("data", {}).get("files", {})
    told = {name: value for source in set_here.values() for name, value in source.items()}
    known = [_known(each, {"path": each.path, **by_file[each.path], **told}) for each in files]
    roles = roles_of_files(files, known)
    if not set(roles) & {"all", "labelled"}:
        raise InputError(
            f"No row beside a test has a label in {label!r}; label at least {FEWEST_LABELS}, best {5 * FEWEST_LABELS} "
            f"or more, and leave that column empty in the others."
        )
    if "labelled" in roles and not {"test", "pool"} <= set(roles):
        # What has no file of its own is drawn from the same rows.
        roles["all"] = roles.pop("labelled")
    order = ("all", "labelled", "test", "validation", "pool", "original")
    roles = {role: roles[role] for role in order if role in roles}
    before = len(made.understood)
    sources: dict[str, Any] = {}
    for role, held in roles.items():
        paths = [each.path for each in held]
        sources[role] = {"path": paths[0] if len(paths) == 1 else paths, **by_file[paths[0]]}
    made.content = {
        "name": Path(files[0].path.rstrip("/")).name.partition(".")[0] or "data",
        "data": {"files": sources},
    }
    place = min(len(files), len(made.understood))
    if choices.answers:
        _add_teacher(files, choices, options, made)
    else:
        made.content["teacher"] = {"model": "auto"}
    made.content["methods"] = ["auto"]
    made.comments["methods"] = f"the labels choose how {'the answers are' if choices.answers else 'it is'} corrected"
    made.content = changed(made.content, choices.changes)
    _with_rows(made)
    rows = made.content["data"].get("rows", {})
    if families == {"columns"}:
        ignored = [name for source in made.content["data"]["files"].values() for name in source.get("ignore", ())]
        made.understood.insert(place, uses(files, {**options, **told, "ignore": ignored}))
    made.understood[before:before] = [
        _described(role, each, roles, rows) for role, each_file in roles.items() for each in each_file
    ]
    made.experiment = experiment_from(made.content)
    preflight(made.experiment)
    drawn = read_roles(made.experiment.data, aliases=made.experiment.aliases)
    teacher = made.experiment.teacher
    if teacher.trained_here:
        kind = next(iter(drawn.fixed.values())).kind
        made.comments["teacher.model"] = spoken(teacher.model, teacher.folds, kind)
    made.experiment, made.roles = with_answers(made.content, made.comments, drawn, choices, made)
    return made


def _described(
    role: FileRole, file: FileFacts, roles: Mapping[FileRole, Sequence[FileFacts]], rows: Mapping[str, Any]
) -> str:
    drawn: list[FileRole] = ["test"] if isinstance(rows.get("test"), int) and rows["test"] else []
    both = ["labelled examples", *(other for other in [*drawn, "pool"] if other not in roles)]
    what = {"all": f"{', '.join(both[:-1])} and {both[-1]}", "labelled": "labelled examples"}.get(role, role)
    columns = f", columns {listed(each.name for each in file.columns)}" if file.columns else ""
    size = f"{'' if file.whole else 'about '}{file.num_rows} {'rows' if file.columns else 'images'}"
    return f"{file.path}: {size if file.num_rows else 'arrays'}{columns}; taken as {what}."


# Rows -----------------------------------------------------------------------------------------------------------------


class _OneFile(Options):
    files: Source


def _source(options: Mapping[str, Any]) -> Source:
    return validated(_OneFile, {"files": dict(options)}, "data").files


def _known(file: FileFacts, options: Mapping[str, Any]) -> tuple[int, int]:
    """How many rows of a file have a label, and how many have none."""
    label = options.get("label")
    if label is None:
        return 0, file.num_rows
    if (column := file.column(label)) is not None:
        return column.num_values, column.num_missing
    if file.place.family == "pictures":
        folders = folders_of(file)
        without = sum(num for name, num in folders.items() if not name or name in options.get("unlabelled", ()))
        return file.num_rows - without, without
    try:
        index = read(_source(options), role="data").label
    except InputError as error:
        raise _typed_here(error, "all") from None
    return int((index >= 0).sum()), int((index < 0).sum())


def _typed_here(error: InputError, role: str) -> InputError:
    """The same with what is typed in this command, where there is no experiment file yet to write an option into."""
    options = [
        (key, value) for key, value in _WRITTEN.findall(str(error)) if key in {each.name for each in fields(Source)}
    ]
    typed = [f"--set {quoted(f'data.files.{role}.{key}={value}')}" for key, value in dict.fromkeys(options)]
    return InputError(f"{error} (Here: {' or '.join(typed) or f'--set data.files.{role}.OPTION=VALUE'}.)")


def _with_rows(made: Proposal) -> None:
    """Read the rows with labels, and divide them into labelled and test."""
    data = made.content["data"]
    role = "all" if "all" in data["files"] else "labelled"
    options = data["files"][role]
    source = _source(options)
    try:
        examples = read(source, role=role)
    except InputError as error:
        raise _typed_here(error, role) from None
    known = examples.take(np.flatnonzero(np.asarray(examples.label >= 0)))
    if numbering := [name for name in row_numbers(examples) if name not in source.ignore]:
        options["ignore"] = [*options.get("ignore", ()), *numbering]
        told = tuple(f"{name!r} is a whole number of its own" for name in numbering)
        made.unsure = [each for each in made.unsure if not each.startswith(told)]
        made.unsure.append(
            f"{listed(numbering)} numbers the rows and is left out; write --id {shlex.quote(numbering[0])} if it is "
            f"the id."
        )
    if in_order := [name for name in rising(examples) if name not in (*source.ignore, *numbering)]:
        made.unsure.append(
            f"The rows are in the order of {listed(in_order)}: leave it out (`ignore: {in_order}`) unless new rows are "
            f"to be judged by it."
        )
    counts = Counter(examples.class_names[index] for index in known.label.tolist())
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(f"{name} {num}" for name, num in ranked[:8]) + (" …" if len(ranked) > 8 else "")
    made.understood.append(
        f"Label {source.label!r}: {len(counts)} classes in {len(known)} of {len(examples)} rows ({shown})."
    )
    made.comments[f"data.files.{role}.label"] = f"{len(counts)} classes, in {len(known)} of {len(examples)} rows"
    if few := [name for name, num in counts.items() if num < 5]:
        made.unsure.append(f"Fewer than five rows are labelled {listed(sorted(few))}; label more of these first.")
    if others := other_spellings(known):
        typed_here = typed_option(f"data.files.{role}.aliases", {**source.aliases, **others})
        made.unsure.append(f"Labels that differ in case or spaces alone: if they mean the same, write {typed_here}.")
    if role == "labelled":
        return
    rows: dict[str, Any] = data.setdefault("rows", {})
    if rows.setdefault("labelled", "all") == "all":
        made.comments["data.rows.labelled"] = "every row with a label"
    if "test" not in data["files"] and "test" not in rows:
        taken = [rows["labelled"], rows.get("pool", 0)]
        room = num_distinct(examples) - sum(each for each in taken if isinstance(each, int))
        _estimated(made, rows, num_distinct(known), str(source.label), room)
    if "pool" not in data["files"] and len(known) == len(examples) and rows["labelled"] == "all":
        raise InputError(
            f"Every row of {source.called} has a label, so that no row is left for the teacher to answer: give a file "
            f"of rows without a label too; or, to try with the labels that you have, --set data.rows.labelled=100 uses "
            f"those of 100 rows and hides the others."
        )


def _known_to(num: int, factor: float) -> float:
    """Half the 95 % interval of an accuracy of 80 % on so many examples, in points."""
    return 100 * 1.96 * math.sqrt(0.16 * factor / num)


def _estimated(made: Proposal, rows: dict[str, Any], num: int, label: str, room: int) -> None:
    """Say how students are judged without a test: on rows that are held out of many, by cross-validation of few.

    Where `rows` says how many are labelled, only others with a label are held out, if they and `room` are enough.
    """
    if num < FEWEST_LABELS:
        raise InputError(
            f"{num} rows have a label in {label!r}, too few to estimate anything on; label at least {FEWEST_LABELS}, "
            f"give a file of labelled rows as test=FILE, or train without an estimate with --set data.rows.test=0."
        )
    wanted = rows["labelled"]
    num_test = min(round(num / 3), NUM_TEST)
    if isinstance(wanted, int):
        num_test = min(num_test, num - wanted, room)
    held_out = num_test >= FEWEST_LABELS if isinstance(wanted, int) else num >= 3 * NUM_TEST
    num = num if held_out or not isinstance(wanted, int) else min(num, wanted)
    judging = num_test if held_out else num
    close = _known_to(judging, 1.0 if held_out else CROSS_VALIDATED)
    known = f"an accuracy near 80 % is known to about ±{close:.0f} points"
    folds = made.content["data"].get("folds", DataOptions.model_fields["folds"].default)
    if held_out:
        rows["test"] = num_test
        made.understood.append(
            f"There is no test file: {num_test} of the {num} labelled rows are held out as the test, so that {known}. "
            f"Give labelled rows as test=FILE, and none of these is held out."
        )
        if rows["labelled"] == "all":
            made.comments["data.rows.labelled"] = "every labelled row that is not held out"
        made.comments["data.rows.test"] = "held out of the labelled rows; a file of its own is better"
        return
    rows["test"], made.num_labelled = CROSS_VALIDATE, num
    made.understood.append(
        f"There is no test file: students are cross-validated over the {num} labelled rows in {folds} folds, so that "
        f"{known}, and the students of the run are trained on all of them. Every training is made {folds + 1} times: "
        f"labelled rows as test=FILE save that, --set data.rows.test=0 trains without an estimate."
    )
    made.comments["data.rows.test"] = f"over the labelled rows: every training {folds + 1} times; 0: no estimate"


def _add_teacher(files: Sequence[FileFacts], choices: Choices, options: Mapping[str, Any], made: Proposal) -> None:
    """Name the files of answers, and say how they are joined."""
    found: list[AnswersFound] = [
        answers_found(path, files, options.get("id"), choices.teacher, options.get("label")) for path in choices.answers
    ]
    paths = [each.path for each in found]
    teacher: dict[str, Any] = {"answers": paths[0] if len(paths) == 1 else paths}
    for each in found:
        if each.columns != found[0].columns:
            raise InputError(
                f"{found[0].path} and {each.path} call their columns differently; make each a teacher of its own in "
                f"the experiment file, or call them alike."
            )
        what = f"class names in {each.label!r}" if each.label is not None else "probabilities"
        if not each.id:
            made.understood.append(f"Answers {each.path}: {what}, row by row with the data (`align: rows`).")
            continue
        made.understood.append(
            f"Answers {each.path}: {what}, joined by {each.id!r} with {each.data_id!r}: {each.num_joined} of "
            f"{each.num_rows} rows are of an example here."
        )
    if found[0].columns:
        teacher["columns"] = found[0].columns
    made.content["teacher"] = teacher
    made.comments["teacher"] = "[{answers: …}, auto] adds one trained on your labels: often the largest gain"
