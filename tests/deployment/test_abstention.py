"""Abstention: the bound by hand, and the guarantee on distributions whose selective risk is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from overproof.deployment.abstention import NUM_COVERAGES, choose_threshold, risk_bound
from overproof.errors import InputError

REPETITIONS = 2000


@pytest.mark.parametrize(
    ("num_wrong", "num", "failure", "bound"),
    [
        (0, 1, 0.05, 0.95),
        (0, 3, 0.125, 0.5),  # (1 - r)^3 = 1/8
        (1, 2, 0.75, 0.5),  # P(at most 1 of 2) = 1 - r^2 = 3/4
        (2, 3, 0.271, 0.9),  # 1 - r^3 = 0.271
        (3, 3, 0.05, 1.0),
        (0, 0, 0.05, 1.0),
    ],
)
def test_the_bound_by_hand(num_wrong, num, failure, bound):
    assert risk_bound(np.array([num_wrong]), np.array([num]), failure=failure) == pytest.approx([bound], abs=1e-12)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))), st.floats(1e-4, 0.5))
def test_the_bound_solves_the_binomial_tail(counts, failure):
    num_wrong, num = counts
    bound = risk_bound(np.array([num_wrong]), np.array([num]), failure=failure)[0]
    assert binom.cdf(num_wrong, num, bound) == pytest.approx(failure, rel=1e-6)


def test_the_largest_good_coverage_is_taken_by_hand():
    """32 examples, the 16 most confident right: at coverage 1/2 the bound is 1 - (0.5 / 16)^(1/16) = .195, at 18 of 32,
    one of them wrong, it is above .25."""
    confidence = np.linspace(0.99, 0.4, 32)
    wrong = np.arange(32) >= 16
    found = choose_threshold(confidence, wrong, risk=0.2, confidence=0.5)
    assert (found.num_accepted, found.num_wrong, found.num_calibration, found.coverage) == (16, 0, 32, 0.5)
    assert found.bound == pytest.approx(1 - (0.5 / NUM_COVERAGES) ** (1 / 16))
    # The example at the threshold itself is not accepted.
    assert found.threshold == confidence[16]
    assert found.accepts(confidence).tolist() == (np.arange(32) < 16).tolist()


def test_equal_confidences_are_accepted_together_or_not_at_all():
    confidence = np.repeat([0.9, 0.6], [100, 100])
    found = choose_threshold(confidence, np.arange(200) >= 110, risk=0.1)
    assert (found.threshold, found.num_accepted, found.num_wrong) == (0.6, 100, 0)
    with pytest.raises(InputError, match="No threshold"):
        choose_threshold(np.full(200, 0.7), np.arange(200) < 100, risk=0.1)


def test_the_order_of_the_examples_does_not_matter():
    rng = np.random.default_rng(0)
    confidence, wrong = rng.random(300).round(2), rng.random(300) < 0.02
    shuffled = rng.permutation(300)
    assert choose_threshold(confidence, wrong, risk=0.1) == choose_threshold(
        confidence[shuffled], wrong[shuffled], risk=0.1
    )


def test_the_smallest_risk_named_can_be_had():
    rng = np.random.default_rng(1)
    confidence = rng.random(400)
    wrong = rng.random(400) < 0.3 * (1 - confidence)
    with pytest.raises(InputError, match="smallest risk that they guarantee is") as raised:
        choose_threshold(confidence, wrong, risk=0.01)
    message = str(raised.value)
    risk = float(message.partition("guarantee is ")[2].partition(",")[0])
    coverage = float(message.partition("coverage ")[2].partition(" ")[0])
    found = choose_threshold(confidence, wrong, risk=risk)
    assert found.coverage >= coverage - 0.005
    with pytest.raises(InputError):
        choose_threshold(confidence, wrong, risk=risk - 0.002)


@pytest.mark.parametrize("option", [{"risk": 0.0}, {"risk": 1.0}, {"risk": 0.1, "confidence": 1.0}])
def test_options_out_of_range_are_rejected(option):
    with pytest.raises(InputError, match="must be strictly between 0 and 1"):
        choose_threshold(np.array([0.5]), np.array([False]), **option)


# Distributions of (confidence u ~ U(0, 1), error rate at u) and their selective risk: the mean error rate above t.
WORLDS = {
    # Every choice exceeds the risk, by very little: the hardest case.
    "flat, just above": (lambda u: np.full_like(u, 0.1001), lambda t: 0.1001),
    "falling": (lambda u: 0.24 * (1 - u), lambda t: 0.12 * (1 - t)),
    # The most confident predictions are the worst, so that the risk is not monotone.
    "confident and wrong": (lambda u: np.where(u > 0.9, 0.15, 0.02), lambda t: _mixed(t)),
    "steps of equal confidence": (lambda u: 0.2 * (1 - np.floor(u * 10) / 10), None),
}


def _mixed(t):
    above = 1 - t
    return 0.15 if t >= 0.9 else (0.1 * 0.15 + (0.9 - t) * 0.02) / above


def _stepped(t):
    """u is known to a tenth only: confidences are 0, .1, …, .9."""
    tenths = np.arange(10) / 10
    above = tenths[tenths > t] if t > 0 else tenths
    return float(np.mean(0.2 * (1 - above))) if len(above) else 0.0


@pytest.mark.parametrize(
    ("name", "num", "confidence"), [(name, 1000, 0.95) for name in WORLDS] + [("falling", 200, 0.8)]
)
def test_the_realised_risk_exceeds_the_bound_as_rarely_as_guaranteed(name, num, confidence):
    error_rate, selective_risk = WORLDS[name]
    rng, risk = np.random.default_rng(0), 0.1
    violated = bound_violated = chosen = naive = 0
    for _ in range(REPETITIONS):
        drawn = rng.random(num)
        wrong = rng.random(num) < error_rate(drawn)
        shown = np.floor(drawn * 10) / 10 if selective_risk is None else drawn
        true_risk = selective_risk or _stepped
        naive += wrong.mean() <= risk and true_risk(0.0) > risk
        try:
            found = choose_threshold(shown, wrong, risk=risk, confidence=confidence)
        except InputError:
            continue
        chosen += 1
        violated += true_risk(found.threshold) > risk
        bound_violated += true_risk(found.threshold) > found.bound
    allowed = (1 - confidence) * REPETITIONS
    assert violated <= bound_violated <= allowed
    if name == "flat, just above":
        # What a threshold on the observed risk would do instead.
        assert naive > 0.4 * REPETITIONS
    elif num == 1000:
        assert chosen > 0.9 * REPETITIONS, chosen
