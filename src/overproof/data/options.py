"""The options under `data`: which files and how many rows each role of a run gets."""

from dataclasses import replace
from typing import Any, Literal

import pydantic

from overproof.data import Source, num_bytes
from overproof.data.open_source import in_one_width
from overproof.errors import InputError
from overproof.synthetic.label_options import LabelNoise

Role = Literal["labelled", "pool", "test", "validation", "original"]
FileRole = Literal["all", "labelled", "pool", "test", "validation", "original"]

CROSS_VALIDATE = "cross-validate"
"""In place of a number of test examples: the labelled rows judge, each one students that were trained without it."""

LARGE_BYTES = 2**30
"""Files that would take more memory than this are read into arrays on disk, unless `on_disk` is set."""


class DataOptions(pydantic.BaseModel, frozen=True, extra="forbid", ser_json_inf_nan="constants"):
    """Which examples have which role.

    Args:
        files: A file for each role that has its own; roles without one are drawn from `all`, disjoint by content.
        rows: Number of examples of a role; the default for `pool` is all that is left, for a role with its own file all
            of it. `labelled: all` takes every row of `all` with a label that is not drawn for `test` or `validation`.
            Zero means that there are none (no labelled examples, or no pool). The examples drawn for `test`, for
            `validation`, and for the pool and the labelled ones together are the same for every seed; which of the last
            are labelled is drawn for each seed. `test: cross-validate`, the default without a test, judges on the
            labelled rows, each by students whose training never saw its label (`folds`); which rows are labelled is
            then the same for every seed. `test: 0` trains without any estimate: nothing is judged. `original` is the
            teacher's own training data, if available: it has its own file, and a row with `pool: original` is distilled
            on it, for comparison.
        group: The column of every file that names what several rows come from, such as a patient, an author or a
            thread; `group` of one of the `files` names it for that file alone. Rows of one group are never both trained
            on and judged: they are in one fold, intervals count groups, and no group is in two of the roles that are
            drawn from `all`. It is not a feature.
        folds: Parts of the labelled rows, by content and group, where they are cross-validated: every row of the table
            is trained once for each part, on the others, beside the student that is trained on all of them.
        draw_seed: Seed of the draws that are the same for every seed.
        duplicates: What to do with labelled and pool examples whose content is also in the test: `report` or `drop`
            them.
        unknown_is_foreign: A pool example without a label belongs to no class, so that the results can report which
            share of a selection is in-domain. Methods do not use it.
        labels: Files of `overproof next --purpose random` that people filled in: their labels are added to the labelled
            examples.
        label_noise: For experiments: corrupts given labels (`overproof.synthetic.label_options`).
        on_disk: Where inputs are kept during training: in memory (`never`), in memory-mapped arrays in the output
            folder (`always`), or there for each role whose files are larger than 1 GiB (`auto`; compressed ones count
            four times). The result is the same, byte for byte.
    """

    files: dict[FileRole, Source]
    rows: dict[Role, pydantic.NonNegativeInt | Literal["all", "cross-validate"]] = {}
    group: str | None = None
    folds: int = pydantic.Field(5, ge=2)
    draw_seed: int = 0
    duplicates: Literal["report", "drop"] = "report"
    unknown_is_foreign: bool = False
    labels: tuple[str, ...] = ()
    label_noise: LabelNoise = LabelNoise()
    on_disk: Literal["auto", "always", "never"] = "auto"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _every_file_has_the_group(cls, given: Any) -> Any:
        """Write the group into the options of the files, which read it."""
        files = given.get("files") if isinstance(given, dict) else None
        if not isinstance(files, dict) or (name := given.get("group")) is None:
            return given

        def with_group(file: Any) -> Any:
            if isinstance(file, Source):
                return file if file.group is not None else replace(file, group=name)
            return {"group": name, **file} if isinstance(file, dict) else file

        return {**given, "files": {role: with_group(file) for role, file in files.items()}}

    @pydantic.field_validator("labels", mode="before")
    @classmethod
    def _one_path_is_a_list(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @pydantic.model_validator(mode="before")
    @classmethod
    def _all_of_a_role_is_its_default(cls, given: Any) -> Any:
        """Leave out `all` where it is the default: for a role with a file of its own, and for the pool."""
        rows, files = (given.get(name) if isinstance(given, dict) else None for name in ("rows", "files"))
        if not isinstance(rows, dict) or not isinstance(files, dict):
            return given
        default = {"pool", *files}
        return {**given, "rows": {role: num for role, num in rows.items() if num != "all" or role not in default}}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_a_test_labelled_rows_judge(cls, given: Any) -> Any:
        """Write down how students are judged where there is no test: by labelled rows, or without any not at all."""
        rows, files = (given.get(name, {}) if isinstance(given, dict) else None for name in ("rows", "files"))
        if not isinstance(rows, dict) or not isinstance(files, dict) or "test" in {*rows, *files}:
            return given
        return {**given, "rows": {**rows, "test": 0 if rows.get("labelled") == 0 else CROSS_VALIDATE}}

    def number_of(self, role: Role) -> int | None:
        """The number of examples of a role, where the options have one."""
        number = self.rows.get(role)
        return number if isinstance(number, int) else None

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation role, from a file of its own or drawn."""
        return "validation" in {*self.files, *self.rows}

    def without(self, role: Role) -> bool:
        """Whether the options declare that there are no examples of a role."""
        return self.rows.get(role) == 0

    @property
    def has_test(self) -> bool:
        """Whether there is a test, from a file of its own or drawn."""
        return not self.cross_validated and not self.without("test")

    @property
    def cross_validated(self) -> bool:
        """Whether students are judged on the labelled rows, fold by fold."""
        return self.rows.get("test") == CROSS_VALIDATE

    def in_one_width(self) -> tuple["DataOptions", list[str]]:
        """The same with one number of features for all files of LIBSVM, and what is to be said of it.

        Raises:
            InputError: As `overproof.data.open_source.in_one_width`.
        """
        files, remarks = in_one_width({str(role): each for role, each in self.files.items()})
        return self.model_copy(update={"files": files}), remarks

    def is_on_disk(self, role: FileRole) -> bool:
        """Whether the inputs of a role with a file of its own are read into arrays on disk.

        Raises:
            InputError: If there is no such file.
        """
        if self.on_disk != "auto":
            return self.on_disk == "always"
        return num_bytes(self.files[role], role=role) > LARGE_BYTES

    @pydantic.model_validator(mode="after")
    def _every_role_has_a_source(self) -> "DataOptions":
        files = self.files
        allowed = {("labelled", "all"), ("test", CROSS_VALIDATE)}
        words = [(role, number) for role, number in self.rows.items() if isinstance(number, str)]
        if wrong := [(role, word) for role, word in words if word == CROSS_VALIDATE and role != "test"]:
            raise InputError(
                f"Option 'data.rows.{wrong[0][0]}' is {CROSS_VALIDATE!r}; only 'data.rows.test' may be; give a number."
            )
        if odd := [role for role, word in words if (role, word) not in allowed]:
            raise InputError(
                f"Option 'data.rows.{odd[0]}' is 'all'; give a number (only 'labelled' may take every row that has a "
                f"label), or a file of its own in 'data.files.{odd[0]}'."
            )
        empty: list[str] = [role for role in self.rows if self.without(role)]
        for role in empty:
            if role not in ("labelled", "pool", "test"):
                raise InputError(f"Option 'data.rows.{role}' is 0; only 'labelled', 'pool' or 'test' may be empty.")
        for role, number in self.rows.items():
            if role in files and (number == 0 or number == CROSS_VALIDATE):
                raise InputError(
                    f"Option 'data.rows.{role}' is {number!r}, but 'data.files' has a file for it; leave one out."
                )
        if {"labelled", "pool"} <= set(empty):
            raise InputError("Option 'data.rows' sets both 'labelled' and 'pool' to 0; one of them is needed.")
        if self.cross_validated and "labelled" in empty:
            raise InputError(
                "Option 'data.rows.test' is 'cross-validate', but there are no labelled rows to judge on; give a test "
                "in 'data.files.test', or set 'data.rows.test: 0' to train without an estimate."
            )
        drawn_or_file = [role for role in ("labelled", "pool", "test") if role not in empty]
        roles_needed = [role for role in drawn_or_file if not (role == "test" and self.cross_validated)]
        missing = [role for role in roles_needed if role not in files and "all" not in files]
        if missing:
            zero = f"; set 'data.rows.{missing[0]}: 0' if there is none"
            raise InputError(f"Option 'data.files' has no {missing[0]!r} and no 'all' to draw it from{zero}.")
        if "original" in self.rows and "original" not in files:
            raise InputError("Option 'data.rows' has a number of 'original' examples, but 'data.files' has no file.")
        drawn = [role for role in ("labelled", "test", "validation") if role not in files and "all" in files]
        for role in drawn:
            if role not in self.rows and role != "validation":
                raise InputError(f"Option 'data.rows' must have the number of {role!r} examples to draw from 'all'.")
        return self
