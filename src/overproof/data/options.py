"""Which examples play which role in a run, as data."""

from typing import Literal

import pydantic

from overproof.data import Source, num_bytes
from overproof.errors import InputError
from overproof.synthetic.label_options import LabelNoise

Role = Literal["labelled", "pool", "test", "validation", "original"]
FileRole = Literal["all", "labelled", "pool", "test", "validation", "original"]

LARGE_BYTES = 2**30
"""Files that would take more memory than this are read into arrays on disk, unless the options say otherwise."""


class DataOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Which examples play which role.

    Args:
        files: A file for each role that has its own; roles without one are drawn from `all`, disjoint by content.
        rows: How many examples a role takes; `pool` defaults to all that is left, a role with its own file to all of
            it. Zero says that there are none at all (of labelled examples, or of a pool). What is drawn for `test`,
            `validation` and the pool together with the labelled ones is the same for every seed; which of them are
            labelled is drawn anew by every seed. `original` is the teacher's own training data, where it is at hand: it
            has a file of its own, and a row with `pool: original` is distilled on it, for comparison.
        draw_seed: Decides what is the same for every seed.
        duplicates: What to do with labelled and pool examples that also stand in the test: `report` or `drop`
            them.
        unknown_is_foreign: A pool example without a label is known to belong to no class, so that the results can say
            which share of a selection is in-domain. Methods do not see it.
        label_noise: For experiments: corrupts given labels (`overproof.synthetic.label_options`).
        on_disk: Where inputs lie while students are trained: in memory (`never`), in memory-mapped arrays beside the
            run (`always`), or there for each role whose files are larger than 1 GiB (`auto`; packed ones count four
            times). It changes no byte of the result.
    """

    files: dict[FileRole, Source]
    rows: dict[Role, pydantic.NonNegativeInt] = {}
    draw_seed: int = 0
    duplicates: Literal["report", "drop"] = "report"
    unknown_is_foreign: bool = False
    label_noise: LabelNoise = LabelNoise()
    on_disk: Literal["auto", "always", "never"] = "auto"

    def without(self, role: Role) -> bool:
        """Whether the run says that it has no examples of a role."""
        return self.rows.get(role) == 0

    def lies_on_disk(self, role: FileRole) -> bool:
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
        empty: list[str] = [role for role in self.rows if self.without(role)]
        for role in empty:
            if role not in ("labelled", "pool"):
                raise InputError(f"Option 'data.rows.{role}' is 0; only 'labelled' or 'pool' can be done without.")
            if role in files:
                raise InputError(f"Option 'data.rows.{role}' is 0, but 'data.files' has a file for it; leave one out.")
        if len(empty) == 2:
            raise InputError(
                "Option 'data.rows' says that there are neither labelled examples nor a pool; one is needed."
            )
        roles_needed = [role for role in ("labelled", "pool", "test") if role not in empty]
        missing = [role for role in roles_needed if role not in files and "all" not in files]
        if missing:
            zero = "" if missing[0] == "test" else f"; 'data.rows.{missing[0]}: 0' says that there is none"
            raise InputError(f"Option 'data.files' has no {missing[0]!r} and no 'all' to draw it from{zero}.")
        if "original" in self.rows and "original" not in files:
            raise InputError("Option 'data.rows' says how many 'original' examples to take, but it has no file.")
        drawn = [role for role in ("labelled", "test", "validation") if role not in files and "all" in files]
        for role in drawn:
            if role not in self.rows and role != "validation":
                raise InputError(f"Option 'data.rows' must say how many {role!r} examples to draw from 'all'.")
        return self
