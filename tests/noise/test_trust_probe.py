"""The trust probe: exact identities, then a world in which the margin does not show where the teacher errs."""

import pytest
import torch

from overproof.answers.predictions import compress
from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.methods.composition import override
from overproof.methods.noise_models import Isotonic, Probed
from overproof.methods.published import method
from overproof.noise import TrustProbe, isotonic_accuracy, margin, trust_probe
from overproof.noise.likelihood import covariates
from overproof.noise.trust_probe import PENALTIES, _fitted

FLAT = isotonic_accuracy([0.0], [1.0])


def answers(num, num_classes=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(num, num_classes, generator=draw)).softmax(dim=1)


def by_class(num, seed=0):
    """Answers that are right by the class they name, .95, .9, .5 and .4 at any margin; and these accuracies."""
    probs = answers(num, seed=seed)
    truth = torch.tensor([0.95, 0.9, 0.5, 0.4])[probs.argmax(dim=1)]
    right = torch.rand(num, generator=torch.Generator().manual_seed(seed + 1)) < truth
    return probs, torch.where(right, probs.argmax(dim=1), (probs.argmax(dim=1) + 1) % 4), truth


def by_margin(num, seed=0):
    """Answers that are right by their margin alone."""
    probs = answers(num, seed=seed)
    truth = 0.5 + 0.5 * margin(probs)
    right = torch.rand(num, generator=torch.Generator().manual_seed(seed + 1)) < truth
    return probs, torch.where(right, probs.argmax(dim=1), (probs.argmax(dim=1) + 1) % 4), truth


@pytest.mark.parametrize("width", [0, 5])
def test_the_probe_is_the_minimum_of_what_the_docstring_says(width):
    probs, label, _ = by_class(60)
    features = torch.randn(60, width, generator=torch.Generator().manual_seed(3)) if width else None
    right = probs.argmax(dim=1) == label
    for penalty in PENALTIES:
        found = _fitted(probs, right, features, penalty, FLAT)
        parts = [torch.tensor(found.bias).double(), found.by_covariate, found.by_class, found.by_feature]
        bias, by_covariate, by_class_, by_feature = parts = [each.clone().requires_grad_() for each in parts]
        z = covariates(probs.double())
        if features is not None:
            z = torch.cat([z, features.double()], dim=1)
        z = (z - found.mean) / found.scale
        s = bias + z @ torch.cat([by_covariate, by_feature]) + by_class_[probs.argmax(dim=1)]
        torch.testing.assert_close(s.sigmoid().detach(), found.score(probs, features))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(s, right.double(), reduction="sum")
        loss = loss + penalty / 2 * sum(each.square().sum() for each in (by_covariate, by_class_, by_feature))
        loss.backward()
        assert max(each.grad.abs().max().item() for each in parts if each.numel()) < 1e-3


def test_a_probe_of_the_margin_alone_is_the_isotonic_estimate_at_every_labelled_example():
    """Isotonic regression does not depend on how an increasing function stretches its axis."""
    probs, label, _ = by_margin(200)
    right, margins = probs.argmax(dim=1) == label, margin(probs.double())
    none = torch.empty(0, dtype=torch.float64)
    made = {
        "bias": -0.3,
        "by_covariate": torch.tensor([2.0, 0.0], dtype=torch.float64),
        "by_class": torch.zeros(4, dtype=torch.float64),
        "by_feature": none,
        "mean": torch.zeros(2, dtype=torch.float64),
        "scale": torch.ones(2, dtype=torch.float64),
        "penalty": 1.0,
    }
    scores = TrustProbe(**made, curve=FLAT).score(probs)
    probe = TrustProbe(**made, curve=isotonic_accuracy(scores, right))
    assert torch.equal(probe(probs), isotonic_accuracy(margins, right)(margins))


def test_without_prior_and_bound_the_mean_of_the_curve_is_the_teachers_accuracy():
    probs, label, _ = by_class(400)
    right = probs.argmax(dim=1) == label
    found = trust_probe(probs, label, prior=0.0, lower=0.0)
    # The curve's knots are the scores out of fold: each pool of them has the mean of its examples.
    again = isotonic_accuracy(found.curve.knots, torch.ones(len(found.curve.knots)))
    assert len(again.knots) == len(found.curve.knots) == 400
    assert found.curve.values.mean().item() == pytest.approx(right.double().mean().item(), abs=1e-9)


def test_where_the_margin_says_all_the_estimate_is_that_of_isotonic():
    probs, label, _ = by_margin(300)
    assert trust_probe(probs, label) is None
    mine, plain = (each.fit(probs, label) for each in (Probed(), Isotonic()))
    assert mine.summary() == plain.summary()
    assert torch.equal(mine.teacher_accuracy(probs), plain.teacher_accuracy(probs))
    assert torch.equal(mine.accuracy_of(compress(probs)), plain.accuracy_of(compress(probs)))


def test_hard_labels_have_an_accuracy_for_each_class_as_before():
    probs, label, _ = by_class(300)
    named = torch.nn.functional.one_hot(probs.argmax(dim=1), 4).float()
    mine, plain = (each.fit(named, label) for each in (Probed(), Isotonic()))
    assert torch.equal(mine.accuracy.values, plain.accuracy.values)


@pytest.mark.parametrize("seed", [0, 10, 20])
def test_it_beats_the_margin_where_errors_follow_the_named_class(seed):
    probs, label, _ = by_class(300, seed)
    pool, _, truth = by_class(4000, seed + 5)
    mine, plain = (each.fit(probs, label) for each in (Probed(lower_bound=0.0), Isotonic(lower_bound=0.0)))

    def error(estimate):
        return (estimate.teacher_accuracy(pool) - truth).square().mean().sqrt().item()

    assert error(mine) < 0.12 < 0.2 < error(plain)
    stored = compress(pool)
    assert torch.equal(mine.accuracy_of(stored), mine.teacher_accuracy(stored.probs()))
    assert mine.summary()["probe"]["class"][0] > 0 > mine.summary()["probe"]["class"][3]


def test_features_say_where_the_teacher_errs():
    draw = torch.Generator().manual_seed(0)
    probs, x = answers(1300), torch.randn(1300, 3, generator=draw)
    right = torch.rand(1300, generator=draw) < torch.where(x[:, 0] > 0, 0.95, 0.4)
    label = torch.where(right, probs.argmax(dim=1), (probs.argmax(dim=1) + 1) % 4)
    found = trust_probe(probs[:300], label[:300], x[:300], lower=0.0)
    new = found(probs[300:], x[300:])
    positive = x[300:, 0] > 0.5
    assert new[positive].mean() > 0.85
    assert new[x[300:, 0] < -0.5].mean() < 0.55


def test_copies_count_once():
    probs, label, _ = by_class(100)
    rows = torch.arange(100).repeat(3)
    once, thrice = (
        trust_probe(probs, label, lower=0.0),
        trust_probe(probs[rows], label[rows], lower=0.0, repeats=Repeats.of(rows)),
    )
    assert torch.equal(once(probs), thrice(probs))


def test_a_teacher_that_is_always_right_or_few_labels_leave_the_margin():
    probs, label, _ = by_class(60)
    assert trust_probe(probs, probs.argmax(dim=1)) is None
    assert trust_probe(probs[:9], label[:9]) is None


def test_rows_that_do_not_fit_are_refused():
    probs, label, _ = by_class(20)
    with pytest.raises(InputError, match="features has 19 rows, but there are 20 labels"):
        trust_probe(probs, label, torch.zeros(19, 2))


def test_methods_take_it_by_name():
    assert override(method("slam"), "noise", "trust_probe").noise == Probed()
    built = override(override(method("slam"), "noise", "trust_probe"), "noise.lower_bound", 0.6)
    assert built.noise == Probed(lower_bound=0.6)
