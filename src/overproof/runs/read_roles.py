"""Reads the files of a run: classes matched by name, the roles of all seeds drawn, repetitions found."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from overproof.data import (
    Examples,
    aligned,
    class_space,
    duplicates,
    num_distinct,
    read,
    read_on_disk,
    remarks_on_labels,
    split,
    with_joined_groups,
)
from overproof.data.examples import check_same_columns
from overproof.data.options import DataOptions, FileRole
from overproof.data.remarks import check_numbers, remarks_on
from overproof.data.wording import at_row, listed
from overproof.errors import InputError
from overproof.runs.people.added_labels import with_added_labels
from overproof.runs.roles import Roles, numbers_of, remark_beyond, shared_rows


def read_roles(
    options: DataOptions,
    folder: Path | None = None,
    reading: Callable[..., Examples] = read,
    classes: Sequence[str] = (),
    *,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Roles:
    """Read every file and draw the roles that are the same for all seeds.

    Args:
        options: Which files, and how roles are drawn.
        folder: Where the inputs of large files are kept; None holds everything in memory.
        reading: A function like `overproof.data.read`; another one may keep files it has read.
        classes: The classes of the teacher, which count where no example has a label.
        aliases: What people's labels in `data.labels` may call the classes too
            (`overproof.runs.experiment.Experiment.aliases`).

    Raises:
        InputError: A file cannot be read, roles have different classes, or a file has fewer examples than are drawn.
    """
    rows: dict[str, int] = {role: count for role, count in numbers_of(options).items() if count}
    absent = [role for role in options.rows if options.without(role)] + ["test"] * options.cross_validated
    in_one_width, remarks = options.in_one_width()
    sets: dict[str, Examples] = {role: _read(in_one_width, role, folder, reading) for role in options.files}
    if tables := [each for each in sets.values() if each.kind == "table"]:
        check_same_columns(tables)
    for file, source in options.files.items():
        check_numbers(source, sets[file])
        remarks += remarks_on(source, file, sets[file])
        if file in ("all", "labelled", "validation", "test"):
            remarks += remarks_on_labels(sets[file])
    if options.labels:
        sets, added = with_added_labels(sets, options.labels, options.rows, aliases)
        remarks += added
    whole = sets.pop("all", None)
    for role in ("pool", "test", "validation", "original"):
        if role in sets and role in rows:
            wanted = _without_repeats(sets[role], {role: rows[role]}, role, remarks)
            sets[role] = split(sets[role], wanted, options.draw_seed)[role]
    if whole is not None:
        whole = with_joined_groups(whole)
        drawn: dict[str, int] = {
            role: rows[role] for role in ("test", "validation") if role not in sets and role in rows
        }
        if every_label := options.rows.get("labelled") == "all":
            rows["labelled"] = _num_labelled_beside(whole, drawn, options.draw_seed)
            options = options.model_copy(update={"rows": {**options.rows, "labelled": rows["labelled"]}})
        left = num_distinct(whole) - sum(drawn.values())
        if "labelled" not in sets and "labelled" not in absent:
            drawn["labelled"] = rows["labelled"]
            left -= rows["labelled"]
        if "pool" not in sets and "pool" not in absent:
            if every_label and "pool" not in rows and left < 1:
                raise InputError(
                    f"Option 'data.rows.labelled' is 'all', and every row of {whole.origin} has a label, so that no "
                    f"pool is left; give a number instead, a pool in 'data.files.pool', or set 'data.rows.pool: 0'."
                )
            drawn["pool"] = rows.get("pool", left)
        drawn = _without_repeats(whole, drawn, "pool", remarks)
        _need_enough(whole, drawn)
        needed = {"train": drawn["labelled"]} if "labelled" in drawn else {}
        # Which of them are labelled is every seed's own draw.
        if "labelled" in drawn:
            others = left if "pool" in absent else 0
            drawn["train"] = drawn.pop("labelled") + drawn.pop("pool", others)
        rest = None if "pool" in rows else "train" if "train" in drawn else "pool"
        parts = split(whole, drawn, options.draw_seed, labels_needed=needed, rest=rest)
        remarks += remark_beyond(whole, parts)
        sets.update(parts)
    named = dict(sets)
    if "train" in named:
        named["labelled"] = named.pop("train")
    shown_by = _shows_classes(named, absent, classes)
    class_names = class_space(named, shown_by=shown_by) if shown_by else tuple(classes)
    sets = aligned(sets, class_names)
    for role in ("test", "validation", *(["labelled"] if "train" not in sets else [])):
        _need_labels(sets, role)
    nothing = np.arange(0)
    sets.update({role: next(iter(sets.values())).take(nothing) for role in absent})
    made = Roles(
        options=options,
        fixed={role: each.settled() for role, each in sets.items()},
        class_names=class_names,
        repeated={},
        remarks=tuple(dict.fromkeys(remarks)),
    )
    return _with_repeated(made)


def _with_repeated(roles: Roles) -> Roles:
    """The same roles with the number of examples of each that judge too, or without these where they are dropped."""
    judged = ("test", *(("train", "labelled", "validation") if roles.options.cross_validated else ()))
    judging = roles.for_seed(roles.options.draw_seed).judging if roles.options.cross_validated else roles.fixed["test"]
    found = {role: duplicates(each, judging) for role, each in roles.fixed.items() if role not in judged}
    fixed = dict(roles.fixed)
    if roles.options.duplicates == "drop":
        for role, rows in found.items():
            fixed[role] = fixed[role].take(np.setdiff1d(np.arange(len(fixed[role])), rows))
    return replace(roles, fixed=fixed, repeated={role: len(rows) for role, rows in found.items()})


def _shows_classes(sets: Mapping[str, Examples], absent: Collection[str], classes: Sequence[str]) -> str:
    """The role whose examples show which classes there are; empty where the teacher's are to be taken."""
    there = [role for role in ("labelled", "test", "validation", "original") if role in sets and role not in absent]
    known = there or [role for role in ("pool",) if bool((sets[role].label >= 0).any())]
    if not known and not classes:
        raise InputError(
            "No example has a label, so nothing says which classes there are; give labelled rows, or name the classes "
            "of the teacher in 'teacher.classes'."
        )
    return known[0] if known else ""


def _num_labelled_beside(whole: Examples, drawn: Mapping[str, int], seed: int) -> int:
    """How many rows with a label are left for `labelled: all` when other roles are drawn, and are in none of their
    groups.

    Raises:
        InputError: None is left.
    """
    parts = split(whole, {**drawn, "train": 1}, seed, rest="train") if drawn else {}
    free = np.asarray(whole.label >= 0)
    for role in drawn:
        free &= ~shared_rows(whole, parts[role])
    if not free.any():
        asked = listed(drawn)
        raise InputError(
            f"Option 'data.rows.labelled' is 'all', but {whole.origin} has no row with a known label"
            f"{f' beside those drawn for {asked}' if drawn else ''}; at least one is needed, or set it to 0."
        )
    return num_distinct(whole.take(np.flatnonzero(free)))


def _read(options: DataOptions, role: FileRole, folder: Path | None, reading: Callable[..., Examples]) -> Examples:
    source = options.files[role]
    if folder is not None and options.is_on_disk(role):
        return read_on_disk(source, role=role, folder=folder)
    return reading(source, role=role)


def _without_repeats(examples: Examples, drawn: Mapping[str, int], role: str, remarks: list[str]) -> dict[str, int]:
    """The numbers to draw: a role that would take every row of a file takes rows of the same content once.

    Adds a remark where rows are repeated.
    """
    repeats = len(examples) - num_distinct(examples)
    if not repeats:
        return dict(drawn)
    short = sum(drawn.values()) - (len(examples) - repeats)
    sentence = (
        f"{examples.origin}: {repeats} of {len(examples)} rows have the same content as another row; rows of the same "
        f"content are drawn once"
    )
    if role not in drawn or not 0 < short <= repeats or short >= drawn[role]:
        remarks.append(f"{sentence}.")
        return dict(drawn)
    fewer = drawn[role] - short
    remarks.append(f"{sentence}, so {role!r} has {fewer} rows instead of {drawn[role]}.")
    return {**drawn, role: fewer}


def _need_enough(whole: Examples, drawn: Mapping[str, int]) -> None:
    distinct = num_distinct(whole)
    if sum(drawn.values()) > distinct or min(drawn.values()) < 1:
        asked = ", ".join(f"{count} {role}" for role, count in drawn.items())
        raise InputError(
            f"Option 'data.rows' asks for {asked} examples, but {whole.origin} has {distinct} distinct ones."
        )


def _need_labels(sets: Mapping[str, Examples], role: str) -> None:
    if role not in sets:
        return
    unknown = (sets[role].label < 0).nonzero()
    if len(unknown):
        raise InputError(
            f"{sets[role].origin} has no label in {len(unknown)} of {len(sets[role])} rows, the first "
            f"{at_row(int(unknown[0]))}; every {role} example needs one."
        )
