"""Measure on held-out folds how much tuned self-distillation gains over a tuned linear model (`tune-xi`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from overproof.data.feature_file import read_features
from overproof.data.source import MAX_UNPACKED_GB
from overproof.errors import InputError
from overproof.evaluation.verdict import verdict_of
from overproof.functional.repeats import Repeats, standard_error
from overproof.linear.tuning_result import Task, TuningResult
from overproof.seeds import derived_seed

IMITATIONS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
TEACHER_DECADES = tuple(third / 3 for third in range(3, -16, -1))
"""Candidates for the teacher: the mean variance of a feature times ten to these powers. As fine as the student's, so
that the student does not gain by finer tuning."""
REPEATS = 3
"""How many times the examples are divided into folds by default."""
STUDENT_DECADES = (1, 0, -1, -2)
"""Candidates for the student: the teacher's best regularization times ten to these powers."""


def tune(
    path: Path,
    *,
    label: str | None,
    target: Sequence[str] = (),
    features: Sequence[str] = (),
    truth: str | None = None,
    group: str | None = None,
    folds: int = 5,
    repeats: int = REPEATS,
    seed: int = 0,
    max_unpacked_gb: float | None = None,
) -> TuningResult:
    """Read a file of features, and tune a softmax head for a label or ridge regression for targets.

    Args:
        path: .npz or Parquet.
        label: Name of the column or array of classes, or None.
        target: Names of the columns or arrays of numbers to predict; () with a label.
        features: Names of columns or arrays of features; () is all suitable ones (`overproof.data.feature_file`).
        truth: Name of the column or array of trusted classes to measure on, or None.
        group: Name of the column or array of what several rows may come from (`data.group` of a run), or None. An empty
            one is a group of its own.
        folds: At least 2.
        repeats: How many times the examples are divided into folds; at least 1.
        seed: Seed of the folds.
        max_unpacked_gb: Gigabytes to which compressed arrays or columns may unpack; None is 8.

    Raises:
        InputError: The file unpacks to more, lacks a name or has it in another form, or not exactly one of label and
            target is given.
    """
    if (label is None) == (not target):
        raise InputError("tune-xi needs either --label, for classes, or --target, for numbers to predict.")
    if truth is not None and label is None:
        raise InputError("--truth needs --label; targets are measured as given.")
    names = [name for name in (label, truth) if name is not None]
    most = MAX_UNPACKED_GB if max_unpacked_gb is None else float(max_unpacked_gb)
    if not most > 0:
        raise InputError(f"--max-unpacked-gb is {most:g}; it must be above 0.")
    read = read_features(str(path), features=features, label=names, target=target, group=group, max_gb=most)
    if label is None:
        columns = np.concatenate([read.answers[name] for name in target], axis=1)
        return tune_regression(read.features, columns, group=read.group, folds=folds, repeats=repeats, seed=seed)
    return tune_classification(
        read.features,
        read.answers[label],
        truth=None if truth is None else read.answers[truth],
        group=read.group,
        folds=folds,
        repeats=repeats,
        seed=seed,
        measured_on="the given labels" if truth is None else f"{truth!r}",
    )


def tune_classification(
    features: NDArray[Any],
    label: NDArray[Any],
    *,
    truth: NDArray[Any] | None = None,
    group: NDArray[Any] | None = None,
    folds: int = 5,
    repeats: int = REPEATS,
    seed: int = 0,
    measured_on: str = "the given labels",
) -> TuningResult:
    """Tune a softmax head on frozen features: the best teacher against the best pair of regularization and imitation.

    Regularization and imitation are chosen within each fold's training examples, on labels held out there, and the
    fold is predicted once. The interval of the gain holds the draw of the examples and of the folds (`gain_interval`).
    A fold whose other folds hold one class only is predicted as that class by both. Equal rows, and rows of one group,
    are in one fold and held out together; each content counts once (`overproof.functional.repeats`).

    Args:
        features: [N, D], finite.
        label: [N], which may be noisy.
        truth: [N], trusted labels to measure on; they are not used for fitting or choosing.
        group: [N], names or numbers of what several rows come from: they are in one fold, and intervals count groups.
        folds: At least 2.
        repeats: How many times the examples are divided into folds; at least 1.
        seed: Seed of folds and held-out examples.
        measured_on: A name for the labels that are measured on.

    Raises:
        InputError: There is one class only, or an option is out of range.
    """
    from overproof.linear.softmax import SoftmaxSelfDistillation

    classes = np.unique(label)
    if len(classes) < 2:
        raise InputError(f"The label is {str(classes[0])!r} in every row; at least 2 classes are needed.")
    if 2 * len(classes) > len(label):
        raise InputError(
            f"The label has {len(classes)} different values in {len(label)} rows; classes need two rows each on "
            f"average (give numbers to predict as --target)."
        )
    mean = float(np.var(features, axis=0, dtype=np.float64).mean())
    if mean == 0:
        raise InputError("No feature varies; at least one must.")
    tried = [mean * 10.0**decade for decade in TEACHER_DECADES]

    repeating = _repeats(features, group)
    together = repeating.group.numpy() if repeating.any else None

    def fitted(rows: NDArray[np.bool_]) -> tuple[Any, Any]:
        groups = None if together is None else together[rows]

        def head(regularization: Any, imitation: Any, imitations: Sequence[float] = ()) -> Any:
            model = SoftmaxSelfDistillation(
                regularization, imitation=imitation, imitations=imitations, random_state=seed, tol=1e-6
            )
            return model.fit(features[rows], label[rows], groups=groups)

        teacher = head(tried, 0.0)
        near = [teacher.regularization_ * 10.0**decade for decade in STUDENT_DECADES]
        return teacher, head(near, "held-out", IMITATIONS)

    names = label if truth is None else truth

    def right(rows: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
        if (label[~rows] == label[~rows][0]).all():
            return np.tile((names[rows] == label[~rows][0]).astype(np.float64), (2, 1)), 0.0
        models = fitted(~rows)
        answers = np.stack([model.predict(features[rows]) == names[rows] for model in models])
        return answers.astype(np.float64), float(models[1].imitation_)

    strata = np.unique(label, return_inverse=True)[1]
    measured = _measured(features, right, folds, repeats, seed, repeating, strata)
    teacher, student = fitted(np.ones(len(label), bool))
    return _judged("classification", features, len(classes), measured, teacher, student, measured_on)


def tune_regression(
    features: NDArray[Any],
    target: NDArray[Any],
    *,
    group: NDArray[Any] | None = None,
    folds: int = 5,
    repeats: int = REPEATS,
    seed: int = 0,
) -> TuningResult:
    """Tune ridge regression: the best teacher against the best pair, both chosen in closed form.

    Args:
        features: [N, D], finite.
        target: [N, T], finite.
        group: [N], as for `tune_classification`.
        folds: At least 2.
        repeats: How many times the examples are divided into folds; at least 1.
        seed: Seed of the folds.

    Raises:
        InputError: The target does not vary, there are fewer than 3 groups, or an option is out of range.
    """
    from overproof.linear.ridge import RidgeSelfDistillation, RidgeSelfDistillationCV

    if (target == target[0]).all():
        raise InputError(f"The target is {target.flat[0]:g} in every row; it must vary.")

    repeating = _repeats(features, group)
    together = repeating.group.numpy() if repeating.any else None
    if together is not None and 1 < repeating.num_groups < 3:
        raise InputError(
            "The rows have 2 groups (repeated rows are one); at least 3 are needed, to fit, to choose and to measure."
        )

    def fitted(rows: NDArray[np.bool_]) -> tuple[Any, Any]:
        groups = None if together is None else together[rows]
        both = RidgeSelfDistillationCV(random_state=seed).fit(features[rows], target[rows], groups=groups)
        return RidgeSelfDistillation(both.best_teacher_, imitation=0.0).fit(features[rows], target[rows]), both

    variance = np.var(target[repeating.once.numpy()], axis=0).sum()

    def explained(rows: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
        models = fitted(~rows)
        answers = np.stack([model.predict(features[rows]).reshape(-1, target.shape[1]) for model in models])
        return 1 - np.sum((answers - target[rows]) ** 2, axis=2) / variance, float(models[1].imitation_)

    measured = _measured(features, explained, folds, repeats, seed, repeating)
    teacher, student = fitted(np.ones(len(target), bool))
    return _judged("regression", features, target.shape[1], measured, teacher, student, "the given targets")


def gain_interval(
    gains: NDArray[np.float64],
    fold_gains: NDArray[np.float64],
    folds: int,
    level: float = 0.95,
    repeats: Repeats | None = None,
) -> tuple[float, float]:
    """An interval of the gain on new examples of a procedure that is fitted anew: examples and folds are drawn.

    The wider of two: that of the mean over examples, and that of the mean over folds with the variance of the corrected
    resampled t-test, (1 / number of fold gains + 1 / (folds - 1)) times the variance of the fold gains. The first alone
    takes the fitted models as given; folds share training examples, which the second corrects for.

    Args:
        gains: [N], the gain on every example, the mean over repeated folds.
        fold_gains: [R], the mean gain of every fold, of all repeats.
        folds: Folds of a repeat, at least 2.
        level: In (0, 1).
        repeats: Which examples repeat or depend on each other (`overproof.functional.repeats`); None for independent
            ones.

    Example:
        Two folds that differ by 2: the deviation is the root of 2, the factor the root of (1/2 + 1), t is 12.7.

        >>> low, high = gain_interval(np.zeros(4), np.array([-1.0, 1.0]), folds=2)
        >>> round(high, 1)
        22.0

    Source: Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52, section 3.
    """
    repeats = Repeats.none(len(gains)) if repeats is None else repeats
    gain = float(gains[repeats.once.numpy()].mean())
    of_examples = float(ndtri((1 + level) / 2)) * standard_error(torch.from_numpy(gains), repeats)
    share = 1 / len(fold_gains) + 1 / (folds - 1)
    of_folds = float(stdtrit(len(fold_gains) - 1, (1 + level) / 2) * np.sqrt(share) * fold_gains.std(ddof=1))
    half = max(of_examples, of_folds)
    return gain - half, gain + half


def _repeats(features: NDArray[Any], group: NDArray[Any] | None) -> Repeats:
    """Which rows repeat each other, or are of one group."""
    from overproof.linear.splits import content_order

    return Repeats.of(content_order(features, 0), group)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Measured:
    """Scores of teacher and student on held-out folds.

    Args:
        scores: [2, N], of teacher and student on every example, the mean over repeats.
        fold_gains: The mean gain of every fold of every repeat.
        imitations: Those chosen for them.
        folds: Folds of a repeat.
        repeating: Which examples repeat or depend on each other.
    """

    scores: NDArray[np.float64]
    fold_gains: NDArray[np.float64]
    imitations: tuple[float, ...]
    folds: int
    repeating: Repeats


def _measured(
    features: NDArray[Any],
    score: Callable[[NDArray[np.bool_]], tuple[NDArray[np.float64], float]],
    folds: int,
    repeats: int,
    seed: int,
    repeating: Repeats,
    strata: NDArray[np.int64] | None = None,
) -> _Measured:
    """Measure on the folds of all repeats; the first repeat has the folds of the seed itself."""
    from overproof.linear.splits import content_folds

    if folds < 2:
        raise InputError(f"--folds is {folds}; it must be at least 2.")
    if repeats < 1:
        raise InputError(f"--repeats is {repeats}; it must be at least 1.")
    together = repeating.group.numpy() if repeating.any else None
    once = np.zeros(len(features), bool)
    once[repeating.once.numpy()] = True
    scores, fold_gains, imitations, fewest = np.zeros((2, len(features))), [], [], folds
    for repeat in range(repeats):
        drawn = seed if repeat == 0 else derived_seed(seed, "folds", repeat) % 2**32
        fold = content_folds(features, folds, drawn, strata, together)
        if fold.max() < 1:
            same = "All rows of features are the same" if len(repeating.once) < 2 else "All rows are of one group"
            raise InputError(f"{same}; at least 2 different ones are needed.")
        fewest = int(fold.max()) + 1
        for number in range(fewest):
            found, imitation = score(fold == number)
            scores[:, fold == number] += found / repeats
            fold_gains.append(float((found[1] - found[0])[once[fold == number]].mean()))
            imitations.append(imitation)
    return _Measured(
        scores=scores,
        fold_gains=np.array(fold_gains),
        imitations=tuple(imitations),
        folds=fewest,
        repeating=repeating,
    )


def _judged(
    task: Task,
    features: NDArray[Any],
    num_answers: int,
    measured: _Measured,
    teacher: Any,
    student: Any,
    measured_on: str,
    level: float = 0.95,
) -> TuningResult:
    scores, same, once = measured.scores, student.imitation_ == 0, measured.repeating.once.numpy()
    gains = np.zeros(len(features)) if same else scores[1] - scores[0]
    low, high = (
        (0.0, 0.0) if same else gain_interval(gains, measured.fold_gains, measured.folds, level, measured.repeating)
    )
    return TuningResult(
        task=task,
        num_examples=len(features),
        num_groups=measured.repeating.num_groups,
        num_features=features.shape[1],
        num_answers=num_answers,
        metric="accuracy" if task == "classification" else "r2",
        teacher_regularization=float(teacher.regularization_),
        teacher=float(scores[0][once].mean()),
        regularization=float(student.regularization_),
        imitation=float(student.imitation_),
        fold_imitations=measured.imitations,
        student=float(scores[0 if same else 1][once].mean()),
        gain=float(gains[once].mean()),
        gain_low=low,
        gain_high=high,
        level=level,
        verdict=verdict_of(low, high),
        measured_on=measured_on,
        folds=measured.folds,
        repeats=len(measured.imitations) // measured.folds,
        same=bool(same),
    )
