"""A class with fewer labelled examples than folds: a result, or one sentence, from every kind of teacher."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import overproof
from overproof.answers.predictions import compress
from overproof.cross_fitting import FoldModels, folds, held_out_rows
from overproof.data import Examples, from_arrays
from overproof.errors import InputError
from overproof.teachers import GivenRows, cross_fitted, cross_fitted_estimator
from overproof.training.options import TrainOptions


def examples(label, num_classes, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(len(label), 3)) + np.eye(3)[np.asarray(label) % 3]
    return from_arrays(inputs, label, class_names=[f"c{i}" for i in range(num_classes)], origin="labelled")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """Predicts the class shares of what it was fitted on, and a tenth for every class it was not fitted on."""

    fingerprint: str = "shares"

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path):
        assert len(labelled.label.unique()) > 1, "one class needs no fit"
        share = torch.bincount(labelled.label, minlength=num_classes).double() / len(labelled)
        share[share == 0] = 0.1
        return lambda some: (share / share.sum()).expand(len(some), -1)


def test_one_positive_of_two_classes(tmp_path):
    labelled, pool = examples([1] + [0] * 9, 2), examples([0, 0], 2, seed=1)
    answers = cross_fitted(Shares(), labelled, {"pool": pool}, num_folds=5, seed=0, folder=tmp_path)
    own = folds(labelled.label, 5, 0) == folds(labelled.label, 5, 0)[0]
    probs = answers["labelled"].probs()
    # The fit without the positive gives the negatives probability 1; the others have seen 1 positive and 7 negatives.
    assert (probs[own] == torch.tensor([1.0, 0.0])).all()
    torch.testing.assert_close(probs[~own], torch.tensor([[7 / 8, 1 / 8]]).expand(8, 2), rtol=0, atol=1e-3)
    # Class 0: the mean of 7/8 four times and 1; class 1: that of 1/8 four times, without the fit that did not see it.
    mean = torch.tensor([[4.5 / 5, 1 / 8]])
    torch.testing.assert_close(answers["pool"].probs(), (mean / mean.sum()).expand(2, 2), rtol=0, atol=1e-3)


def test_a_fit_that_has_not_seen_a_class_gives_it_probability_zero(tmp_path):
    labelled, pool = examples([3] + [0, 1, 2] * 4, 5), examples([0], 5, seed=1)
    answers = cross_fitted(Shares(), labelled, {"pool": pool}, num_folds=4, seed=0, folder=tmp_path)
    own = folds(labelled.label, 4, 0) == folds(labelled.label, 4, 0)[0]
    probs = answers["labelled"].probs()
    assert (probs[own, 3] == 0).all()
    assert (probs[~own, 3] > 0.05).all()
    # Class 4 has no example at all: what a teacher predicts for it is its own.
    assert (probs[:, 4] > 0.05).all()
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(13), rtol=0, atol=2e-3)
    assert answers["pool"].probs()[0, 3] > 0.05


def test_the_mean_is_the_plain_one_where_every_model_has_seen_every_class():
    label, fold = torch.tensor([0, 1, 0, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 0, 1])
    models = FoldModels(fold=fold, fit=lambda number, rows: number)
    scores = torch.rand(2, 7, 3)
    torch.testing.assert_close(models.mean(lambda number: scores[number], label), scores.mean(dim=0), rtol=0, atol=0)


ESTIMATORS = [
    LogisticRegression(), SVC(probability=True), LinearDiscriminantAnalysis(), KNeighborsClassifier(),
    HistGradientBoostingClassifier(max_iter=3), CalibratedClassifierCV(),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("label", [[1] + [0] * 29, [1] + [0] * 5, [3] + [0, 1, 2] * 5, [0, 1, 2, 3, 4]])
def test_distill_with_a_rare_class_gives_a_student_or_a_sentence(estimator, label):
    num_classes = max(label) + 1
    labelled, pool = examples(label, num_classes), examples([0] * 20, num_classes, seed=1)
    rejects = {LinearDiscriminantAnalysis: 5, KNeighborsClassifier: 5, CalibratedClassifierCV: 99}
    if len(label) <= rejects.get(type(estimator), 0):
        with pytest.raises(InputError, match=rf"teacher \({type(estimator).__name__}\) cannot "):
            cross_fitted_estimator(estimator, GivenRows(labelled), GivenRows(pool), num_folds=5, seed=0)
        return
    held_out, mean = cross_fitted_estimator(estimator, GivenRows(labelled), GivenRows(pool), num_folds=5, seed=0)
    for probs in (held_out, mean):
        assert torch.isfinite(probs).all()
        torch.testing.assert_close(probs.sum(dim=1), torch.ones(len(probs), dtype=torch.float64))
    assert held_out[0, label[0]] == 0
    assert mean[:, label[0]].max() > 0
    if not compress(mean.float()).names_class.any():
        with pytest.raises(InputError, match="None of the 20 pool examples has an answer that names a class"):
            overproof.distill("linear", pool.inputs, estimator, labelled.inputs, label, method="wd")
        return
    found = overproof.distill(
        "linear", pool.inputs, estimator, labelled.inputs, label, method="wd", train=TrainOptions(epochs=1)
    )
    assert found.num_held_out >= 1


@pytest.mark.parametrize("folder", ["labels"])
def test_labels_of_one_class_train_no_teacher(tmp_path, folder):
    labelled, pool = examples([0] * 9, 2), examples([0] * 4, 2, seed=1)
    message = r"All 9 examples of labelled that a teacher is trained on are of class 'c0', so it cannot tell it"
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        cross_fitted(Shares(), labelled, {"pool": pool}, num_folds=3, seed=0, folder=tmp_path / folder)
    assert not (tmp_path / folder).exists()
    with pytest.raises(InputError, match="All 9 examples"):
        cross_fitted_estimator(LogisticRegression(), GivenRows(labelled), GivenRows(pool), num_folds=3, seed=0)


@pytest.mark.parametrize("seed", range(20))
def test_the_last_example_of_a_class_is_not_held_out(seed):
    label = torch.tensor([1] + [0] * 8 + [2])
    held_out = held_out_rows(label, 1 / 3, seed)
    assert not held_out[[0, 9]].any()
    assert 1 <= held_out.sum() <= 4
    # With one example each, one of them has to be.
    assert held_out_rows(torch.tensor([0, 1]), 1 / 3, seed).sum() == 1
    assert held_out_rows(torch.tensor([0, 0, 1]), 1 / 3, seed).tolist() in ([True, False, False], [False, True, False])
