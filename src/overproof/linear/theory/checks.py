"""Checks of the numbers that are passed to the formulas."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overproof.errors import InputError

Numbers = NDArray[Any] | Sequence[float] | Sequence[int]
"""A vector, as an array or a sequence."""

Number = float | int
"""One real number."""

Vector = NDArray[np.float64]
"""A checked vector."""


def vectors(first_name: str, first: Numbers, second_name: str, second: Numbers) -> tuple[Vector, Vector]:
    """Check two finite vectors of one length."""
    vectors = []
    for name, numbers in ((first_name, first), (second_name, second)):
        values = np.asarray(numbers, np.float64)
        if values.ndim != 1 or len(values) == 0:
            raise InputError(f"{name} has the shape {values.shape}; a vector of at least one number is needed.")
        if not np.isfinite(values).all():
            raise InputError(f"{name} has {values[~np.isfinite(values)][0]:g}; all must be finite.")
        vectors.append(values)
    if len(vectors[0]) != len(vectors[1]):
        raise InputError(
            f"{first_name} has {len(vectors[0])} numbers and {second_name} {len(vectors[1])}; they must be the same."
        )
    return vectors[0], vectors[1]


def design(singular_values: Numbers, coefficients: Numbers) -> tuple[Vector, Vector]:
    """Check singular values, at least 0, and coefficients."""
    s, theta = vectors("singular_values", singular_values, "coefficients", coefficients)
    if (s < 0).any():
        raise InputError(f"singular_values has {s.min():g}; they must be at least 0.")
    return s, theta


def finite(name: str, value: Number) -> float:
    """Check a finite number."""
    if not math.isfinite(value):
        raise InputError(f"{name} is {value}; it must be a finite number.")
    return float(value)


def above_zero(name: str, value: Number) -> float:
    """Check a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value}; it must be a finite number above 0.")
    return float(value)


def variance_of(value: Number) -> float:
    """Check a variance: a finite number, at least 0."""
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"noise_variance is {value}; it must be a finite number, at least 0.")
    return float(value)
