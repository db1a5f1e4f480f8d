"""Checks of the options that the estimators of this folder share."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overproof.errors import InputError

Imitation = str | float | int
"""How the imitation is chosen ("one-shot", "held-out"), or the imitation itself; checked in `fit`."""


def check_regularization(name: str, value: Any, *, zero: bool = False) -> NDArray[np.float64]:
    """Check one regularization or several; returns a vector.

    Args:
        name: Name of the option.
        value: A number or a sequence of numbers.
        zero: Whether 0 is allowed.

    Raises:
        InputError: The sequence is empty, or holds a number that is not finite and above 0.
    """
    allowed = f"finite numbers {'of at least' if zero else 'above'} 0 are allowed"
    try:
        numbers = np.atleast_1d(np.asarray(value, np.float64)).ravel()
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}; {allowed}.") from None
    if len(numbers) == 0:
        raise InputError(f"{name} is empty; at least one number is needed.")
    odd = ~(np.isfinite(numbers) & ((numbers >= 0) if zero else (numbers > 0)))
    if odd.any():
        raise InputError(f"{name} has {numbers[odd][0]:g}; {allowed}.")
    return numbers


def check_imitation(value: Any, allowed: tuple[str, ...]) -> None:
    """Check that an imitation is a finite number or one of the allowed strings.

    Args:
        value: Value of the option.
        allowed: The allowed strings.

    Raises:
        InputError: It is neither.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if (isinstance(value, str) and value in allowed) or (number and math.isfinite(value)):
        return
    raise InputError(f"imitation is {value!r}; it must be {' or '.join(map(repr, allowed))} or a finite number.")


def check_count(name: str, value: Any, least: int) -> None:
    """Check that an option is a whole number of at least `least`.

    Args:
        name: Name of the option.
        value: Value of the option.
        least: The smallest allowed value.

    Raises:
        InputError: It is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}; it must be a whole number, at least {least}.")


def checked_groups(groups: Any, num: int) -> NDArray[np.int64] | None:
    """The number of every example's group, [N], or None without groups.

    Args:
        groups: [N], names or numbers, or None.
        num: N.

    Raises:
        InputError: There is another number of them.
    """
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.shape != (num,):
        raise InputError(f"groups has the shape {values.shape} for {num} examples; each needs one group.")
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
