"""Which examples play which role: files read, classes matched by name, roles drawn, repetitions found."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import (
    Examples,
    aligned,
    beyond_groups,
    class_space,
    concatenate,
    duplicates,
    num_distinct,
    read,
    read_on_disk,
    remarks_on_copies,
    remarks_on_groups,
    remarks_on_labels,
    split,
    with_joined_groups,
)
from overproof.data.options import DataOptions, FileRole
from overproof.data.remarks import check_numbers, remarks_on, remarks_on_new_gaps
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.runs.experiment import MethodOptions
from overproof.runs.people.added_labels import with_added_labels

KNOWN_ENOUGH = 0.9
"""An oracle row is trained where the truth is known for this share of the pool, and on that share."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeedRoles:
    """The examples of one seed by role.

    Args:
        labelled: With known labels; empty where the run has none.
        pool: Its labels, where they are known, are used for the oracle row and for findings only; empty where the run
            has none.
        test: With known labels; only `evaluate` reads its inputs and labels.
        validation: With known labels, or None where there is no such role.
        original: The teacher's own training data, or None where it is not given.
    """

    labelled: Examples
    pool: Examples
    test: Examples
    validation: Examples | None
    original: Examples | None

    def by_role(self) -> dict[str, Examples]:
        """Everything that the teacher answers: all roles that have examples, the labelled ones first."""
        labelled = {"labelled": self.labelled} if len(self.labelled) else {}
        return {**labelled, **self.others()}

    def others(self) -> dict[str, Examples]:
        """Everything that the teacher answers besides the labelled examples."""
        named = {"pool": self.pool, "test": self.test, "validation": self.validation, "original": self.original}
        return {role: examples for role, examples in named.items() if examples is not None and len(examples)}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Roles:
    """The roles of a run before any seed has drawn its labelled examples.

    Args:
        options: How roles are drawn.
        fixed: Roles that are the same for every seed; `train` holds labelled and pool examples where both are drawn
            from one file.
        class_names: The shared classes in order.
        repeated: How many examples of each role are in the test too.
        remarks: What is to be known of the files, in sentences.
    """

    options: DataOptions
    fixed: Mapping[str, Examples]
    class_names: tuple[str, ...]
    repeated: Mapping[str, int]
    remarks: tuple[str, ...] = ()
    _remarks: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _last: dict[int, SeedRoles] = field(default_factory=dict)

    @property
    def reported(self) -> Mapping[str, int]:
        """The repetitions to be reported: none where they were dropped."""
        return self.repeated if self.options.duplicates == "report" else {}

    @property
    def on_disk(self) -> bool:
        """Whether inputs of some role are on disk."""
        return any(each.mapped is not None for each in self.fixed.values())

    def for_seed(self, seed: int) -> SeedRoles:
        """The examples of one seed by role, with their true labels."""
        # The last seed's are kept: to draw from ten million rows takes seconds.
        if seed not in self._last:
            drawn = self._drawn(seed)
            self._last.clear()
            self._last[seed] = drawn
        return self._last[seed]

    def _drawn(self, seed: int) -> SeedRoles:
        rows, fixed = _numbers(self.options), dict(self.fixed)
        if "train" in fixed:
            train = fixed.pop("train")
            counts = {"labelled": rows["labelled"]}
            if "pool" not in fixed:
                left = len(train) - rows["labelled"]
                counts["pool"] = min(rows.get("pool", left), left)
            fixed.update(split(train, counts, seed, rest="pool"))
        elif rows.get("labelled"):
            fixed["labelled"] = split(fixed["labelled"], {"labelled": rows["labelled"]}, seed)["labelled"]
        if "validation" in fixed:
            unseen = ~_shared(fixed["validation"], fixed["labelled"])
            if not unseen.any():
                raise InputError(
                    f"All {len(unseen)} validation examples are labelled examples too, or in one of their groups; no "
                    f"teacher can be judged on them. Give others, or leave the role out."
                )
            fixed["validation"] = fixed["validation"].take(unseen)
        return SeedRoles(
            labelled=fixed["labelled"],
            pool=fixed["pool"],
            test=fixed["test"],
            validation=fixed.get("validation"),
            original=fixed.get("original"),
        )

    def remarks_for(self, seed: int) -> tuple[str, ...]:
        """`remarks`, and what is to be known of the labelled examples that a seed has drawn."""
        if seed not in self._remarks:
            self._remarks[seed] = self._remarks_for(seed)
        return self._remarks[seed]

    def _remarks_for(self, seed: int) -> tuple[str, ...]:
        drawn = self.for_seed(seed).by_role()
        files = self.options.files
        column = next((files[role].group for role in ("labelled", "all") if role in files), None)
        copies = remarks_on_copies(drawn["labelled"]) if "labelled" in drawn else []
        left_out = len(self.fixed["validation"]) - len(drawn["validation"]) if "validation" in drawn else 0
        dropped = [
            f"{left_out} validation examples are labelled examples too, or in one of their groups, and left out: the "
            f"teacher may have been trained on them."
        ]
        test = self.fixed["test"]
        if (distinct := num_distinct(test)) < len(test):
            copies.append(
                f"{test.origin}: {len(test)} test examples have {distinct} different contents; each counts once in "
                f"metrics and their intervals."
            )
        if "train" in self.fixed:
            parts: dict[str, Examples] = {
                role: drawn[role] for role in ("labelled", "pool") if role in drawn and role not in self.fixed
            }
            copies += _remark_beyond(self.fixed["train"], parts)
        own = [*remarks_on_new_gaps(drawn), *copies, *(dropped if left_out else []), *remarks_on_groups(drawn, column)]
        return (*self.remarks, *own)

    def all_examples(self, seeds: tuple[int, ...]) -> Examples:
        """Every example that the teacher answers under any of the seeds."""
        by_seed = [self.for_seed(seed) for seed in seeds]
        first = by_seed[0]
        if "train" in self.fixed:
            drawn = [self.fixed["train"], *([self.fixed["pool"]] if "pool" in self.fixed else [])]
        else:
            drawn = [first.pool, *(roles.labelled for roles in by_seed)]
        asked = [*drawn, first.test, first.validation, first.original]
        return concatenate([examples for examples in asked if examples is not None and len(examples)])


def _shared(examples: Examples, others: Examples) -> NDArray[np.bool_]:
    """[N], which examples have the content of one of the others, or are in one of their groups."""
    shared = np.zeros(len(examples), bool)
    shared[duplicates(examples, others)] = True
    if examples.group is not None and others.group is not None:
        known = pc.is_in(examples.group, others.group.drop_null(), skip_nulls=True)
        shared |= known.to_numpy(zero_copy_only=False)
    return shared


def knows_truth(label: Tensor) -> bool:
    """Whether enough of a pool's labels are known for an oracle row.

    Args:
        label: [N], the pool's labels, negative where unknown.
    """
    return len(label) > 0 and (label >= 0).double().mean().item() >= KNOWN_ENOUGH


def check_budgets(methods: Iterable[MethodOptions], pool: Examples) -> None:
    """Reject a budget larger than the pool before the teacher answers all of it.

    Args:
        methods: The rows of the table.
        pool: What is selected from.

    Raises:
        InputError: A budget, or all quotas together, exceed the pool; the message names the row and the option.
    """
    for each in methods:
        selector = each.build().select
        for option, num_classes in (("budget", 1), ("quota", len(pool.class_names))):
            asked = getattr(selector, option, 0)
            if asked >= 1 and asked * num_classes > len(pool):
                of_each = f" of each of {num_classes} classes" if option == "quota" else ""
                raise InputError(
                    f"Option 'select.{option}' of method {each.row!r} is {asked}{of_each}, but the pool has only "
                    f"{len(pool)} rows."
                )


def read_roles(options: DataOptions, folder: Path | None = None, reading: Callable[..., Examples] = read) -> Roles:
    """Read every file and draw the roles that are the same for all seeds.

    Args:
        options: Which files, and how roles are drawn.
        folder: Where the inputs of large files are kept; None holds everything in memory.
        reading: A function like `overproof.data.read`; another one may keep files it has read.

    Raises:
        InputError: A file cannot be read, roles have different classes, or a file has fewer examples than are drawn.
    """
    rows: dict[str, int] = {role: count for role, count in _numbers(options).items() if count}
    absent = [role for role in options.rows if options.without(role)]
    sets: dict[str, Examples] = {role: _read(options, role, folder, reading) for role in options.files}
    remarks: list[str] = []
    for file, source in options.files.items():
        check_numbers(source, sets[file])
        remarks += remarks_on(source, file, sets[file])
        if file in ("all", "labelled", "validation", "test"):
            remarks += remarks_on_labels(sets[file])
    if options.labels:
        sets, added = with_added_labels(sets, options.labels, options.rows)
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
        remarks += _remark_beyond(whole, parts)
        sets.update(parts)
    named = dict(sets)
    if "train" in named:
        named["labelled"] = named.pop("train")
    class_names = class_space(named, shown_by="test" if "labelled" in absent else "labelled")
    sets = aligned(sets, class_names)
    for role in ("test", "validation", *(["labelled"] if "train" not in sets else [])):
        _need_labels(sets, role)
    nothing = np.arange(0)
    sets.update({role: sets["test"].take(nothing) for role in absent})
    repeated = {role: duplicates(sets[role], sets["test"]) for role in sets if role != "test"}
    if options.duplicates == "drop":
        for role, found in repeated.items():
            kept = np.setdiff1d(np.arange(len(sets[role])), found)
            sets[role] = sets[role].take(kept)
    return Roles(
        options=options,
        fixed={role: each.settled() for role, each in sets.items()},
        class_names=class_names,
        repeated={role: len(found) for role, found in repeated.items()},
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _numbers(options: DataOptions) -> dict[str, int]:
    return {role: number for role, number in options.rows.items() if isinstance(number, int)}


def _num_labelled_beside(whole: Examples, drawn: Mapping[str, int], seed: int) -> int:
    """How many rows with a label are left for `labelled: all` when other roles are drawn, and are in none of their
    groups.

    Raises:
        InputError: None is left.
    """
    parts = split(whole, {**drawn, "train": 1}, seed, rest="train") if drawn else {}
    free = np.asarray(whole.label >= 0)
    for role in drawn:
        free &= ~_shared(whole, parts[role])
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


def _remark_beyond(examples: Examples, parts: Mapping[str, Examples]) -> list[str]:
    """A sentence if rows are in no role because others of their group are."""
    left_out = beyond_groups(examples, parts) if len(parts) > 1 else 0
    if not left_out:
        return []
    # Labelled and pool examples are drawn together first.
    counts = listed(f"{len(part)} {'labelled and pool' if role == 'train' else role}" for role, part in parts.items())
    return [
        f"{examples.origin}: {left_out} rows are in no role, because rows of their group are in one and no group is in "
        f"two; drawn are {counts}."
    ]


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
            f"{sets[role].origin}, row {int(unknown[0])}: the label is unknown; every {role} example needs one "
            f"({len(unknown)} have none)."
        )
