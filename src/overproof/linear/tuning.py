"""Measure on held-out folds how much tuned self-distillation gains over a tuned linear model (`tune-xi`)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from scipy.special import ndtri, stdtrit

from overproof.data.feature_file import read_features
from overproof.errors import InputError
from overproof.evaluation.verdict import Verdict, verdict_of
from overproof.seeds import derived_seed

Task = Literal["classification", "regression"]

IMITATIONS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
TEACHER_DECADES = tuple(third / 3 for third in range(3, -16, -1))
"""Candidates for the teacher: the mean variance of a feature times ten to these powers. As fine as the student's, so
that the student does not gain by finer tuning."""
REPEATS = 3
"""How many times the examples are divided into folds by default."""
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
        gain: `student` less `teacher`; 0 where the chosen student is a teacher, which is not compared with itself.
        gain_low: Lower end of its interval.
        gain_high: Upper end of its interval.
        level: Coverage of the interval.
        verdict: BEATS, DOES NOT BEAT or INCONCLUSIVE (`overproof.evaluation.verdict`).
        measured_on: The labels or targets that the metric is computed against.
        folds: Number of folds.
        repeats: How many times the examples were divided into folds.
        same: Whether the chosen student is a teacher: its imitation is 0, so that no self-distillation was chosen.
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
    repeats: int
    same: bool

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
    repeats: int = REPEATS,
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
        repeats: How many times the examples are divided into folds; at least 1.
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
        return tune_regression(read.features, columns, folds=folds, repeats=repeats, seed=seed)
    return tune_classification(
        read.features,
        read.answers[label],
        truth=None if truth is None else read.answers[truth],
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
    folds: int = 5,
    repeats: int = REPEATS,
    seed: int = 0,
    measured_on: str = "the given labels",
) -> TuningResult:
    """Tune a softmax head on frozen features: the best teacher against the best pair of regularization and imitation.

    Regularization and imitation are chosen within each fold's training examples, on labels held out there, and the
    fold is predicted once. The interval of the gain holds the draw of the examples and of the folds (`gain_interval`).
    A fold whose other folds hold one class only is predicted as that class by both.

    Args:
        features: [N, D], finite.
        label: [N], which may be noisy.
        truth: [N], trusted labels to measure on; they are not used for fitting or choosing.
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

    def fitted(rows: NDArray[np.bool_]) -> tuple[Any, Any]:
        def head(regularization: Any, imitation: Any, imitations: Sequence[float] = ()) -> Any:
            model = SoftmaxSelfDistillation(
                regularization, imitation=imitation, imitations=imitations, random_state=seed, tol=1e-6
            )
            return model.fit(features[rows], label[rows])

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

    group = np.unique(label, return_inverse=True)[1]
    measured = _measured(features, right, folds, repeats, seed, group)
    teacher, student = fitted(np.ones(len(label), bool))
    return _judged("classification", features, len(classes), measured, teacher, student, measured_on)


def tune_regression(
    features: NDArray[Any],
    target: NDArray[Any],
    *,
    folds: int = 5,
    repeats: int = REPEATS,
    seed: int = 0,
) -> TuningResult:
    """Tune ridge regression: the best teacher against the best pair, both chosen in closed form.

    Args:
        features: [N, D], finite.
        target: [N, T], finite.
        folds: At least 2.
        repeats: How many times the examples are divided into folds; at least 1.
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

    variance = np.var(target, axis=0).sum()

    def explained(rows: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
        models = fitted(~rows)
        answers = np.stack([model.predict(features[rows]).reshape(-1, target.shape[1]) for model in models])
        return 1 - np.sum((answers - target[rows]) ** 2, axis=2) / variance, float(models[1].imitation_)

    measured = _measured(features, explained, folds, repeats, seed)
    teacher, student = fitted(np.ones(len(target), bool))
    return _judged("regression", features, target.shape[1], measured, teacher, student, "the given targets")


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
    chosen = "The chosen xi is 0: the student is a teacher, and nothing is compared with itself. " if tuned.same else ""
    return Group(
        drawn,
        f"\n{chosen}{tuned.num_examples} examples, {tuned.num_features} features, {tuned.num_answers} {answers}; "
        f"{100 * tuned.level:g} % interval over examples and folds ({tuned.folds} folds, drawn "
        f"{tuned.repeats} times), measured on {tuned.measured_on}. "
        f"The xi chosen in the folds: {', '.join(f'{each:.3g}' for each in tuned.fold_imitations)}.",
    )


def gain_interval(
    gains: NDArray[np.float64], fold_gains: NDArray[np.float64], folds: int, level: float = 0.95
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

    Example:
        Two folds that differ by 2: the deviation is the root of 2, the factor the root of (1/2 + 1), t is 12.7.

        >>> low, high = gain_interval(np.zeros(4), np.array([-1.0, 1.0]), folds=2)
        >>> round(high, 1)
        22.0

    Source: Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52, section 3.
    """
    of_examples = float(ndtri((1 + level) / 2) * gains.std(ddof=1) / np.sqrt(len(gains)))
    share = 1 / len(fold_gains) + 1 / (folds - 1)
    of_folds = float(stdtrit(len(fold_gains) - 1, (1 + level) / 2) * np.sqrt(share) * fold_gains.std(ddof=1))
    half = max(of_examples, of_folds)
    return float(gains.mean()) - half, float(gains.mean()) + half


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Measured:
    """Scores of teacher and student on held-out folds.

    Args:
        scores: [2, N], of teacher and student on every example, the mean over repeats.
        fold_gains: The mean gain of every fold of every repeat.
        imitations: Those chosen for them.
        folds: Folds of a repeat.
    """

    scores: NDArray[np.float64]
    fold_gains: NDArray[np.float64]
    imitations: tuple[float, ...]
    folds: int


def _measured(
    features: NDArray[Any],
    score: Callable[[NDArray[np.bool_]], tuple[NDArray[np.float64], float]],
    folds: int,
    repeats: int,
    seed: int,
    group: NDArray[np.int64] | None = None,
) -> _Measured:
    """Measure on the folds of all repeats; the first repeat has the folds of the seed itself."""
    from overproof.linear.splits import content_folds

    if folds < 2:
        raise InputError(f"--folds is {folds}; it must be at least 2.")
    if repeats < 1:
        raise InputError(f"--repeats is {repeats}; it must be at least 1.")
    scores, fold_gains, imitations, fewest = np.zeros((2, len(features))), [], [], folds
    for repeat in range(repeats):
        drawn = seed if repeat == 0 else derived_seed(seed, "folds", repeat) % 2**32
        fold = content_folds(features, folds, drawn, group)
        if fold.max() < 1:
            raise InputError("All rows of features are the same; at least 2 different ones are needed.")
        fewest = int(fold.max()) + 1
        for number in range(fewest):
            found, imitation = score(fold == number)
            scores[:, fold == number] += found / repeats
            fold_gains.append(float((found[1] - found[0]).mean()))
            imitations.append(imitation)
    return _Measured(scores=scores, fold_gains=np.array(fold_gains), imitations=tuple(imitations), folds=fewest)


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
    scores, same = measured.scores, student.imitation_ == 0
    gains = np.zeros(len(features)) if same else scores[1] - scores[0]
    low, high = (0.0, 0.0) if same else gain_interval(gains, measured.fold_gains, measured.folds, level)
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
        fold_imitations=measured.imitations,
        student=float(scores[0 if same else 1].mean()),
        gain=float(gains.mean()),
        gain_low=low,
        gain_high=high,
        level=level,
        verdict=verdict_of(low, high),
        measured_on=measured_on,
        folds=measured.folds,
        repeats=len(measured.imitations) // measured.folds,
        same=bool(same),
    )
