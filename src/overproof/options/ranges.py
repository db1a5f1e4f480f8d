"""Ranges of numbers as annotations, and what an annotation allows in plain English."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, Field

from overproof.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Budget = Annotated[int, Field(ge=1)] | InnerShare
"""Rows to keep, or the share of them."""
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


def allowed(hint: Any) -> str:
    """What an annotation allows, in plain English for error messages.

    Args:
        hint: Of a plain option.

    Example:
        >>> allowed(PositiveShare), allowed(Count | Literal["auto"])
        ('a number in (0, 1]', "a whole number of at least 1 or 'auto'")
        >>> allowed(tuple[Finite, ...])
        'a list of finite numbers'
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(allowed, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple:
        return f"a list of {allowed(inner[0]).removeprefix('a ').replace('number', 'numbers', 1)}"
    if origin is not Annotated:
        names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", type(None): "null"}
        return names.get(hint, str(hint))
    noun = allowed(inner[0])
    marks = [mark for each in inner[1:] for mark in getattr(each, "metadata", [each])]
    limits = {name: getattr(mark, name) for mark in marks for name in ("gt", "ge", "lt", "le") if hasattr(mark, name)}
    if any(getattr(mark, "allow_inf_nan", True) is False for mark in marks):
        noun = noun.replace("a number", "a finite number")
    fewest = next((mark.min_length for mark in marks if getattr(mark, "min_length", 0)), 0)
    noun += f", at least {fewest}" if fewest else ""
    low, high = limits.get("gt", limits.get("ge")), limits.get("lt", limits.get("le"))
    if low is not None and high is not None:
        return f"{noun} in {'(' if 'gt' in limits else '['}{low}, {high}{')' if 'lt' in limits else ']'}"
    if low is not None:
        return f"{noun} above {low}" if "gt" in limits else f"{noun} of at least {low}"
    if high is not None:
        return f"{noun} below {high}" if "lt" in limits else f"{noun} of at most {high}"
    return noun


def listed_seeds(value: Any) -> Any:
    """The option `seeds` as it was given, where it is no single number: that could be a seed or how many of them.

    Args:
        value: Anything.

    Raises:
        InputError: It is one number.

    Example:
        >>> listed_seeds([0, 1])
        [0, 1]
    """
    if isinstance(value, int) and not isinstance(value, bool):
        several = f"`seeds: {list(range(value))}` for {value} of them" if 1 < value <= 20 else "name several in it"
        raise InputError(
            f"Option 'seeds' is {value}; it is a list: write `seeds: [{value}]` for this one seed, or {several}."
        )
    return value


SeedList = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(listed_seeds)]
"""Seeds; not one number alone."""
