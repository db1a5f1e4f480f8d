"""The probes' own solver finds the solution of the package's precise one; the test of drift is near the exact one."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from overproof.assessment.estimates import same_distribution
from overproof.assessment.probes import Coordinates
from overproof.assessment.softmax_fit import SoftmaxFit
from overproof.linear.heads import SoftmaxProblem


def world(num=300, width=12, classes=4):
    draw = np.random.default_rng(0)
    label = draw.integers(classes, size=num)
    features = draw.normal(size=(num, width)) * np.linspace(0.2, 5, width)
    features[:, :classes] += np.eye(classes)[label]
    return Coordinates.of(features).values, label


@pytest.mark.parametrize("regularization", [1e-1, 1e-3, 1e-5])
def test_the_solution_is_that_of_the_precise_solver(regularization):
    features, label = world()
    precise = SoftmaxProblem.of(features, np.ones(300), 4, intercept=True, tolerance=1e-9, max_iter=2000)
    head = precise.solve(precise.labels(label), regularization)
    wanted = features @ (precise.rotation @ head.weights) + head.bias - precise.mean @ (precise.rotation @ head.weights)
    fit = SoftmaxFit(features, label, 4, tolerance=1e-5, max_steps=300)
    weights, bias = fit.solve(regularization, *fit.start())
    assert fit.steps < 200
    found = features @ weights + bias
    # Logits are known up to a constant of each row.
    shift = (found - wanted) - (found - wanted).mean(axis=1, keepdims=True)
    assert abs(shift).max() < 5e-3 * abs(wanted).max()
    # From its own solution there is nothing to do.
    fit.solve(regularization, weights, bias)
    assert fit.steps <= 1


def test_too_few_steps_end():
    features, label = world()
    fit = SoftmaxFit(features, label, 4, tolerance=1e-9, max_steps=3)
    fit.solve(1e-3, *fit.start())
    assert fit.steps == 3


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5])
def test_the_test_of_drift_is_near_the_exact_one(shift):
    draw = np.random.default_rng(1)
    first, second = draw.normal(size=40), draw.normal(shift, size=900)
    assert same_distribution(first, second) == pytest.approx(ks_2samp(first, second).pvalue, abs=0.016)
