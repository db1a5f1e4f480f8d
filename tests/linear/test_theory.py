"""The formulas of linear self-distillation against published values, identities and simulation."""

import math

import numpy as np
import pytest

from overproof.errors import InputError
from overproof.linear.theory import (
    distilled_risk,
    estimation_error,
    gain_over_tuned_ridge,
    logistic_bands,
    mixture_weights,
    noise_threshold,
    optimal_imitation,
    optimal_regularization,
    proportional_moments,
    proportional_risk,
)

S = (3.0, 2.0, 1.0, 0.5)
ONES, LARGE, SMALL = (1.0, 1.0, 1.0, 1.0), (2.0, 1.0, 0.5, 0.25), (0.25, 0.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        (ONES, (1.159273, -1.387495, -0.730789)),
        (LARGE, (1.673002, -0.034692, -0.644922)),
        (SMALL, (0.365546, -2.267676, -1.075397)),
    ],
)
def test_optimal_imitation_vectors(coefficients, expected):
    found = [optimal_imitation(S, coefficients, noise, ridge) for ridge, noise in ((0.5, 2.0), (0.5, 0.1), (4.0, 2.0))]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("coefficients", "expected"), [(ONES, 1.562195), (LARGE, 0.380070)])
def test_noise_threshold_vectors(coefficients, expected):
    threshold = noise_threshold(S, coefficients, 0.5)
    assert threshold == pytest.approx(expected, abs=1e-6)
    # Exactly there the optimal imitation is one.
    assert optimal_imitation(S, coefficients, threshold, 0.5) == pytest.approx(1, abs=1e-12)
    assert optimal_imitation(S, coefficients, 1.01 * threshold, 0.5) > 1


@pytest.mark.parametrize("imitation", [-1.0, 0.0, 0.7, 3.0])
def test_estimation_error_is_the_bias_and_variance_of_a_refitted_student(imitation):
    rng = np.random.default_rng(0)
    design = rng.normal(size=(9, 4))
    truth, noise, ridge = rng.normal(size=4), 1.7, 0.6
    inverse = np.linalg.inv(design.T @ design + ridge * np.eye(4))
    smoother = inverse @ design.T
    # Labels to coefficients, through the mixed labels of the student.
    student = smoother @ (imitation * design @ smoother + (1 - imitation) * np.eye(9))
    expected = np.sum((student @ design @ truth - truth) ** 2) + noise * np.sum(student**2)
    _, singular, right = np.linalg.svd(design, full_matrices=False)
    assert estimation_error(singular, right @ truth, noise, ridge, imitation) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("coefficients", [ONES, LARGE, SMALL])
@pytest.mark.parametrize("ridge", [0.05, 0.5, 4.0])
def test_the_optimal_imitation_is_where_the_error_is_least(coefficients, ridge):
    best = optimal_imitation(S, coefficients, 1.0, ridge)
    least = estimation_error(S, coefficients, 1.0, ridge, best)
    for step in (-1e-3, 1e-3):
        assert least < estimation_error(S, coefficients, 1.0, ridge, best + step)


def test_tuned_ridge_has_nothing_to_gain_from_imitation_where_the_slope_is_zero():
    for coefficients in (ONES, LARGE, SMALL):
        ridge = optimal_regularization(S, coefficients, 1.0)
        assert optimal_imitation(S, coefficients, 1.0, ridge) == pytest.approx(0, abs=1e-9)
        errors = [estimation_error(S, coefficients, 1.0, ridge * factor) for factor in (0.9, 1.0, 1.1)]
        assert errors[1] < min(errors[0], errors[2])
    assert optimal_regularization(S, ONES, 0.7) == pytest.approx(0.7, rel=1e-9)


@pytest.mark.parametrize(("coefficients", "wins"), [(LARGE, True), (ONES, False)])
def test_tuned_self_distillation_beats_tuned_ridge_under_the_condition_of_the_theorem(coefficients, wins):
    from scipy.optimize import minimize_scalar

    def distilled(log_ridge: float) -> float:
        ridge = math.exp(log_ridge)
        return estimation_error(S, coefficients, 1.0, ridge, optimal_imitation(S, coefficients, 1.0, ridge))

    ridge = optimal_regularization(S, coefficients, 1.0)
    tuned = estimation_error(S, coefficients, 1.0, ridge)
    least = minimize_scalar(distilled, bracket=(math.log(ridge) - 1, math.log(ridge) + 1), tol=1e-12).fun
    number = gain_over_tuned_ridge(S, coefficients, 1.0)
    if wins:
        assert number > 1e-3
        assert least < tuned - 1e-4
    else:
        assert number == pytest.approx(0, abs=1e-12)
        assert least == pytest.approx(tuned, rel=1e-9)


@pytest.mark.parametrize(
    ("ratio", "ridge", "expected"),
    [
        (0.5, 0.1, (1.6036, 1.8667, 1.4254)),
        (0.5, 0.5, (1.4142, 0.0, 1.4142)),
        (0.5, 2.0, (1.5617, -1.5375, 1.4212)),
        (1.5, 0.1, (2.3490, 2.4182, 1.8381)),
    ],
)
def test_proportional_vectors(ratio, ridge, expected):
    np.testing.assert_allclose(proportional_risk([1.0], [1.0], ratio, 1.0, ridge), expected, atol=5.1e-5)


def test_the_imitation_changes_sign_at_the_best_ridge_of_the_isotropic_case():
    ratio, noise, signal = 0.8, 0.7, 1.3
    best = ratio * noise / signal
    assert proportional_risk([1.0], [signal], ratio, noise, best * 2)[1] < 0
    assert abs(proportional_risk([1.0], [signal], ratio, noise, best)[1]) < 1e-12
    assert proportional_risk([1.0], [signal], ratio, noise, best / 2)[1] > 0


@pytest.mark.parametrize("ridge", [0.05, 0.3, 2.0])
def test_slope_of_the_limiting_risk(ridge):
    """(R - C)/D = -(ridge/2) R'/D for the deterministic equivalents too, of any covariance."""
    world = ([3.0, 1.0, 0.2], [0.2, 0.5, 0.9], 0.7, 0.8)
    step = 1e-5 * ridge
    risk, cross, student = proportional_moments(*world, ridge)
    slope = (proportional_moments(*world, ridge + step)[0] - proportional_moments(*world, ridge - step)[0]) / (2 * step)
    assert risk - cross == pytest.approx(-ridge / 2 * slope, rel=1e-6)
    assert risk + student - 2 * cross > 0


@pytest.mark.parametrize(("ratio", "ridge"), [(0.4, 0.2), (1.6, 0.1), (0.8, 1.5)])
def test_deterministic_equivalents_match_simulation(ratio, ridge):
    p = 240
    n, noise, draws = round(p / ratio), 0.8, 12
    eigenvalues = np.tile([3.0, 1.0, 0.2], p // 3)
    signal = np.tile([0.2, 0.5, 0.9], p // 3) / (p // 3)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(draws):
        truth = np.sqrt(signal) * rng.choice([-1, 1], size=p)
        design = rng.normal(size=(n, p)) * np.sqrt(eigenvalues)
        labels = design @ truth + np.sqrt(noise) * rng.normal(size=n)
        moment = design.T @ design / n
        teacher = np.linalg.solve(moment + ridge * np.eye(p), design.T @ labels / n)
        student = np.linalg.solve(moment + ridge * np.eye(p), moment @ teacher)
        errors = np.stack([teacher - truth, student - truth])
        found.append((errors * eigenvalues) @ errors.T + noise)
    spread = np.std(found, axis=0, ddof=1) / math.sqrt(draws)
    risk, cross, pure = proportional_moments(eigenvalues, signal, p / n, noise, ridge)
    distance = np.abs(np.mean(found, axis=0) - np.array([[risk, cross], [cross, pure]]))
    # Four standard errors of the simulation, which are a few per cent of the excess risk here.
    assert (distance < 4 * spread).all()
    assert (spread < 0.05 * (np.mean(found, axis=0) - noise)).all()


def test_logistic_bands_vector():
    teacher, student, largest = logistic_bands(0.25, 0.0, 500, 1e-3)
    np.testing.assert_allclose([teacher, student], [0.403, 0.486], atol=5e-4)
    # s(0.75) = .75/4.75 and s(125.75) = 125.75/129.75.
    assert largest == pytest.approx(1 / (1 - 125.75 / 129.75), rel=1e-12)


def test_logistic_bands_match_the_exact_solution():
    """Both fits reduce to two scalars, the dual weights of clean and of flipped examples."""
    from scipy.optimize import brentq, fsolve

    within, per_class, ridge = 0.25, 500, 1e-3
    num_examples = 2 * per_class

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    def logits(rate: float, clean_target: float, flipped_target: float) -> np.ndarray:
        def of(dual: np.ndarray) -> np.ndarray:
            common = per_class * within * ((1 - rate) * dual[0] + rate * dual[1])
            return (1 - within) * dual + common

        def residual(dual: np.ndarray) -> list[float]:
            clean, flipped = of(dual)
            return [
                ridge * num_examples * dual[0] - (clean_target - sigmoid(clean)),
                ridge * num_examples * dual[1] - (flipped_target - sigmoid(flipped)),
            ]

        return of(fsolve(residual, np.zeros(2), xtol=1e-13))

    def student(rate: float) -> float:
        clean, flipped = logits(rate, 1.0, 0.0)
        return logits(rate, sigmoid(clean), sigmoid(flipped))[1]

    bands = (brentq(lambda rate: logits(rate, 1.0, 0.0)[1], 0.2, 0.499), brentq(student, 0.3, 0.4999))
    np.testing.assert_allclose(logistic_bands(within, 0.0, per_class, ridge)[:2], bands, atol=4e-3)


def test_mixture_weights_are_the_recursion_of_the_rounds():
    rng = np.random.default_rng(0)
    design, labels = rng.normal(size=(30, 5)), rng.normal(size=30)
    smoother = design @ np.linalg.solve(design.T @ design + 3 * np.eye(5), design.T)
    imitations = [1.5, -0.5, 2.0]
    fitted = smoother @ labels
    students = [fitted]
    for imitation in imitations:
        fitted = smoother @ (imitation * fitted + (1 - imitation) * labels)
        students.append(smoother @ students[-1])
    weights = mixture_weights(imitations)
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.array(weights) @ np.array(students), fitted, atol=1e-10)


def test_a_teacher_that_equals_its_student_keeps_its_risk():
    assert distilled_risk(2.0, 2.0, 2.0) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: optimal_imitation([1.0], [1.0], 1.0, 0.0),
            "regularization is 0.0; it must be a finite number above 0",
        ),
        (lambda: optimal_imitation([1.0], [1.0], -1.0, 1.0), "noise_variance is -1.0"),
        (lambda: optimal_imitation([1.0, 2.0], [1.0], 1.0, 1.0), "singular_values has 2 numbers and coefficients 1"),
        (lambda: optimal_imitation([math.nan], [1.0], 1.0, 1.0), "singular_values has nan"),
        (lambda: optimal_imitation([-1.0], [1.0], 1.0, 1.0), "singular_values has -1"),
        (lambda: optimal_imitation([1.0], [0.0], 0.0, 1.0), "neither signal nor noise"),
        (lambda: noise_threshold([0.0], [1.0], 1.0), "All singular values are 0"),
        (lambda: optimal_regularization([1.0], [0.0], 1.0), "coefficients are 0"),
        (lambda: estimation_error([1.0], [1.0], 1.0, 1.0, math.inf), "imitation is inf"),
        (lambda: distilled_risk(1.0, 2.0, 1.0), "it is a mean square"),
        (lambda: logistic_bands(0.2, 0.3, 10, 1.0), "within is 0.2 and across 0.3"),
        (lambda: logistic_bands(0.3, 0.2, 0, 1.0), "per_class is 0"),
        (lambda: proportional_risk([-1.0], [1.0], 1.0, 1.0, 1.0), "eigenvalues has -1"),
        (lambda: proportional_risk([0.0], [1.0], 1.0, 1.0, 1.0), "All eigenvalues are 0"),
        (lambda: proportional_risk([1.0], [1.0], 0.0, 1.0, 1.0), "aspect_ratio is 0.0"),
    ],
)
def test_numbers_out_of_range_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
