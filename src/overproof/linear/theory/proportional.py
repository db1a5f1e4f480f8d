"""Deterministic equivalents of ridge's prediction risk in the proportional limit (normalised regularization)."""

import numpy as np

from overproof.errors import InputError
from overproof.linear.theory.checks import Number, Numbers, Vector, above_zero, variance_of, vectors
from overproof.linear.theory.mixture import distilled_risk


def proportional_risk(
    eigenvalues: Numbers,
    squared_coefficients: Numbers,
    aspect_ratio: Number,
    noise_variance: Number,
    regularization: Number,
) -> tuple[float, float, float]:
    """Prediction risk of ridge and of optimal self-distillation when examples and features grow in proportion.

    Deterministic equivalents for features of covariance Sigma: the limit of the risk on a new noisy example.

    Args:
        eigenvalues: [J], of Sigma, at least 0, each of an equal share of the features (one eigenvalue is the
            isotropic case).
        squared_coefficients: [J], the squared true coefficients summed over the eigen-directions of each entry.
        aspect_ratio: Features over examples, p/n, above 0.
        noise_variance: Of a label, at least 0.
        regularization: Above 0, normalised (that of X'X/n + regularization I).

    Returns:
        The risk of ridge, the optimal imitation, and the risk there; both include the noise of the new label.

    Example:
        >>> [round(number, 4) for number in proportional_risk([1.0], [1.0], 0.5, 1.0, 0.1)]
        [1.6036, 1.8667, 1.4254]

    Raises:
        InputError: Lengths differ, a number is not finite or out of its range, or all eigenvalues are 0.

    Source: arXiv 2602.17565 (ridge self-distillation in the proportional limit).
    """
    risk, cross_risk, student_risk = proportional_moments(
        eigenvalues, squared_coefficients, aspect_ratio, noise_variance, regularization
    )
    imitation, distilled = distilled_risk(risk, cross_risk, student_risk)
    return risk, imitation, distilled


def proportional_moments(
    eigenvalues: Numbers,
    squared_coefficients: Numbers,
    aspect_ratio: Number,
    noise_variance: Number,
    regularization: Number,
) -> tuple[float, float, float]:
    """The three moments of `proportional_risk`, from which the risk at any imitation follows (`distilled_risk`).

    Args:
        eigenvalues: [J], of Sigma, at least 0, each of an equal share of the features.
        squared_coefficients: [J], the squared true coefficients summed over the eigen-directions of each entry.
        aspect_ratio: Features over examples, p/n, above 0.
        noise_variance: Of a label, at least 0.
        regularization: Above 0, normalised (that of X'X/n + regularization I).

    Returns:
        The risk of ridge, the mean product of its error with the pure student's, and the pure student's risk.

    Example:
        >>> [round(number, 4) for number in proportional_moments([1.0], [1.0], 0.5, 1.0, 0.5)]
        [1.4142, 1.4142, 1.5026]

    Raises:
        InputError: As in `proportional_risk`.

    Source: arXiv 2602.17565 (ridge self-distillation in the proportional limit).
    """
    s, b2 = vectors("eigenvalues", eigenvalues, "squared_coefficients", squared_coefficients)
    for name, values in (("eigenvalues", s), ("squared_coefficients", b2)):
        if (values < 0).any():
            raise InputError(f"{name} has {values.min():g}; they must be at least 0.")
    if s.max() == 0:
        raise InputError("All eigenvalues are 0; at least one must be above 0.")
    ratio, ridge = above_zero("aspect_ratio", aspect_ratio), above_zero("regularization", regularization)
    variance = variance_of(noise_variance)
    kappa = _effective_regularization(s, ratio, ridge)
    shrunk = s + kappa
    t2, t3, t4 = (ratio * float(np.mean(s**2 / shrunk**k)) for k in (2, 3, 4))
    q2, q3, q4 = (float(np.sum(b2 * s / shrunk**k)) for k in (2, 3, 4))

    b = 1 / (1 - t2)
    u2, u3, u4 = t2 * b, t3 * b**3, t4 * b**4 + 2 * t3**2 * b**5
    e = kappa - b * ridge + b**2 * kappa * ridge * t3
    a2 = b * e**2 + b**4 * kappa**2 * ridge**2 * t4 + b**5 * kappa**2 * ridge**2 * t3**2
    a3, a4 = 2 * b**2 * kappa * ridge * e, b**3 * kappa**2 * ridge**2
    bias2 = kappa**2 * b * q2
    bias3 = 2 * kappa * b * e * q2 + 2 * kappa**2 * b**2 * ridge * q3
    bias4 = a2 * q2 + a3 * q3 + a4 * q4
    return (
        bias2 + variance * (u2 + 1),
        2 * bias2 - bias3 / 2 + variance * (u2 - ridge * u3 + 1),
        4 * bias2 - 2 * bias3 + bias4 + variance * (u2 - 2 * ridge * u3 + ridge**2 * u4 + 1),
    )


def _effective_regularization(s: Vector, ratio: float, ridge: float) -> float:
    """The positive root of k = ridge + ratio k mean(s/(s + k)); it is between ridge and ridge + ratio mean(s)."""
    from scipy.optimize import brentq

    def excess(kappa: float) -> float:
        return kappa - ridge - ratio * kappa * float(np.mean(s / (s + kappa)))

    return float(brentq(excess, ridge, ridge + ratio * float(s.mean()), xtol=1e-300, rtol=1e-15, maxiter=1000))
