"""The options under `data`: which files and how many rows each role of a run gets."""

from dataclasses import replace
from typing import Any, Literal

import pydantic

from overproof.data import Source, num_bytes
from overproof.errors import InputError
from overproof.synthetic.label_options import LabelNoise

Role = Literal["labelled", "pool", "test", "validation", "original"]
FileRole = Literal["all", "labelled", "pool", "test", "validation", "original"]

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
            are labelled is drawn for each seed. `original` is the teacher's own training data, if available: it has
            its own file, and a row with `pool: original` is distilled on it, for comparison.
        group: The column of every file that names what several rows come from, such as a patient, an author or a
            thread; `group` of one of the `files` names it for that file alone. Rows of one group are never both trained
            on and judged: they are in one fold, intervals count groups, and no group is in two of the roles that are
            drawn from `all`. It is not a feature.
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
    rows: dict[Role, pydantic.NonNegativeInt | Literal["all"]] = {}
    group: str | None = None
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
        if odd := [role for role, number in self.rows.items() if number == "all" and role != "labelled"]:
            raise InputError(
                f"Option 'data.rows.{odd[0]}' is 'all'; give a number (only 'labelled' may take every row that has a "
                f"label), or a file of its own in 'data.files.{odd[0]}'."
            )
        empty: list[str] = [role for role in self.rows if self.without(role)]
        for role in empty:
            if role not in ("labelled", "pool"):
                raise InputError(f"Option 'data.rows.{role}' is 0; only 'labelled' or 'pool' may be empty.")
            if role in files:
                raise InputError(f"Option 'data.rows.{role}' is 0, but 'data.files' has a file for it; leave one out.")
        if len(empty) == 2:
            raise InputError("Option 'data.rows' sets both 'labelled' and 'pool' to 0; one of them is needed.")
        roles_needed = [role for role in ("labelled", "pool", "test") if role not in empty]
        missing = [role for role in roles_needed if role not in files and "all" not in files]
        if missing:
            zero = "" if missing[0] == "test" else f"; set 'data.rows.{missing[0]}: 0' if there is none"
            raise InputError(f"Option 'data.files' has no {missing[0]!r} and no 'all' to draw it from{zero}.")
        if "original" in self.rows and "original" not in files:
            raise InputError("Option 'data.rows' has a number of 'original' examples, but 'data.files' has no file.")
        drawn = [role for role in ("labelled", "test", "validation") if role not in files and "all" in files]
        for role in drawn:
            if role not in self.rows and role != "validation":
                raise InputError(f"Option 'data.rows' must have the number of {role!r} examples to draw from 'all'.")
        return self
