"""The options of a source that files suggest: label, input, id and what is left out, by their columns."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overproof.data.source import LABELS_APART, format_of
from overproof.data.wording import counted, listed, nearest
from overproof.errors import InputError
from overproof.runs.changes import changed
from overproof.runs.first_look import columns as guesses
from overproof.runs.first_look.answers import answers_found, classes_in
from overproof.runs.first_look.files import NO_CLASS, FileFacts, folders_of, label_of_arrays, names_in, num_without


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What the user has said of the files.

    Args:
        label: The column of labels; `folder` for the subfolder of an image.
        text: The column of texts; several are read as one text.
        image: The column of images or of their file names.
        id: The column of ids.
        group: The column of what several rows come from.
        query: What is read of a database.
        answers: Files of a teacher's answers.
        changes: Changes `a.b=value` of the experiment that is made.
    """

    label: str | None = None
    text: tuple[str, ...] = ()
    image: str | None = None
    id: str | None = None
    group: str | None = None
    query: str | None = None
    answers: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def teacher(self) -> dict[str, Any]:
        """What the changes say of the teacher."""
        teacher = changed({}, self.changes).get("teacher", {})
        found: dict[str, Any] = teacher if isinstance(teacher, dict) else {}
        return found

    @property
    def named(self) -> list[tuple[str, str]]:
        """The columns that the user has named, each after the word for it in the command."""
        given = (("label", self.label), *(("text", name) for name in self.text), ("image", self.image), ("id", self.id))
        return [(option, name) for option, name in (*given, ("group", self.group)) if name is not None]


@dataclass(kw_only=True, slots=True, eq=False)
class Said:
    """What is said of files.

    Args:
        understood: What they hold, in sentences.
        unsure: What was taken for something by its looks, each with the option that says otherwise.
    """

    understood: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)


def options_of_rows(files: Sequence[FileFacts], choices: Choices, said: Said) -> dict[str, Any]:
    """Which column is what, for files of rows."""
    options: dict[str, Any] = {}
    everything = {each.name: each for file in files for each in file.columns}
    for option, name in choices.named:
        if name not in everything:
            raise InputError(
                f"--{option} {name!r}: no file has such a column{nearest(name, everything)}; there are "
                f"{listed(everything)}."
            )
    label, why = choices.label, ""
    if label is None:
        answered = tuple(word for path in choices.answers for word in classes_in(path, choices.teacher))
        label, why = _label_in(files, answered, choices)
    if why:
        said.unsure.append(f"{label!r} is taken for the label because {why}; otherwise write --label COLUMN.")
    options["label"] = label
    free = [each for each in everything.values() if each.name != label]
    key = choices.id
    if key is None and choices.answers and choices.teacher.get("align") != "rows":
        key = answers_found(choices.answers[0], files, None, choices.teacher, label).data_id
    elif key is None:
        key = guesses.id_of([each for each in free if all(file.column(each.name) for file in files)])
    if key is not None:
        options["id"] = key
    if choices.group is not None:
        options["group"] = choices.group
    free = [each for each in free if each.name not in (key, choices.group)]
    for each in guesses.groups_of(free) if choices.group is None else ():
        said.unsure.append(
            f"{each.name!r} has {each.num_distinct} different values in {each.num_values} rows: if rows of one belong "
            f"together, write --group {shlex.quote(each.name)}."
        )
    options.update(_inputs(files, free, choices, said))
    return options


def _label_in(files: Sequence[FileFacts], answered: Sequence[str], choices: Choices) -> tuple[str, str]:
    used = {name for _, name in choices.named}
    first: InputError | None = None
    for each in sorted(files, key=lambda file: file.named_role == "pool"):
        try:
            return guesses.label_of([column for column in each.columns if column.name not in used], answered)
        except InputError as error:
            first = first or error
    raise first or InputError("No file has columns.")


def _inputs(
    files: Sequence[FileFacts], free: Sequence[guesses.ColumnFacts], choices: Choices, said: Said
) -> dict[str, Any]:
    """The options of the inputs: a text, an image, or the columns of a table."""
    images = [each for each in free if each.family == "image" or each.names_images]
    if choices.image is not None or (images and not choices.text):
        if choices.image is None and len(images) > 1:
            raise InputError(f"{listed(each.name for each in images)} hold images: write --image {images[0].name}.")
        return {"kind": "image", "input": choices.image or images[0].name}
    texts = guesses.texts_of(free)
    names = choices.text or tuple(each.name for each in texts[:1])
    if not names:
        return _of_table(files, free, said)
    if not choices.text and len(texts) > 1:
        both = " ".join(f"--text {shlex.quote(each.name)}" for each in free if each in texts)
        said.unsure.append(
            f"{names[0]!r} is taken for the text, and {listed(each.name for each in texts[1:])} not read; for both as "
            f"one text write {both}."
        )
    num = num_without(files, names)
    if num:
        said.understood.append(
            f"{counted(num, 'row has', 'rows have')} no {' and no '.join(map(repr, names))} and "
            f"{'is' if num == 1 else 'are'} left out (missing: drop)."
        )
    return {"input": names[0] if len(names) == 1 else list(names), **({"missing": "drop"} if num else {})}


def _of_table(files: Sequence[FileFacts], free: Sequence[guesses.ColumnFacts], said: Said) -> dict[str, Any]:
    """The options of a table: what is no feature, and what is no number."""
    found = [each.name for each in free if each.family == "words" and each.unique and each.num_values > 20]
    if found:
        said.unsure.append(
            f"{listed(found)} {'is' if len(found) == 1 else 'are'} different in every row and left out; write "
            f"--id {shlex.quote(found[0])} if it is the id, --text {shlex.quote(found[0])} if it is the text to read."
        )
    codes = [each.name for each in free if each.is_code]
    if codes:
        said.unsure.append(
            f"{listed(codes)}: a code by its name, and read as categories; take it out of `categories` if it is a "
            f"quantity."
        )
    for each in free:
        if each.family == "whole" and each.unique and each.num_values > 20 and not each.counts_rows:
            said.unsure.append(
                f"{each.name!r} is a whole number of its own in every row and read as a number; write "
                f"--id {shlex.quote(each.name)} if it is the id."
            )
    read = {each.name for each in free} - set(found)
    missing = _missing([each.name for each in free if each.name in read], files)
    if missing:
        said.understood.append(
            f"Missing values are kept as missing (missing: allow): {_counted(missing, files)}. `missing: drop` leaves "
            f"their rows out."
        )
    return {
        **({"ignore": found} if found else {}),
        **({"categories": codes} if codes else {}),
        **({"missing": "allow"} if missing else {}),
    }


def _missing(names: Sequence[str], files: Sequence[FileFacts]) -> dict[str, int]:
    """Columns with missing values, and how many in all files."""
    found = {name: [file.column(name) for file in files] for name in names}
    counts = {name: sum(each.num_missing for each in columns if each) for name, columns in found.items()}
    return {name: count for name, count in counts.items() if count}


def _counted(missing: Mapping[str, int], files: Sequence[FileFacts]) -> str:
    """How many values are missing in each column, the first of many by name."""
    least = "" if all(each.whole for each in files) else "at least "
    shown = [f"{least}{count} in {name!r}" for name, count in [*missing.items()][:8]]
    rest = len(missing) - len(shown)
    return ", ".join(shown) + (f" and {sum(missing.values())} in all {len(missing)} columns" if rest else "")


def options_of_others(files: Sequence[FileFacts], choices: Choices, said: Said) -> dict[str, Any]:
    """The options of folders of images and of arrays."""
    for option, _ in choices.named:
        if option in ("text", "image", "group"):
            raise InputError(f"--{option} names a column, and {files[0].path} has none; leave it out.")
    key = {"id": choices.id} if choices.id is not None else {}
    if files[0].place.family == "arrays":
        if format_of(files[0].place.files[0]) not in LABELS_APART:
            inputs, label = label_of_arrays(files[0])
            if choices.label is None and label is None:
                raise InputError(
                    f"{files[0].path} has nothing called y or label: name its labels with --label, one of "
                    f"{listed(names_in(files[0]))}."
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
        said.unsure.append(f"Images in {listed(no_class)} have no label, by the folder's name.")
    return {"label": "folder", **key, **({"unlabelled": no_class} if no_class else {})}
