"""A row of the table, as an experiment names it: a method with its options."""

from collections.abc import Sequence
from itertools import count
from typing import Annotated, Any, Literal

import pydantic
import yaml

from overproof.errors import InputError
from overproof.methods.composition import Method, override
from overproof.methods.published import method
from overproof.options import Options
from overproof.training.peer_rounds.peers import PeerOptions


def _counted(value: Any) -> Any:
    return {"most": value} if isinstance(value, int) and not isinstance(value, bool) else value


class MethodOptions(Options):
    """A method of the table.

    Args:
        method: By name; `overproof methods` lists them.
        name: Its name in the table, where one method is listed twice with different options.
        options: Its options by path, such as `noise.lower_bound` or `pool.loss.normalized`.
        pool: What it is distilled on: the `pool`, or the `original` data of the teacher. Both trainings have the same
            number of examples.
        train: Training options that differ for this method only.
        rounds: Peer rounds before the student is trained: how many at most, or options
            (`overproof.training.peer_rounds.peers`).
    """

    method: str
    name: str = ""
    options: dict[str, Any] = pydantic.Field({})
    pool: Literal["pool", "original"] = "pool"
    train: dict[str, Any] = pydantic.Field({})
    rounds: Annotated[PeerOptions, pydantic.BeforeValidator(_counted)] = PeerOptions()

    @property
    def row(self) -> str:
        """Its name in the table."""
        return self.name or self.method

    def build(self) -> Method:
        """The method with its options set."""
        built = method(self.method)
        for path, value in self.options.items():
            built = override(built, path, value)
        return built


def check_different_rows(rows: Sequence[MethodOptions]) -> None:
    """Check that no two rows of a table have one name.

    Args:
        rows: Of the table.

    Raises:
        InputError: Two have.
    """
    first: dict[str, MethodOptions] = {}
    for each in rows:
        other = first.setdefault(each.row, each)
        if other is each:
            continue
        if other.model_copy(update={"name": ""}) == each.model_copy(update={"name": ""}):
            raise InputError(f"Option 'methods' holds {each.row} twice, with the same options; leave one of them out.")
        names = {row.row for row in rows}
        free = next(name for number in count(2) if (name := f"{each.row}_{number}") not in names)
        own = each.model_dump(mode="json", exclude_defaults=True, exclude={"method", "name"})
        line = {"method": each.method, "name": free, **own}
        raise InputError(
            f"Option 'methods' holds {each.row} twice, and every row needs a name of its own; write one of them as "
            f"`{yaml.safe_dump(line, default_flow_style=True, width=2**30, sort_keys=False).strip()}`."
        )


def spelt_out(value: Any) -> Any:
    """A name alone stands for the method of that name."""
    return {"method": value} if isinstance(value, str) else value
