"""Flip rates up to which a logistic teacher and its student predict all training labels of two balanced classes."""

from overproof.errors import InputError
from overproof.linear.theory.checks import Number, above_zero, finite


def logistic_bands(
    within: Number, across: Number, per_class: int, regularization: Number
) -> tuple[float, float, float]:
    """The share of flipped labels up to which a logistic teacher, and its student, predict all true labels in training.

    Two classes of `per_class` unit-norm examples, N = 2 per_class, inner products `within` a class and `across`. With
    s(u) = u/(u + 4 N regularization), top = s(1 - within + per_class (within - across)) and R = top/s(1 - within): the
    teacher is right everywhere below 1/2 (1 - 1/(R - 1)), the student of imitation 1 below 1/2 (1 - 1/(R^2 - 1)).
    Between the two the student beats its teacher. From 1/(1 - top) on, imitation reverses the class direction and
    accuracy collapses.

    Args:
        within: Inner product within a class, in (across, 1).
        across: Inner product of the classes, in [-1, within).
        per_class: Examples per class, at least 1.
        regularization: Above 0, in the mean-loss convention (mean logistic loss + regularization/2 ||w||^2 with one
            weight vector w; two softmax vectors need twice the regularization for the same predictions).

    Returns:
        The teacher's band and the student's, as flip rates in [0, 1/2], and the largest imitation.

    Example:
        >>> [round(number, 3) for number in logistic_bands(0.25, 0.0, 500, 1e-3)]
        [0.403, 0.486, 32.438]

    Raises:
        InputError: A number is out of range.

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section on logistic regression; the closed form is derived by
    linearising the sigmoid at 0 (the exact solution of the example is .406 and .486).
    """
    within, across = finite("within", within), finite("across", across)
    if not -1 <= across < within < 1:
        raise InputError(f"within is {within:g} and across {across:g}; -1 <= across < within < 1 is allowed.")
    if per_class < 1:
        raise InputError(f"per_class is {per_class}; it must be at least 1.")
    penalty = 4 * 2 * per_class * above_zero("regularization", regularization)

    def kept(eigenvalue: float) -> float:
        return eigenvalue / (eigenvalue + penalty)

    top, rest = kept(1 - within + per_class * (within - across)), kept(1 - within)

    def band(ratio: float) -> float:
        return max(0.0, (1 - 1 / (ratio - 1)) / 2) if ratio > 1 else 0.0

    return band(top / rest), band((top / rest) ** 2), 1 / (1 - top)
