"""Values of another type that would be taken for what they are not, and values as errors show them."""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from overproof.options.annotations import choices, names_in, within


def misread(kind: Any, value: Any, path: tuple[str, ...] = ()) -> tuple[tuple[str, ...], Any, Any] | None:
    """The first value that pydantic takes for another one; None where there is none.

    These are true and false where a number is wanted, 0, 1 and words such as "on" where true or false is, and NaN where
    a number is. A text for a number stays allowed: YAML reads 1e-3 as one.

    Args:
        kind: An annotation, or a group of options.
        value: Plain data that is meant for it.
        path: Where the value stands.

    Returns:
        Its path, the value, and the annotation there.

    Example:
        >>> misread(tuple[int, ...], [1, True])
        (('1',), True, <class 'int'>)
        >>> misread(bool | int, True) is misread(float, "1e-3") is None
        True
    """
    allowed = choices(kind)
    if isinstance(value, Mapping | list | tuple):
        inside = value.items() if isinstance(value, Mapping) else enumerate(value)
        for word, item in inside:
            for each in allowed:
                # A list where a group is wanted is one of such groups, as of several teachers.
                alone = bool(names_in(each)) and not isinstance(value, Mapping)
                below = each if alone else within(each, str(word))
                if below is not None and (found := misread(below, item, (*path, str(word)))) is not None:
                    return found
        return None
    numbers = bool({int, float} & {*allowed})
    if isinstance(value, bool):
        wrong = numbers and bool not in allowed
    elif isinstance(value, float) and math.isnan(value):
        wrong = numbers
    else:
        words = [word for each in allowed if get_origin(each) is Literal for word in get_args(each)]
        others = {each for each in allowed if get_origin(each) is not Literal} - {type(None)}
        wrong = isinstance(value, int | float | str) and others == {bool} and value not in words
    return (path, value, kind) if wrong else None


def shown(value: Any) -> str:
    """A value for an error message, at most 80 characters of it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
