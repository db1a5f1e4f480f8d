"""Measure on held-out folds how much tuned self-distillation gains over a tuned linear model (`tune-xi`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from scipy.special import ndtri

from overproof.data.feature_file import read_features
from overproof.errors import InputError
from overproof.evaluation.verdict import Verdict, verdict_of

Task = Literal["classification", "regression"]

IMITATIONS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
TEACHER_DECADES = tuple(third / 3 for third in range(3, -16, -1))
"""Candidates for the teacher: the mean variance of a feature times ten to these powers. As fine as the student's, so
that the student does not gain by finer tuning."""
STUDENT_DECADES = (1, 0, -1, -2)
"""Candidates for the student: the teacher's best regularization times ten to these powers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningResult:
    """The result of the tuning; fit for JSON through `as_json`.

    Args:
        task: "classification" (a softmax head) or "regression" (ridge).
        num_examples: N.
        num_features: D.
        num_answers: Number of classes, or of outputs.
        metric: "accuracy", or "r2", the share of the outputs' variance that is predicted.
        teacher_regularization: The teacher's best, chosen on all examples.
        teacher: The teacher's metric, each example predicted by a fit on the other folds.
        regularization: The student's, chosen together with its imitation on all examples.
        imitation: The student's.
        fold_imitations: The imitations chosen by the students of the folds, whose predictions are measured.
        student: The student's metric, measured as the teacher's.
        gain: `student` less `teacher`.
        gain_low: Lower end of its interval.
        gain_high: Upper end of its interval.
        level: Coverage of the interval.
        verdict: BEATS, DOES NOT BEAT or INCONCLUSIVE (`overproof.evaluation.verdict`).
        measured_on: The labels or targets that the metric is computed against.
        folds: Number of folds.
    """

    task: Task
    num_examples: int
    num_features: int
    num_answers: int
    metric: Literal["accuracy", "r2"]
    teacher_regularization: float
    teacher: float
    regularization: float
    imitation: float
    fold_imitations: tuple[float, ...]
    student: float
    gain: float
    gain_low: float
    gain_high: float
    level: float
    verdict: Verdict
    measured_on: str
    folds: int

    def as_json(self) -> dict[str, Any]:
        """The fields as a dictionary."""
        return asdict(self)


def tune(
    path: Path,
    *,
    label: str | None,
    target: Sequence[str] = (),
    features: Sequence[str] = (),
    truth: str | None = None,
    folds: int = 5,
    seed: int = 0,
) -> TuningResult:
    """Read a file of features, and tune a softmax head for a label or ridge regression for targets.

    Args:
        path: .npz or Parquet.
        label: Name of the column or array of classes, or None.
        target: Names of the columns or arrays of numbers to predict; () with a label.
        features: Names of columns or arrays of features; () is all suitable ones (`overproof.data.feature_file`).
        truth: Name of the column or array of trusted classes to measure on, or None.
        folds: At least 2.
        seed: Seed of the folds.

    Raises:
        InputError: The file lacks a name or has it in another form, or not exactly one of label and target is given.
    """
    if (label is None) == (not target):
        raise InputError("tune-xi needs either --label, for classes, or --target, for numbers to predict.")
    if truth is not None and label is None:
        raise InputError("--truth needs --label; targets are measured as given.")
    names = [name for name in (label, truth) if name is not None]
    read = read_features(str(path), features=features, label=names, target=target)
    if label is None:
        columns = np.concatenate([read.answers[name] for name in target], axis=1)
        return tune_regression(read.features, columns, folds=folds, seed=seed)
    return tune_classification(
        read.features,
        read.answers[label],
        truth=None if truth is None else read.answers[truth],
        folds=folds,
        seed=seed,
        measured_on="the given labels" if truth is None else f"{truth!r}",
    )


def tune_classification(
    features: NDArray[Any],
    label: NDArray[Any],
    *,
    truth: NDArray[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
    measured_on: str = "the given labels",
) -> TuningResult:
    """Tune a softmax head on frozen features: the best teacher against the best pair of regularization and imitation.

    Regularization and imitation are chosen within each fold's training examples, on labels held out there, and the
    fold is predicted once. The interval of the gain is that of the mean difference over examples, for given folds.

    Args:
        features: [N, D], finite.
        label: [N], which may be noisy.
        truth: [N], trusted labels to measure on; they are not used for fitting or choosing.
        folds: At least 2.
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

    def fitted(rows: NDArray[np.bool_]) -> tuple[Any, Any]:
        def head(regularization: Any, imitation: Any, imitations: Sequence[float] = ()) -> Any:
            model = SoftmaxSelfDistillation(
                regularization, imitation=imitation, imitations=imitations, random_state=seed, tol=1e-6
            )
            return model.fit(features[rows], label[rows])

        teacher = head(tried, 0.0)
        near = [teacher.regularization_ * 10.0**decade for decade in STUDENT_DECADES]
        return teacher, head(near, "held-out", IMITATIONS)

    answers = np.empty((2, len(label)), label.dtype)
    imitations = []
    for rows in _folds(features, folds, seed):
        models = fitted(~rows)
        imitations.append(float(models[1].imitation_))
        for index, model in enumerate(models):
            answers[index, rows] = model.predict(features[rows])
    right = (answers == (label if truth is None else truth)).astype(np.float64)
    teacher, student = fitted(np.ones(len(label), bool))
    return _judged("classification", features, len(classes), right, imitations, teacher, student, measured_on)


def tune_regression(
    features: NDArray[Any],
    target: NDArray[Any],
    *,
    folds: int = 5,
    seed: int = 0,
) -> TuningResult:
    """Tune ridge regression: the best teacher against the best pair, both chosen in closed form.

    Args:
        features: [N, D], finite.
        target: [N, T], finite.
        folds: At least 2.
        seed: Seed of the folds.

    Raises:
        InputError: The target does not vary, or an option is out of range.
    """
    from overproof.linear.ridge import RidgeSelfDistillation, RidgeSelfDistillationCV

    if (target == target[0]).all():
        raise InputError(f"The target is {target.flat[0]:g} in every row; it must vary.")

    def fitted(rows: NDArray[np.bool_]) -> tuple[Any, Any]:
        both = RidgeSelfDistillationCV(random_state=seed).fit(features[rows], target[rows])
        return RidgeSelfDistillation(both.best_teacher_, imitation=0.0).fit(features[rows], target[rows]), both

    answers = np.empty((2, *target.shape))
    imitations = []
    for rows in _folds(features, folds, seed):
        models = fitted(~rows)
        imitations.append(float(models[1].imitation_))
        for index, model in enumerate(models):
            answers[index, rows] = model.predict(features[rows]).reshape(-1, target.shape[1])
    explained = 1 - np.sum((answers - target) ** 2, axis=2) / np.var(target, axis=0).sum()
    teacher, student = fitted(np.ones(len(target), bool))
    return _judged(
        "regression",
        features,
        target.shape[1],
        explained,
        imitations,
        teacher,
        student,
        "the given targets",
    )


def report(tuned: TuningResult) -> Group:
    """The result as a table for a terminal.

    Args:
        tuned: The result.
    """
    unit = "accuracy %" if tuned.metric == "accuracy" else "R² %"
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("", "regularization", "xi", unit, "gain", "verdict"):
        drawn.add_column(name, no_wrap=True)
    gain = f"{100 * tuned.gain:+.2f} [{100 * tuned.gain_low:+.2f}, {100 * tuned.gain_high:+.2f}]"
    drawn.add_row("teacher", f"{tuned.teacher_regularization:.3g}", "0", f"{100 * tuned.teacher:.2f}", "", "")
    drawn.add_row(
        "student",
        f"{tuned.regularization:.3g}",
        f"{tuned.imitation:.3g}",
        f"{100 * tuned.student:.2f}",
        gain,
        tuned.verdict,
    )
    answers = "classes" if tuned.task == "classification" else "outputs"
    return Group(
        drawn,
        f"\n{tuned.num_examples} examples, {tuned.num_features} features, {tuned.num_answers} {answers}; "
        f"{100 * tuned.level:g} % interval over examples, {tuned.folds} folds, measured on {tuned.measured_on}. "
        f"The xi chosen in the folds: {', '.join(f'{each:.3g}' for each in tuned.fold_imitations)}.",
    )


def _folds(features: NDArray[Any], folds: int, seed: int) -> list[NDArray[np.bool_]]:
    from overproof.linear.splits import content_folds

    if folds < 2:
        raise InputError(f"--folds is {folds}; it must be at least 2.")
    fold = content_folds(features, folds, seed)
    if fold.max() < 1:
        raise InputError("All rows of features are the same; at least 2 different ones are needed.")
    return [fold == index for index in range(int(fold.max()) + 1)]


def _judged(
    task: Task,
    features: NDArray[Any],
    num_answers: int,
    scores: NDArray[np.float64],
    imitations: list[float],
    teacher: Any,
    student: Any,
    measured_on: str,
    level: float = 0.95,
) -> TuningResult:
    gains = scores[1] - scores[0]
    half = float(ndtri((1 + level) / 2) * gains.std(ddof=1) / np.sqrt(len(gains)))
    gain = float(gains.mean())
    return TuningResult(
        task=task,
        num_examples=len(features),
        num_features=features.shape[1],
        num_answers=num_answers,
        metric="accuracy" if task == "classification" else "r2",
        teacher_regularization=float(teacher.regularization_),
        teacher=float(scores[0].mean()),
        regularization=float(student.regularization_),
        imitation=float(student.imitation_),
        fold_imitations=tuple(imitations),
        student=float(scores[1].mean()),
        gain=gain,
        gain_low=gain - half,
        gain_high=gain + half,
        level=level,
        verdict=verdict_of(gain - half, gain + half),
        measured_on=measured_on,
        folds=len(imitations),
    )
