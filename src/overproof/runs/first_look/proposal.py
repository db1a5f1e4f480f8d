"""The experiment that files suggest: roles, columns, rows and teacher, with what was understood in sentences."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from overproof.data import Source, num_distinct, read
from overproof.data.options import FileRole
from overproof.data.remarks import row_numbers
from overproof.data.source import format_of
from overproof.data.wording import listed, nearest
from overproof.errors import InputError
from overproof.options import Options, validated
from overproof.runs.changes import changed
from overproof.runs.experiment import Experiment, experiment_from
from overproof.runs.first_look import columns as guesses
from overproof.runs.first_look.answers import AnswersFound, answers_found, classes_in
from overproof.runs.first_look.files import (
    NO_CLASS,
    FileFacts,
    folders_of,
    label_of_arrays,
    look_at,
    roles_of_files,
)
from overproof.runs.preflight import preflight
from overproof.runs.roles import Roles, read_roles

FEWEST_LABELS = 20
"""With fewer labelled rows nothing can be held out as a test."""
MOST_TEST = 1000
"""More labelled rows than this are not held out: an accuracy is then known to about 2.5 points."""


_HERE = "(Here: --set data.files.all.OPTION=VALUE.)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What the user has said of the files.

    Args:
        label: The column of labels; `folder` for the subfolder of an image.
        text: The column of texts.
        image: The column of images or of their file names.
        id: The column of ids.
        group: The column of what several rows come from.
        answers: Files of a teacher's answers.
        changes: Changes `a.b=value` of the experiment that is made.
    """

    label: str | None = None
    text: str | None = None
    image: str | None = None
    id: str | None = None
    group: str | None = None
    answers: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True, eq=False)
class Proposal:
    """An experiment that was made from files.

    Args:
        content: Its options that differ from the defaults.
        comments: Words beside an option, by path.
        understood: What the files hold, in sentences.
        unsure: What was taken for something by its looks, each with the option that says otherwise.
        experiment: The same with all defaults; checked.
        roles: The examples by role.
    """

    content: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    understood: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    experiment: Experiment | None = None
    roles: Roles | None = None

    def sentences(self) -> list[str]:
        """All that is to be said of the files, a sentence a line."""
        found = [*self.understood]
        if self.experiment is not None and self.roles is not None:
            drawn = self.roles.for_seed(self.experiment.seeds[0]).by_role()
            found.append(f"Roles: {', '.join(f'{len(each)} {role}' for role, each in drawn.items())}.")
            found += self.roles.remarks_for(self.experiment.seeds[0])
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
    files = [look_at(each) for each in data]
    families = {each.place.family for each in files}
    if len(families) > 1:
        raise InputError(
            f"{files[0].path} and {files[-1].path} hold rows, arrays and images; files of one kind are allowed."
        )
    options = _options_of_rows(files, choices, made) if families == {"columns"} else _of_others(files, choices, made)
    label = options.get("label")
    by_file: dict[str, dict[str, Any]] = {}
    for each in files:
        lacks = bool(each.columns) and label is not None and each.column(label) is None
        by_file[each.path] = {key: value for key, value in options.items() if not (lacks and key == "label")}
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
    made.understood += [_described(role, each, roles) for role, held in roles.items() for each in held]
    sources: dict[str, Any] = {}
    for role, held in roles.items():
        paths = [each.path for each in held]
        sources[role] = {"path": paths[0] if len(paths) == 1 else paths, **by_file[paths[0]]}
    made.content = {
        "name": Path(files[0].path.rstrip("/")).name.partition(".")[0] or "data",
        "data": {"files": sources},
    }
    if choices.answers:
        _add_teacher(files, choices, options, made)
    made.content["methods"] = ["auto"]
    made.comments["methods"] = "the labels choose how the answers are corrected"
    made.content = changed(made.content, choices.changes)
    _with_rows(made)
    made.experiment = experiment_from(made.content)
    preflight(made.experiment)
    made.roles = read_roles(made.experiment.data)
    return made


def _described(role: FileRole, file: FileFacts, roles: Mapping[FileRole, Sequence[FileFacts]]) -> str:
    drawn: tuple[FileRole, ...] = ("test", "pool")
    both = ["labelled examples", *(other for other in drawn if other not in roles)]
    what = {"all": f"{', '.join(both[:-1])} and {both[-1]}", "labelled": "labelled examples"}.get(role, role)
    columns = f", columns {listed(each.name for each in file.columns)}" if file.columns else ""
    rows = f"{'' if file.whole else 'about '}{file.num_rows} {'rows' if file.columns else 'images'}"
    return f"{file.path}: {rows if file.num_rows else 'arrays'}{columns}; taken as {what}."


# Columns --------------------------------------------------------------------------------------------------------------


def _options_of_rows(files: Sequence[FileFacts], choices: Choices, made: Proposal) -> dict[str, Any]:
    """Which column is what, for files of rows."""
    options: dict[str, Any] = {}
    everything = {each.name: each for file in files for each in file.columns}
    for option, name in (("label", choices.label), ("text", choices.text), ("image", choices.image),
                         ("id", choices.id), ("group", choices.group)):  # fmt: skip
        if name is not None and name not in everything:
            raise InputError(
                f"--{option} {name!r}: no file has such a column{nearest(name, everything)}; there are "
                f"{listed(everything)}."
            )
    label, why = choices.label, ""
    if label is None:
        answered = tuple(word for path in choices.answers for word in classes_in(path))
        label, why = _label_in(files, answered, choices)
    if why:
        made.unsure.append(f"{label!r} is taken for the label because {why}; otherwise write --label COLUMN.")
    options["label"] = label
    free = [each for each in everything.values() if each.name != label]
    key = choices.id
    if key is None and choices.answers:
        key = answers_found(choices.answers[0], files, None).data_id
    elif key is None:
        key = guesses.id_of([each for each in free if all(file.column(each.name) for file in files)])
    if key is not None:
        options["id"] = key
    if choices.group is not None:
        options["group"] = choices.group
    free = [each for each in free if each.name not in (key, choices.group)]
    for each in guesses.groups_of(free) if choices.group is None else ():
        made.unsure.append(
            f"{each.name!r} has {each.num_distinct} different values in {each.num_values} rows: if rows of one belong "
            f"together, write --group {each.name}."
        )
    options.update(_inputs(free, choices, made))
    return options


def _label_in(files: Sequence[FileFacts], answered: Sequence[str], choices: Choices) -> tuple[str, str]:
    used = {choices.text, choices.image, choices.id, choices.group}
    first: InputError | None = None
    for each in sorted(files, key=lambda file: file.named_role == "pool"):
        try:
            return guesses.label_of([column for column in each.columns if column.name not in used], answered)
        except InputError as error:
            first = first or error
    raise first or InputError("No file has columns.")


def _inputs(free: Sequence[guesses.ColumnFacts], choices: Choices, made: Proposal) -> dict[str, Any]:
    """The options of the inputs: a text, an image, or the columns of a table."""
    images = [each for each in free if each.family == "image" or each.names_images]
    if choices.image is not None or (images and choices.text is None):
        if choices.image is None and len(images) > 1:
            raise InputError(f"{listed(each.name for each in images)} hold images: write --image {images[0].name}.")
        return {"kind": "image", "input": choices.image or images[0].name}
    texts = guesses.texts_of(free)
    name = choices.text or (texts[0].name if texts else None)
    if name is None:
        found = [each.name for each in free if each.family == "words" and each.unique and each.num_values > 20]
        if found:
            made.unsure.append(
                f"{listed(found)} {'is' if len(found) == 1 else 'are'} different in every row and left out; write "
                f"--text {found[0]} if it is the text to read."
            )
        missing = any(each.num_missing for each in free if each.name not in found)
        return {**({"ignore": found} if found else {}), **({"missing": "allow"} if missing else {})}
    others = [each.name for each in texts if each.name != name]
    if choices.text is None and others:
        made.unsure.append(
            f"{name!r} is taken for the text and {listed(others)} not read; write --text {others[0]} for another."
        )
    rest = [each for each in free if each.name != name and each.name not in others]
    if choices.text is None and rest:
        made.unsure.append(f"Columns beside the text are not read: {listed(each.name for each in rest)}.")
    column = next(each for each in free if each.name == name)
    if column.num_missing:
        made.understood.append(f"{column.num_missing} rows have no {name!r} and are left out (missing: drop).")
    return {"input": name, **({"missing": "drop"} if column.num_missing else {})}


def _of_others(files: Sequence[FileFacts], choices: Choices, made: Proposal) -> dict[str, Any]:
    """The options of folders of images and of arrays."""
    for option, name in (("text", choices.text), ("image", choices.image), ("group", choices.group)):
        if name is not None:
            raise InputError(f"--{option} names a column, and {files[0].path} has none; leave it out.")
    key = {"id": choices.id} if choices.id is not None else {}
    if files[0].place.family == "arrays":
        if format_of(files[0].place.files[0]) == "npz":
            inputs, label = label_of_arrays(files[0])
            if choices.label is None and label is None:
                raise InputError(
                    f"{files[0].path} has no array called y or label: name that of the labels with --label."
                )
            return {**({"input": inputs} if inputs else {}), "label": choices.label or label}
        if choices.label is None:
            raise InputError(f"{files[0].path} holds inputs alone: name the file of their labels with --label.")
        return {"label": choices.label}
    folders = [folders_of(each) for each in files]
    named = sorted({name for each in folders for name in each if name})
    if choices.label not in (None, "folder") or (choices.label is None and len(named) < 2):
        raise InputError(
            f"{files[0].path} is a folder of images {'in subfolders' if named else 'without subfolders'}: images in a "
            f"subfolder for each class are read with --label folder, or give a table with a column of file names."
        )
    no_class = [name for name in named if name.lower() in NO_CLASS]
    if no_class:
        made.unsure.append(f"Images in {listed(no_class)} have no label, by the folder's name.")
    return {"label": "folder", **key, **({"unlabelled": no_class} if no_class else {})}


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
        raise InputError(f"{error} {_HERE}") from None
    return int((index >= 0).sum()), int((index < 0).sum())


def _with_rows(made: Proposal) -> None:
    """Read the rows with labels, and divide them into labelled and test."""
    data = made.content["data"]
    role = "all" if "all" in data["files"] else "labelled"
    options = data["files"][role]
    source = _source(options)
    try:
        examples = read(source, role=role)
    except InputError as error:
        raise InputError(f"{error} {_HERE.replace('all', role)}") from None
    known = examples.take(np.flatnonzero(np.asarray(examples.label >= 0)))
    if numbering := [name for name in row_numbers(examples) if name not in source.ignore]:
        options["ignore"] = [*options.get("ignore", ()), *numbering]
        made.unsure.append(f"{listed(numbering)} numbers the rows and is no feature.")
    counts = Counter(examples.class_names[index] for index in known.label.tolist())
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(f"{name} {num}" for name, num in ranked[:8]) + (" …" if len(ranked) > 8 else "")
    made.understood.append(
        f"Label {source.label!r}: {len(counts)} classes in {len(known)} of {len(examples)} rows ({shown})."
    )
    made.comments[f"data.files.{role}.label"] = f"{len(counts)} classes, in {len(known)} of {len(examples)} rows"
    if few := [name for name, num in counts.items() if num < 5]:
        made.unsure.append(f"Fewer than five rows are labelled {listed(sorted(few))}; label more of these first.")
    if role == "labelled":
        return
    rows: dict[str, Any] = data.setdefault("rows", {})
    if rows.setdefault("labelled", "all") == "all":
        made.comments["data.rows.labelled"] = "every labelled row that is not held out"
    if "test" not in data["files"] and "test" not in rows:
        num = num_distinct(known)
        if num < FEWEST_LABELS:
            raise InputError(
                f"{num} rows have a label in {source.label!r}, too few to hold some out as a test; label at least "
                f"{FEWEST_LABELS}, or give a file of labelled rows as test=FILE."
            )
        rows["test"] = min(round(num / 3), MOST_TEST)
        close = 100 * 1.96 * math.sqrt(0.16 / rows["test"])
        made.understood.append(
            f"There is no test file: {rows['test']} of the {num} labelled rows are held out as the test, so that an "
            f"accuracy near 80 % is known to about ±{close:.0f} points. Give labelled rows as test=FILE, and all of "
            f"these are trained on."
        )
        made.comments["data.rows.test"] = "held out of the labelled rows; a file of its own is better"
    if "pool" not in data["files"] and len(known) == len(examples) and rows["labelled"] == "all":
        raise InputError(
            f"Every row of {source.called} has a label, so that no row is left for the teacher to answer: give a file "
            f"of rows without a label too; or, to try with the labels that you have, --set data.rows.labelled=100 uses "
            f"those of 100 rows and hides the others."
        )


def _add_teacher(files: Sequence[FileFacts], choices: Choices, options: Mapping[str, Any], made: Proposal) -> None:
    """Name the files of answers, and say how they are joined."""
    found: list[AnswersFound] = [answers_found(path, files, options.get("id")) for path in choices.answers]
    paths = [each.path for each in found]
    teacher: dict[str, Any] = {"answers": paths[0] if len(paths) == 1 else paths}
    for each in found:
        if each.columns != found[0].columns:
            raise InputError(
                f"{found[0].path} and {each.path} call their columns differently; make each a teacher of its own in "
                f"the experiment file, or call them alike."
            )
        what = f"class names in {each.label!r}" if each.label is not None else "probabilities"
        made.understood.append(
            f"Answers {each.path}: {what}, joined by {each.id!r} with {each.data_id!r}: {each.num_joined} of "
            f"{each.num_rows} rows are of an example here."
        )
    if found[0].columns:
        teacher["columns"] = found[0].columns
    made.content["teacher"] = teacher
