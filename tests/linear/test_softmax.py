"""Self-distilled softmax regression: exact identities, the turning point, and rejected input."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from overproof.errors import InputError
from overproof.linear import SoftmaxSelfDistillation
from overproof.linear.heads import SoftmaxProblem
from overproof.linear.softmax import ImitationGrid, ImitationPath
from overproof.linear.theory import logistic_bands


@parametrize_with_checks([SoftmaxSelfDistillation()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_contract(estimator, check):
    assert check(estimator) is None


def blobs(n=300, classes=3, seed=0, flips=0.3, dims=5):
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    features = 1.2 * np.eye(classes, dims)[truth] + rng.normal(size=(n, dims)) + 2
    label = np.where(rng.random(n) < flips, rng.integers(classes, size=n), truth)
    return features, label, truth


def gradient(features, targets, weights, bias, ridge):
    """Of mean cross-entropy + ridge/2 ||W||^2 with the explicit targets [N, K]."""
    logits = features @ weights.T + bias
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    return (probs - targets).T @ features / len(features) + ridge * weights, (probs - targets).mean(axis=0)


def test_the_teacher_is_scikit_learns():
    features, label, _ = blobs()
    ours = SoftmaxSelfDistillation(0.02, imitation=0.0).fit(features, label)
    peer = LogisticRegression(C=1 / (0.02 * len(label)), tol=1e-10, max_iter=10_000).fit(features, label)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(features), peer.predict_proba(features), atol=1e-6)
    np.testing.assert_allclose(ours.coef_, ours.teacher_coef_)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("imitation", [-1.5, 0.5, 1.0, 3.0])
def test_the_student_minimises_the_loss_of_the_extrapolated_targets(imitation, intercept):
    features, label, _ = blobs()
    ridge = 0.02
    ours = SoftmaxSelfDistillation(ridge, imitation=imitation, fit_intercept=intercept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ours.fit(features, label)
    logits = features @ ours.teacher_coef_.T + ours.teacher_intercept_
    teacher = np.exp(logits - logits.max(axis=1, keepdims=True))
    teacher /= teacher.sum(axis=1, keepdims=True)
    targets = imitation * teacher + (1 - imitation) * np.eye(3)[label]
    assert (targets.min() < 0) == (imitation > 1 or imitation < 0)
    slope, bias_slope = gradient(features, targets, ours.coef_, ours.intercept_, ridge)
    np.testing.assert_allclose(slope, 0, atol=1e-8)
    if intercept:
        np.testing.assert_allclose(bias_slope, 0, atol=1e-8)


@pytest.mark.parametrize("imitation", [-0.7, 2.0])
def test_the_student_is_pulled_towards_minus_imitation_times_its_teacher(imitation):
    """The gradient of cross-entropy with the plain labels + ridge/2 ||W + imitation G||^2 vanishes at the student."""
    features, label, _ = blobs()
    ridge = 0.05
    ours = SoftmaxSelfDistillation(ridge, imitation=imitation).fit(features, label)
    slope, _ = gradient(features, np.eye(3)[label], ours.coef_, ours.intercept_, ridge)
    np.testing.assert_allclose(slope + ridge * imitation * ours.teacher_coef_, 0, atol=1e-8)


def test_without_weight_decay_student_and_teacher_are_equal():
    features, label, _ = blobs()
    ours = SoftmaxSelfDistillation(0.0, imitation=1.0).fit(features, label)
    np.testing.assert_allclose(ours.coef_, ours.teacher_coef_, atol=1e-8)


def test_a_warm_start_ends_where_a_cold_one_does():
    features, label, _ = blobs()
    problem = SoftmaxProblem.of(features, np.ones(300), 3, intercept=True, tolerance=1e-10, max_iter=1000)
    path = ImitationPath(problem, label, 0.02)
    walked = dict(path.heads(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])))
    assert list(walked) == [0.0, 0.5, 1.0, 2.0, -1.0]
    for imitation, head in walked.items():
        np.testing.assert_allclose(head.weights, path.head(imitation, problem.start()).weights, atol=1e-8)
    assert walked[0.0] is path.teacher


def test_the_choice_is_that_of_a_loop_over_estimators():
    features, label, _ = blobs(400)
    tried = SoftmaxSelfDistillation([0.3, 0.003], imitations=[-1.0, 1.0, 2.0]).fit(features, label)
    grid = tried.grid_
    assert grid.imitation.tolist() == [-1.0, 0.0, 1.0, 2.0]
    assert grid.regularization.tolist() == [0.3, 0.003]
    best = np.nanmax(grid.accuracy)
    row, column = grid.best()
    assert grid.accuracy[row, column] == best
    assert (tried.regularization_, tried.imitation_) == (grid.regularization[row], grid.imitation[column])
    assert tried.best_teacher_ == grid.regularization[np.argmax(grid.accuracy[:, 1])]
    alone = SoftmaxSelfDistillation(tried.regularization_, imitation=tried.imitation_).fit(features, label)
    np.testing.assert_allclose(alone.coef_, tried.coef_, atol=1e-7)
    fixed = SoftmaxSelfDistillation([0.3, 0.003], imitation=1.0).fit(features, label)
    assert fixed.regularization_ == grid.regularization[np.nanargmax(grid.accuracy[:, 2])]


def test_of_equals_the_least_imitation_and_the_most_regularization_win():
    grid = ImitationGrid(
        regularization=np.array([1.0, 0.1]),
        imitation=np.array([-1.0, 0.0, 1.0, 2.0]),
        accuracy=np.array([[0.9, 0.8, 0.9, np.nan], [0.8, 0.8, 0.9, 0.9]]),
        max_imitation=np.array([1.5, 4.0]),
    )
    assert grid.best() == (0, 0)
    assert grid.best(0.0) == (0, 1)
    assert grid.best(2.0) == (1, 3)


def two_classes(ridge, per_class=100, within=0.25, rate=0.3):
    """Unit vectors of inner product `within` in a class and 0 across; exactly `rate` of each class flipped."""
    gram = np.kron(np.eye(2), np.full((per_class, per_class), within)) + (1 - within) * np.eye(2 * per_class)
    truth, flips = np.repeat([0, 1], per_class), round(rate * per_class)
    label = truth.copy()
    label[:flips], label[per_class : per_class + flips] = 1, 0
    # Two softmax vectors need twice the regularization of one logistic vector.
    problem = SoftmaxProblem.of(
        np.linalg.cholesky(gram), np.ones(len(label)), 2, intercept=False, tolerance=1e-9, max_iter=1000
    )
    return problem, ImitationPath(problem, label, 2 * ridge), truth


@pytest.mark.parametrize(("rate", "teacher_is_right", "student_is_right"), [(0.28, True, True), (0.36, False, True)])
def test_between_the_bands_the_student_beats_its_teacher(rate, teacher_is_right, student_is_right):
    ridge = 3e-3
    teacher_band, student_band, _ = logistic_bands(0.25, 0.0, 100, ridge)
    assert (rate < teacher_band, rate < student_band) == (teacher_is_right, student_is_right)
    problem, path, truth = two_classes(ridge, rate=rate)
    assert bool((problem.probs(path.teacher).argmax(axis=1) == truth).all()) == teacher_is_right
    assert bool((problem.probs(path.head(1.0)).argmax(axis=1) == truth).all()) == student_is_right


@pytest.mark.parametrize("ridge", [0.003, 0.02, 0.05])
def test_the_turning_point_is_the_one_of_theory(ridge):
    _, path, _ = two_classes(ridge)
    assert path.max_imitation == pytest.approx(logistic_bands(0.25, 0.0, 100, ridge)[2], rel=0.15)


def test_past_the_turning_point_the_classes_are_reversed():
    problem, path, truth = two_classes(0.05)
    right = [
        np.mean(problem.probs(path.head(factor * path.max_imitation)).argmax(axis=1) == truth) for factor in (0.5, 1.5)
    ]
    assert right[0] == 1
    assert right[1] < 0.5
    assert list(dict(path.heads(np.array([0.0, 0.5, 99.0])))) == [0.0, 0.5]
    features, label, _ = blobs()
    with pytest.warns(UserWarning, match="imitation 50 is above"):
        SoftmaxSelfDistillation(0.5, imitation=50.0).fit(features, label)


def test_beyond_one_wins_under_heavy_noise_where_the_teacher_is_under_regularised():
    """The signal is on large directions: half of the labels are redrawn, the teacher memorises them on the others."""
    features, label, _ = blobs(400, flips=0.5, dims=60, seed=1)
    new, _, answers = blobs(4000, flips=0.0, dims=60, seed=2)
    scale = np.where(np.arange(60) < 3, 2.0, 0.3)
    scores = [
        SoftmaxSelfDistillation(0.005, imitation=imitation).fit(features * scale, label).score(new * scale, answers)
        for imitation in (0.0, 1.0, 3.0)
    ]
    assert scores[0] + 0.02 < scores[1] < scores[2] - 0.04


def test_single_precision_and_class_names():
    features, label, _ = blobs()
    words = np.array(["ape", "bee", "cow"])[label]
    double = SoftmaxSelfDistillation(0.02, imitation=1.5).fit(features, words)
    single = SoftmaxSelfDistillation(0.02, imitation=1.5).fit(features.astype(np.float32), words)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-4)
    assert set(double.predict(features)) <= {"ape", "bee", "cow"}


def test_with_too_few_examples_to_hold_out_the_teacher_is_kept():
    fitted = SoftmaxSelfDistillation().fit([[0.0], [1.0]], [0, 1])
    assert fitted.imitation_ == 0
    assert fitted.imitation_source_ == "the teacher itself: none of 2 examples could be held out"


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({"regularization": -1.0}, {}, "regularization has -1; finite numbers of at least 0"),
        (
            {"regularization": 0.0},
            {},
            "imitation 'held-out', which searches outside .0, 1., needs a regularization above 0",
        ),
        ({"regularization": 0.0, "imitation": 1.5}, {}, "imitation 1.5, which is outside .0, 1., needs"),
        ({"regularization": 0.0, "imitation": -0.1}, {}, "with negative targets and no weight decay"),
        ({"imitation": "one-shot"}, {}, "imitation is 'one-shot'; it must be 'held-out' or a finite number"),
        ({"imitations": [np.nan]}, {}, "imitations has a number that is not finite"),
        ({"validation_fraction": 1.0}, {}, "validation_fraction is 1.0"),
        ({"tol": 0.0}, {}, "tol is 0.0"),
        ({}, {"y": np.zeros(20)}, "The labels have 1 class; at least 2 classes are needed"),
        ({}, {"X": np.full((20, 2), np.nan)}, "NaN"),
        ({}, {"y": np.arange(19) % 2}, "inconsistent numbers of samples"),
    ],
)
def test_invalid_input_is_reported_in_one_sentence(options, change, words):
    given = {"X": np.random.default_rng(0).normal(size=(20, 2)), "y": np.arange(20) % 2} | change
    with pytest.raises(ValueError, match=words) as raised:
        SoftmaxSelfDistillation(**options).fit(**given)
    assert isinstance(raised.value, InputError) or "NaN" in words or "inconsistent" in words


def test_an_unconverged_fit_raises_a_warning():
    from sklearn.exceptions import ConvergenceWarning

    features, label, _ = blobs()
    with pytest.warns(ConvergenceWarning, match="stopped after 1 iterations"):
        SoftmaxSelfDistillation(1e-3, imitation=1.0, max_iter=1).fit(features, label)
