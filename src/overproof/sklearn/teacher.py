"""A scikit-learn classifier as the teacher: its answers on every row, on labelled rows out of sample."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from torch import Tensor

from overproof.cross_fitting import FoldModels, folds, rows_without
from overproof.data import Examples, repeats_in
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.seeds import derived_seed
from overproof.sklearn.labels import KnownLabels
from overproof.teachers.from_arrays import NUM_FOLDS, CrossFittedAnswers
from overproof.teachers.scorers import spread

Predict = Callable[[Any], Tensor]


def teacher_answers(
    teacher: Any, inputs: Any, examples: Examples, target: KnownLabels, *, seed: int, halves: bool
) -> CrossFittedAnswers | Tensor:
    """The answers of a classifier on all rows, none of them by a fit that saw the row.

    A classifier is cloned and fitted once a fold of the labelled rows, by content; a fitted one that cloning leaves as
    it is (`sklearn.frozen.FrozenEstimator`) answers as it is, and must not have been trained on the labelled rows.

    Args:
        teacher: The classifier.
        inputs: [N] rows, as it reads them.
        examples: The same, with their contents.
        target: Their labels.
        seed: Draws the folds.
        halves: Whether the answers on the pool without each half of the labelled rows are needed too.

    Returns:
        The answers, as a tensor [N, K] where the classifier was fitted elsewhere.

    Raises:
        InputError: It cannot be fitted or asked, or has other classes.
    """
    who = f"teacher ({type(teacher).__name__})"
    if not hasattr(teacher, "fit") or not hasattr(teacher, "predict_proba"):
        raise InputError(f"{who} has no predict_proba; give a classifier with probabilities, or fit(…, answers=…).")
    every = torch.arange(len(examples))
    if _stays_fitted(teacher):
        return _predict(teacher, target, who)(inputs)
    rows = np.flatnonzero(target.known)
    label, group = torch.from_numpy(target.index[rows]), repeats_in(examples.take(rows)).group
    models = _models(teacher, inputs, target, min(NUM_FOLDS, len(group.unique())), group, seed, "teacher folds")
    pool = _safe_indexing(inputs, np.flatnonzero(~target.known))
    probs = torch.zeros(len(every), len(target.classes), dtype=torch.float64)
    probs[torch.from_numpy(~target.known)] = models.mean(lambda predict: predict(pool), label)
    probs[torch.from_numpy(rows)] = models.out_of_fold(
        lambda predict, held_out: predict(_safe_indexing(inputs, rows[held_out.numpy()]))
    )
    without_half: tuple[Tensor, ...] = ()
    if halves:
        two = _models(teacher, inputs, target, 2, group, seed, "")
        without_half = (two[0](pool), two[1](pool))
    return CrossFittedAnswers(probs=probs, without_half=without_half)


def _stays_fitted(teacher: Any) -> bool:
    return clone(teacher) is teacher


def _models(
    teacher: Any, inputs: Any, target: KnownLabels, num_folds: int, group: Tensor, seed: int, name: str
) -> FoldModels[Predict]:
    """One fit for each fold of the labelled rows."""
    rows = np.flatnonzero(target.known)
    label = torch.from_numpy(target.index[rows])
    fold = folds(label, num_folds, derived_seed(seed, name) if name else seed, group)
    who = f"teacher ({type(teacher).__name__})"

    def fit(number: int, some: Tensor) -> Predict:
        assert torch.equal(some, rows_without(fold, number))
        mine = rows[some.numpy()]
        if len(seen := np.unique(target.index[mine])) == 1:
            certain = torch.nn.functional.one_hot(torch.tensor(int(seen[0])), len(target.classes)).double()
            return lambda asked: certain.expand(len(asked) if not hasattr(asked, "shape") else asked.shape[0], -1)
        fitted = seeded(clone(teacher), derived_seed(seed, "teacher", number))
        try:
            fitted.fit(_safe_indexing(inputs, mine), target.classes[target.index[mine]])
        except Exception as error:
            raise InputError(f"{who} cannot be fitted on the labelled rows: {reason(error)}.") from error
        return _predict(fitted, target, who)

    return FoldModels(fold=fold, fit=fit)


def _predict(fitted: Any, target: KnownLabels, who: str) -> Predict:
    own = np.asarray(fitted.classes_)
    place = {value: index for index, value in enumerate(target.classes.tolist())}
    if strange := [value for value in own.tolist() if value not in place]:
        raise InputError(f"{who} has the classes {listed(strange)}, which y does not; y has {listed(target.classes)}.")
    order = np.array([place[value] for value in own.tolist()])

    def predict(asked: Any) -> Tensor:
        try:
            return spread(np.asarray(fitted.predict_proba(asked)), order, len(target.classes))
        except Exception as error:
            raise InputError(f"{who} cannot answer these rows: {reason(error)}.") from error

    return predict


def seeded(estimator: Any, seed: int) -> Any:
    """The same estimator, every `random_state` of it and its parts that is None being drawn from the seed."""
    names = [
        name
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    return estimator.set_params(**{name: derived_seed(seed, name) % 2**32 for name in names})
