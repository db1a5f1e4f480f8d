"""`DistilledClassifier` passes scikit-learn's checks, works in its pipelines and searches, and refuses the rest."""

import copy
import warnings

import numpy as np
import pyarrow as pa
import pytest
import sklearn
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import overproof
from overproof import TrainOptions
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import load_student
from overproof.sklearn import DistilledClassifier, LabelledFolds
from overproof.sklearn.labels import target_of
from overproof.sklearn.teacher import teacher_answers
from overproof.synthetic import blobs

NAMES = np.array(["cat", "dog", "eel"])
NUM_LABELLED = 60
QUICK = {"epochs": 2, "learning_rate": 0.3}


@pytest.fixture(scope="module")
def world():
    made = blobs(num_examples=240, num_classes=3, seed=0)
    return made.inputs.numpy(), made.label.numpy(), made.teacher_probs.numpy()


@pytest.fixture(scope="module")
def y(world):
    return np.where(np.arange(240) < NUM_LABELLED, world[1], -1)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def quick(teacher=None, student="linear", **options) -> DistilledClassifier:
    return DistilledClassifier(student, teacher, **{"method": "soft", "train": QUICK, **options})


def test_scikit_learns_own_checks():
    reason = "it takes -1 for a class; here it is an unlabelled row, as in scikit-learn's semi-supervised classifiers"
    made = quick(LogisticRegression(), train={"epochs": 2, "learning_rate": 1.0, "batch_size": 64})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(made, expected_failed_checks={"check_classifiers_classes": reason}, on_skip=None)


@pytest.mark.parametrize("dtype", [object, None])
def test_classes_are_those_of_the_labels(world, dtype):
    inputs, label, _ = world
    with pytest.warns(UserWarning, match="no unlabelled row"):
        fitted = quick().fit(inputs, np.array(NAMES[label], dtype))
    assert fitted.classes_.tolist() == list(NAMES)
    assert set(fitted.predict(inputs)) <= set(NAMES)
    assert fitted.student_.class_names == tuple(NAMES)


def test_it_trains_the_student_of_distill(world, y):
    inputs, _, probs = world
    fitted = quick().fit(inputs, y, answers=probs)
    direct = overproof.distill(
        "linear", inputs, probs, labels=y, method="soft", class_names=["0", "1", "2"], train=TrainOptions(**QUICK)
    )
    assert (fitted.predict_proba(inputs) == direct.student.predict_proba(inputs)).all()
    assert fitted.distilled_.num_labelled == NUM_LABELLED
    assert (fitted.student_.has_seen(inputs)).all()


def test_clones_and_copies_are_the_same_classifier(world, y, tmp_path):
    inputs, label, _ = world
    fitted = quick(LogisticRegression()).fit(inputs, y)
    probs = fitted.predict_proba(inputs)
    assert not hasattr(clone(fitted), "student_")
    assert (clone(fitted).fit(inputs, y).predict_proba(inputs) == probs).all()
    assert (copy.deepcopy(fitted).predict_proba(inputs) == probs).all()
    fitted.student_.save(tmp_path / "student")
    assert (load_student(tmp_path / "student").predict_proba(inputs) == probs).all()
    assert fitted.score(inputs[NUM_LABELLED:], label[NUM_LABELLED:]) > 0.7
    module = torch.nn.Linear(2, 3)
    before = module.weight.clone()
    quick(LogisticRegression(), module).fit(inputs, y)
    assert torch.equal(module.weight, before)


def test_a_teacher_answers_no_row_that_it_was_fitted_on(world):
    inputs = np.round(world[0], 1)
    inputs[:10] = inputs[10:20]
    label = np.random.default_rng(0).integers(0, 3, 240)
    label[:10] = label[10:20]
    target = target_of(np.where(np.arange(240) < 200, label, -1), "a test")
    memory = KNeighborsClassifier(1)
    found = teacher_answers(memory, inputs, from_arrays(inputs), target, seed=0, halves=True)
    right = (found.probs[:200].argmax(dim=1).numpy() == label[:200]).mean()
    assert right < 0.5, "a memory is at chance where labels are random and folds are by content"
    assert (memory.fit(inputs[:200], label[:200]).predict(inputs[:200]) == label[:200]).mean() > 0.9
    assert [each.shape for each in found.without_half] == [(40, 3)] * 2
    assert torch.allclose(found.probs.sum(dim=1), torch.ones(240).double())


def test_a_frozen_teacher_answers_as_it_is(world, y):
    inputs, label, _ = world
    elsewhere = LogisticRegression().fit(inputs[120:], label[120:])
    frozen = quick(FrozenEstimator(elsewhere)).fit(inputs[:120], y[:120])
    given = quick().fit(inputs[:120], y[:120], answers=elsewhere.predict_proba(inputs[:120]))
    assert (frozen.predict_proba(inputs) == given.predict_proba(inputs)).all()


def test_a_pipeline_passes_answers_on(world, y, routing):
    inputs, label, probs = world
    pipeline = make_pipeline(StandardScaler(), quick().set_fit_request(answers=True))
    search = GridSearchCV(pipeline, {"distilledclassifier__method": ["soft", "hard"]}, cv=LabelledFolds(3))
    search.fit(inputs, y, answers=probs)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(inputs[NUM_LABELLED:], label[NUM_LABELLED:]) > 0.7


def test_only_labelled_rows_are_scored_and_each_content_in_one_fold(world, y):
    inputs = world[0].copy()
    inputs[:10] = inputs[10:20]
    seen = []
    for fitted, scored in LabelledFolds(3).split(inputs, np.where(np.arange(240) < 20, 0 * y, y)):
        assert (y[scored] >= 0).all()
        assert not set(fitted) & set(scored)
        assert set(np.flatnonzero(y < 0)) <= set(fitted)
        assert {row + 10 for row in scored if row < 10} == {row for row in scored if 10 <= row < 20}
        seen += scored.tolist()
    assert sorted(seen) == list(range(NUM_LABELLED))
    dense, sparse = ([*LabelledFolds(3).split(each, y)] for each in (inputs, csr_array(inputs)))
    assert all((one[1] == other[1]).all() for one, other in zip(dense, sparse, strict=True))
    patients = np.arange(240) // 6
    for fitted, scored in LabelledFolds(3).split(inputs, y, patients):
        assert not set(patients[fitted]) & set(patients[scored]) - set(patients[y < 0])


def test_a_plain_cross_validation_scores_the_labelled_rows(world, y):
    inputs = world[0]
    search = GridSearchCV(quick(LogisticRegression()), {"method": ["soft"]}, cv=3, error_score="raise")
    with pytest.warns(UserWarning, match=r"[0-9]+ of 80 rows in y have no label and are not scored.*LabelledFolds"):
        search.fit(inputs, y)
    scores = []
    for fitted, scored in StratifiedKFold(3).split(inputs, y):
        labelled = scored[y[scored] >= 0]
        scores.append(quick(LogisticRegression()).fit(inputs[fitted], y[fitted]).score(inputs[labelled], y[labelled]))
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(scores))
    fitted, weight = quick(LogisticRegression()).fit(inputs, y), np.arange(240.0)
    known = y >= 0
    with pytest.warns(UserWarning, match="not scored"):
        weighted = fitted.score(inputs, y, sample_weight=weight)
    assert weighted == fitted.score(inputs[known], y[known], sample_weight=weight[known])
    with pytest.raises(ValueError, match="score: y has no label"):
        fitted.score(inputs, np.full(240, -1))
    # The labelled rows come first: the second training set of a plain KFold has none.
    search = GridSearchCV(quick(LogisticRegression()), {"method": ["soft"]}, cv=KFold(2), error_score="raise")
    for unknown in (-1, None, np.nan, ""):
        words = np.array([unknown if value < 0 else f"class {value}" for value in y], object)
        with pytest.raises(ValueError, match=r"y has no label.*give cv=overproof.sklearn.LabelledFolds.5."):
            search.fit(world[0], words)
    # What scikit-learn does with folds of its own, as the page on it says; ours work.
    words = np.array([None if value < 0 else f"class {value}" for value in y], object)
    with pytest.raises(TypeError, match="not supported between instances of 'NoneType' and 'str'"):
        GridSearchCV(quick(LogisticRegression()), {"method": ["soft"]}, cv=3).fit(world[0], words)
    ours = GridSearchCV(quick(LogisticRegression()), {"method": ["soft"]}, cv=LabelledFolds(2), error_score="raise")
    assert ours.fit(world[0], words).best_score_ > 0.5


def test_answers_by_name_and_as_classes(world, y):
    inputs, _, probs = world
    words = [None if value < 0 else str(NAMES[value]) for value in y]
    by_order = quick().fit(inputs, words, answers=probs).predict_proba(inputs)
    table = pa.table(dict(zip(NAMES[::-1], probs.T[::-1], strict=True)))
    assert (quick().fit(inputs, words, answers=table).predict_proba(inputs) == by_order).all()
    answered = probs.argmax(axis=1)
    hard = quick().fit(inputs, words, answers=NAMES[answered]).predict_proba(inputs)
    assert (quick().fit(inputs, y, answers=answered).predict_proba(inputs) == hard).all()
    assert (quick().fit(inputs, words, answers=np.eye(3)[answered]).predict_proba(inputs) == hard).all()


def test_texts(y):
    texts = [f"row {row} is {NAMES[row % 3]}" for row in range(240)]
    words = [NAMES[row % 3] if row < 60 else None for row in range(240)]
    fitted = DistilledClassifier(method="soft", train={"epochs": 1}).fit(
        texts, words, answers=NAMES[np.arange(240) % 3]
    )
    assert fitted.predict(texts[:3]).shape == (3,)


def test_texts_after_a_fit_on_a_frame():
    words = np.array([NAMES[row % 3] if row < 30 else None for row in range(90)], object)
    model = DistilledClassifier("auto", method="hard", train={"epochs": 1})
    model.fit(pa.table({"size": np.arange(90.0)}), words, answers=NAMES[np.arange(90) % 3])
    assert model.n_features_in_ == 1
    texts = [f"row {row} is {NAMES[row % 3]}" for row in range(90)]
    model.fit(np.array(texts, object), words, answers=NAMES[np.arange(90) % 3])
    assert not hasattr(model, "n_features_in_")
    assert model.predict(np.array(texts[:3], object)).shape == (3,)


def test_frames_of_polars(world, y):
    polars = pytest.importorskip("polars")
    inputs, label, _ = world
    colour = [None if row % 50 == 3 else "red" if value > 0 else "blue" for row, value in enumerate(inputs[:, 0])]
    frame = polars.DataFrame({"a": inputs[:, 0], "b": inputs[:, 1], "colour": colour})
    words = polars.Series([None if value < 0 else str(NAMES[value]) for value in y])
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour"]), (StandardScaler(), ["a", "b"])
    )
    fitted = quick(make_pipeline(columns, LogisticRegression())).fit(frame, words)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "colour"]
    assert fitted.score(frame[NUM_LABELLED:], NAMES[label[NUM_LABELLED:]]) > 0.7
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.select(["b", "a", "colour"]))


def test_what_is_refused(world, y):
    inputs, _, probs = world
    none, words = np.full(240, -1), np.array([str(value) for value in y])
    refused = {
        "no label; some rows need one": (LogisticRegression(), none, None),
        "180 unlabelled rows, and nothing answers them; give teacher=": (None, y, None),
        "has a teacher, and fit gets answers": (LogisticRegression(), y, probs),
        "inconsistent numbers of samples": (None, y, probs[:9]),
        "y has the label '-1' in row 60": (LogisticRegression(), words, None),
        "one class only, 0": (LogisticRegression(), np.minimum(y, 0), None),
        r"answers none of the 180 rows without a label, but has -1 \(180\)|but has None \(180\)": (None, y, y),
        "answers holds one number a row, not all of them whole": (None, y, np.full(240, 0.5)),
        r"answers, row 0 .*sum to 2": (None, y, probs * 2),
        "has no predict_proba": (StandardScaler(), y, None),
        r"teacher \(DummyClassifier\) cannot be fitted on the labelled rows": (
            DummyClassifier(strategy="constant"),
            y,
            None,
        ),
    }
    for sentence, (teacher, target, answers) in refused.items():
        with pytest.raises(ValueError, match=sentence):
            quick(teacher).fit(inputs, target, answers=answers)
    with pytest.raises(InputError, match="student is 3; a str or Module or ModelSpec is allowed"):
        quick(student=3).fit(inputs, y, answers=probs)


@pytest.mark.parametrize("student", ["linear", "mlp"])
def test_a_small_table_is_enough_with_the_default_options(student):
    # An epoch is one step here: fifteen of them left `linear` at .64 and `mlp` at .80 of such rows.
    world = blobs(num_examples=400, num_classes=3, seed=1)
    X, y = world.inputs.numpy(), world.label.numpy().copy()
    best = LogisticRegression().fit(X[:100], y[:100]).score(X[100:], y[100:])
    partly = y[:100].copy()
    partly[30:] = -1
    distilled = DistilledClassifier(student, LogisticRegression(), method="hard").fit(X[:100], partly)
    assert len(distilled.distilled_.history) == 200
    assert distilled.score(X[100:], y[100:]) > best - 0.02
