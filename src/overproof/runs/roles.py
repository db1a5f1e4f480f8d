"""Which examples play which role in a seed, and in a fold of the labelled rows that is judged without its labels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.cross_fitting import folds, rows_within, rows_without
from overproof.data import (
    Examples,
    beyond_groups,
    by_content,
    concatenate,
    duplicates,
    num_distinct,
    remarks_on_copies,
    remarks_on_groups,
    repeats_in,
    split,
)
from overproof.data.options import DataOptions
from overproof.data.remarks import remarks_on_new_gaps
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.runs.asking.draws import Draws
from overproof.runs.experiment import MethodOptions
from overproof.seeds import derived_seed

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
        fold: [n], the fold of every labelled example, where these judge in place of a test; else empty.
    """

    labelled: Examples
    pool: Examples
    test: Examples
    validation: Examples | None
    original: Examples | None
    fold: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    @property
    def judging(self) -> Examples:
        """The examples that students are judged on: the test, or without one the labelled rows, cross-validated."""
        return self.labelled if len(self.fold) else self.test

    def without_fold(self, number: int) -> "SeedRoles":
        """The same roles for students that are judged on one fold: its rows are the test, and labelled no more.

        Args:
            number: Of the fold, from 0.
        """
        kept, judging = rows_without(self.fold, number), rows_within(self.fold, number)
        return replace(self, labelled=self.labelled.take(kept), test=self.labelled.take(judging), fold=self.fold[:0])

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
        held_fold: The fold of the labelled rows that is judged and not trained on; None for all other runs.
        draws: How rows of the pool were drawn to be answered; None where nothing says so.
    """

    options: DataOptions
    fixed: Mapping[str, Examples]
    class_names: tuple[str, ...]
    repeated: Mapping[str, int]
    remarks: tuple[str, ...] = ()
    held_fold: int | None = None
    draws: Draws | None = None
    # Of these roles alone: `dataclasses.replace` begins them anew.
    _remarks: dict[int, tuple[str, ...]] = field(default_factory=dict, init=False)
    _last: dict[int, SeedRoles] = field(default_factory=dict, init=False)

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
            if self.options.cross_validated:
                drawn = replace(drawn, fold=_folds(drawn.labelled, self.options.folds, seed))
            if self.held_fold is not None:
                drawn = drawn.without_fold(self.held_fold)
            self._last.clear()
            self._last[seed] = drawn
        return self._last[seed]

    def holding(self, fold: int) -> "Roles":
        """The roles for students that are judged on one fold of the labelled rows, without its labels.

        Args:
            fold: Its number, from 0.
        """
        return replace(self, held_fold=fold)

    def _drawn(self, seed: int) -> SeedRoles:
        rows, fixed = numbers_of(self.options), dict(self.fixed)
        # What judges is the same for every seed.
        seed = self.options.draw_seed if self.options.cross_validated else seed
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
            unseen = ~shared_rows(fixed["validation"], fixed["labelled"])
            if not unseen.any():
                raise InputError(
                    f"All {len(unseen)} validation examples are labelled examples too, or in one of their groups; no "
                    f"teacher can be judged on them. Give others, or leave the role out."
                )
            fixed["validation"] = fixed["validation"].take(unseen)
        if self.options.cross_validated:
            # In an order that neither the file nor the draw decides.
            fixed["labelled"] = by_content(fixed["labelled"])
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
            copies += remark_beyond(self.fixed["train"], parts)
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


def shared_rows(examples: Examples, others: Examples) -> NDArray[np.bool_]:
    """[N], which examples have the content of one of the others, or are in one of their groups.

    Args:
        examples: N examples.
        others: Of the same kind.
    """
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


def _folds(labelled: Examples, num_folds: int, seed: int) -> Tensor:
    """[n], the fold of every labelled row.

    Raises:
        InputError: There are fewer contents or groups than folds.
    """
    try:
        return folds(labelled.label, num_folds, derived_seed(seed, "cross-validation"), repeats_in(labelled).group)
    except InputError as error:
        raise InputError(
            f"{labelled.origin} cannot be cross-validated: {str(error).rstrip('.')} (data.folds), give a test, or set "
            f"'data.rows.test: 0' to train without an estimate."
        ) from None


def numbers_of(options: DataOptions) -> dict[str, int]:
    """The numbers of examples that the options have, by role.

    Args:
        options: How roles are drawn.
    """
    return {role: number for role, number in options.rows.items() if isinstance(number, int)}


def remark_beyond(examples: Examples, parts: Mapping[str, Examples]) -> list[str]:
    """A sentence if rows are in no role because others of their group are.

    Args:
        examples: The set that the roles were drawn from.
        parts: The roles.
    """
    left_out = beyond_groups(examples, parts) if len(parts) > 1 else 0
    if not left_out:
        return []
    # Labelled and pool examples are drawn together first.
    counts = listed(f"{len(part)} {'labelled and pool' if role == 'train' else role}" for role, part in parts.items())
    return [
        f"{examples.origin}: {left_out} rows are in no role, because rows of their group are in one and no group is in "
        f"two; drawn are {counts}."
    ]
