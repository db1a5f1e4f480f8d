"""Self-distilled linear regression in a fixed design: error, optimal imitation and regularization (un-normalised)."""

import math

import numpy as np

from overproof.errors import InputError
from overproof.linear.theory.checks import Number, Numbers, above_zero, design, finite, variance_of


def estimation_error(
    singular_values: Numbers,
    coefficients: Numbers,
    noise_variance: Number,
    regularization: Number,
    imitation: Number = 0.0,
) -> float:
    """Expected squared distance of the self-distilled ridge coefficients from the true ones, in a fixed design.

    With h = s^2/(s^2 + regularization) and g = 1 - h, the sum over directions of
    g^2 (1 + imitation h)^2 coefficient^2 + noise_variance h^2/s^2 (1 - imitation g)^2: bias and variance. At imitation
    0 it is ridge itself.

    Args:
        singular_values: [J], of the design X [n, p], at least 0.
        coefficients: [J], the true coefficients in the basis of X's right singular vectors.
        noise_variance: Of a label, at least 0.
        regularization: Above 0, un-normalised (||y - X b||^2 + regularization ||b||^2).
        imitation: Any real number.

    Example:
        One direction, s = 1, regularization 1: h = 1/2. Bias (1/2)^2, variance (1/2)^2.

        >>> estimation_error([1.0], [1.0], 1.0, 1.0, 0.0)
        0.5

    Raises:
        InputError: Lengths differ, a number is not finite, a singular value or the variance is negative, or the
            regularization is not above 0.

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 4 (bias and variance of the estimation error).
    """
    s, theta = design(singular_values, coefficients)
    variance, ridge = variance_of(noise_variance), above_zero("regularization", regularization)
    xi = finite("imitation", imitation)
    lost = ridge / (s**2 + ridge)
    bias = lost * (1 + xi * (1 - lost)) * theta
    spread = s / (s**2 + ridge) * (1 - xi * lost)
    return float(np.sum(bias**2) + variance * np.sum(spread**2))


def optimal_imitation(
    singular_values: Numbers, coefficients: Numbers, noise_variance: Number, regularization: Number
) -> float:
    """The imitation that minimises `estimation_error`.

    1/regularization * sum s^2 (noise_variance - regularization coefficient^2)/(s^2 + regularization)^3 divided by
    sum s^2 (noise_variance + s^2 coefficient^2)/(s^2 + regularization)^4. Above 1 under enough noise, negative where
    ridge is over-regularised.

    Args:
        singular_values: [J], of the design, at least one above 0.
        coefficients: [J], the true coefficients in the basis of the design's right singular vectors.
        noise_variance: Of a label, at least 0; 0 only where some coefficient is not.
        regularization: Above 0, un-normalised (||y - X b||^2 + regularization ||b||^2).

    Example:
        One direction, s = 1, coefficient 1, regularization 1: (variance - 1)/8 divided by (variance + 1)/16.

        >>> optimal_imitation([1.0], [1.0], 3.0, 1.0)
        1.0

    Raises:
        InputError: As in `estimation_error`, or there is neither signal nor noise, so that every imitation is optimal.

    Source: Das and Sanghavi (2023), arXiv 2301.13304, theorem on the optimal imitation for linear regression.
    """
    s, theta = design(singular_values, coefficients)
    variance, ridge = variance_of(noise_variance), above_zero("regularization", regularization)
    shrunk = s**2 + ridge
    top = np.sum(s**2 * (variance - ridge * theta**2) / shrunk**3)
    bottom = np.sum(s**2 * (variance + s**2 * theta**2) / shrunk**4)
    if bottom == 0:
        raise InputError("There is neither signal nor noise in the design: every imitation gives the same error.")
    return float(top / bottom / ridge)


def noise_threshold(singular_values: Numbers, coefficients: Numbers, regularization: Number) -> float:
    """The noise variance above which `optimal_imitation` is above 1, where labels have a negative weight.

    regularization * sum s^2 (regularization + 2 s^2) coefficient^2/(s^2 + regularization)^4 divided by
    sum s^4/(s^2 + regularization)^4.

    Args:
        singular_values: [J], of the design, at least one above 0.
        coefficients: [J], the true coefficients in the basis of the design's right singular vectors.
        regularization: Above 0, un-normalised (||y - X b||^2 + regularization ||b||^2).

    Example:
        One direction, s = 1, coefficient 1, regularization 1: 1 * (1 + 2)/16 over 1/16.

        >>> noise_threshold([1.0], [1.0], 1.0)
        3.0

    Raises:
        InputError: As in `estimation_error`, or all singular values are 0.

    Source: Das and Sanghavi (2023), arXiv 2301.13304, corollary on the optimal imitation above one.
    """
    s, theta = design(singular_values, coefficients)
    ridge = above_zero("regularization", regularization)
    shrunk = (s**2 + ridge) ** 4
    top = ridge * np.sum(s**2 * (ridge + 2 * s**2) * theta**2 / shrunk)
    bottom = np.sum(s**4 / shrunk)
    if bottom == 0:
        raise InputError("All singular values are 0; at least one must be above 0.")
    return float(top / bottom)


def optimal_regularization(singular_values: Numbers, coefficients: Numbers, noise_variance: Number) -> float:
    """The regularization at which plain ridge has the lowest `estimation_error`.

    A root of sum s^2 (noise_variance - regularization coefficient^2)/(s^2 + regularization)^3, so that
    `optimal_imitation` is 0 there. The search is on a grid of 2,000 values that spans all possible optima, followed by
    root finding.

    Args:
        singular_values: [J], of the design, at least one above 0.
        coefficients: [J], the true coefficients in the basis of the design's right singular vectors, one at least that
            is not 0 in a direction of the design.
        noise_variance: Of a label, above 0.

    Returns:
        The regularization, un-normalised (||y - X b||^2 + regularization ||b||^2).

    Example:
        Equal coefficients: the noise variance divided by the squared coefficient, for any design.

        >>> round(optimal_regularization([3.0, 1.0], [2.0, 2.0], 1.0), 9)
        0.25

    Raises:
        InputError: As in `estimation_error`, or no noise, or no signal in the design: the optimum is then 0 or
            infinite.
    """
    from scipy.optimize import brentq

    s, theta = design(singular_values, coefficients)
    variance = above_zero("noise_variance", noise_variance)
    seen = theta[(s > 0) & (theta != 0)] ** 2
    if len(seen) == 0:
        raise InputError("The coefficients are 0 in every direction of the design; ridge then has no finite optimum.")
    s, theta = s[s > 0], theta[s > 0]

    def slope(log_ridge: float) -> float:
        ridge = math.exp(log_ridge)
        # Relative to the largest term, whose power could underflow.
        scale = s.max() ** 2 + ridge
        return float(np.sum(s**2 * (ridge * theta**2 - variance) / ((s**2 + ridge) / scale) ** 3))

    # Below variance / max theta^2 every term is negative; for large ridge all directions are weighted by s^2 only.
    low = math.log(variance / seen.max()) - 1e-6
    high = max(math.log(variance * np.sum(s**2) / np.sum(s**2 * theta**2)), low, 2 * math.log(s.max())) + 10
    grid = np.linspace(low, high, 2000)
    slopes = np.array([slope(point) for point in grid])
    rises = np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0))
    roots = [math.exp(float(brentq(slope, grid[i], grid[i + 1], xtol=1e-14))) for i in rises]
    return min(roots, key=lambda ridge: estimation_error(s, theta, variance, ridge))


def gain_over_tuned_ridge(singular_values: Numbers, coefficients: Numbers, noise_variance: Number) -> float:
    """A number above 0 where tuned self-distillation provably beats tuned ridge in `estimation_error`.

    sum s^2 (noise_variance - regularization coefficient^2)/(s^2 + regularization)^4 at `optimal_regularization`. The
    condition is sufficient; it means that the signal is concentrated on large singular directions. With coefficients of
    equal size the number is 0, and there is no gain.

    Args:
        singular_values: [J], of the design, at least one above 0.
        coefficients: [J], the true coefficients in the basis of the design's right singular vectors.
        noise_variance: Of a label, above 0.

    Returns:
        The sum; the regularization it is taken at is un-normalised.

    Example:
        >>> gain_over_tuned_ridge([2.0, 1.0], [2.0, 1.0], 1.0) > 0 > gain_over_tuned_ridge([2.0, 1.0], [1.0, 2.0], 1.0)
        True

    Raises:
        InputError: As in `optimal_regularization`.

    Source: Das and Sanghavi (2023), arXiv 2301.13304, theorem on optimal self-distillation against optimal ridge.
    """
    s, theta = design(singular_values, coefficients)
    ridge = optimal_regularization(s, theta, noise_variance)
    return float(np.sum(s**2 * (float(noise_variance) - ridge * theta**2) / (s**2 + ridge) ** 4))
