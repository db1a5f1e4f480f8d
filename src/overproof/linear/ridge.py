"""Scikit-learn estimators of self-distilled ridge regression, with the imitation tuned in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, no_type_check

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from overproof.errors import InputError
from overproof.linear.options import Imitation, check_count, check_imitation, check_regularization, checked_groups
from overproof.linear.path import RiskPath, farthest_imitation, held_out_path, one_shot_path
from overproof.linear.spectrum import Spectrum
from overproof.linear.splits import content_folds
from overproof.linear.theory import mixture_weights

PATH_LENGTH = 100
PATH_SPAN = 1e5
"""The mean eigenvalue of X'X/n divided by the smallest regularization of a path."""

Vector = NDArray[np.float64]


class _RidgeStudent(RegressorMixin, BaseEstimator):
    """Base of both estimators, which differ in how they choose along the path."""

    imitation: Imitation
    steps: int
    fit_intercept: bool
    folds: int
    random_state: int

    def predict(self, X: Any) -> NDArray[Any]:
        """The student's predictions, [n] or [n, T].

        Args:
            X: [n, p].
        """
        check_is_fitted(self)
        inputs = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        predictions: NDArray[Any] = inputs @ self.coef_.T + self.intercept_
        return predictions

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _read(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> "_Training":
        check_imitation(self.imitation, ("one-shot", "held-out"))
        check_count("steps", self.steps, 1)
        check_count("folds", self.folds, 2)
        inputs, labels = validate_data(
            self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        columns = np.asarray(labels, np.float64).reshape(len(labels), -1)
        weights, group = None, checked_groups(groups, len(inputs))
        if sample_weight is not None:
            weights = np.asarray(
                _check_sample_weight(sample_weight, inputs, dtype=np.float64, ensure_non_negative=True), np.float64
            )
            counted = weights > 0
            if counted.sum() < 2:
                raise InputError(f"{counted.sum()} examples have a sample weight above 0; at least 2 are needed.")
            inputs, columns, weights = inputs[counted], columns[counted], weights[counted]
            group = None if group is None else group[counted]
        if (columns == columns[0]).all():
            raise InputError(f"The target is {columns[0, 0]:g} in every example; it must vary.")
        return _Training(
            inputs=inputs,
            labels=columns,
            weights=weights,
            group=group,
            single=labels.ndim == 1,
            spectrum=Spectrum.of(inputs, columns, weights, intercept=self.fit_intercept),
        )

    def _given_weights(self) -> Vector | None:
        if isinstance(self.imitation, str):
            return None
        return np.array(mixture_weights([float(self.imitation)] * self.steps))

    def _held_out(self, training: "_Training", regularization: Vector) -> RiskPath:
        if training.group is not None and len(np.unique(training.group)) < 2:
            raise InputError("groups has one group only; at least 2 are needed to choose on others than are fitted.")
        return held_out_path(
            training.inputs,
            training.labels,
            training.weights,
            regularization,
            self.steps,
            folds=content_folds(training.inputs, self.folds, self.random_state, group=training.group),
            intercept=self.fit_intercept,
            farthest=farthest_imitation(training.spectrum, regularization),
            weights=self._given_weights(),
        )

    def _finish(self, training: "_Training", path: RiskPath, index: int, source: str) -> None:
        self.regularization_ = float(path.regularization[index])
        self.weights_ = path.weights[index]
        self.imitation_ = float(path.imitation[index])
        self.imitation_source_ = source
        self.risk_ = float(path.distilled[index])
        self.teacher_risk_ = float(path.teacher[index])
        self.risk_path_ = path
        kind = training.inputs.dtype
        teacher = np.eye(1, self.steps + 1)[0]
        self.coef_, self.intercept_ = training.model(self.regularization_, self.weights_, kind)
        self.teacher_coef_, self.teacher_intercept_ = training.model(self.regularization_, teacher, kind)


class RidgeSelfDistillation(_RidgeStudent):
    """Ridge regression, then ridge regression on a mixture of its own predictions and the labels, in closed form.

    The student of imitation x is (1 - x) teacher + x pure student, so no refit is needed. One eigendecomposition gives
    the teacher, the student, the best imitation and the estimated risks for 100 regularizations.

    Args:
        regularization: Above 0; that of X'X/n + regularization I (scikit-learn's `alpha` is n times this).
        imitation: "one-shot" chooses without refits, from corrected training residuals or, where these are unreliable,
            from exact leave-one-out residuals; "held-out" refits on folds; a number is used as given.
        steps: Rounds of self-distillation, at least 1. With more than one, the weights of the rounds are the solution
            of a linear system; a given number is then the imitation of every round.
        fit_intercept: Whether to fit an intercept, which is not penalised.
        folds: Number of folds of the held-out choice, at least 2; equal rows are in one fold.
        random_state: Seed of the folds.

    Attributes:
        coef_: [p] or [T, p], of the student.
        intercept_: A number or [T].
        teacher_coef_: [p] or [T, p].
        teacher_intercept_: A number or [T].
        imitation_: The imitation; with several steps that of the last round.
        weights_: [steps + 1], of the teacher and of each pure student.
        imitation_source_: How the imitation was chosen, and why so: a sentence.
        regularization_: The regularization in use.
        risk_: The student's estimated mean squared error on new noisy examples, summed over outputs.
        teacher_risk_: The teacher's.
        risk_path_: `RiskPath` of 100 regularizations and `regularization`, each with its best imitation (or the given
            one).

    Example:
        >>> X, y = [[-1.0], [0.0], [1.0]], [-2.0, 0.0, 2.0]
        >>> student = RidgeSelfDistillation(regularization=2 / 3, imitation=2.0).fit(X, y)
        >>> student.teacher_coef_.round(6).tolist()  # X'X/n is 2/3 too: the teacher keeps 1/2, the pure student 1/4
        [1.0]
        >>> student.coef_.round(6).tolist()
        [0.0]

    Raises:
        InputError: An option out of range, a constant target, or too few examples of positive weight.

    Source: Das and Sanghavi (2023), arXiv 2301.13304 (imitation beyond one); arXiv 2602.17565 (one-shot tuning);
        Pareek, Du and Oh (2024), arXiv 2407.04600 (several steps).
    Differs from the paper: degrees of freedom include the intercept; imitations are clipped at ten times the useful
        range (`overproof.linear.path.farthest_imitation`), and where the teacher's degrees of freedom are more than
        half of the examples, the choice is by leave-one-out residuals in closed form (`Spectrum.left_out`, derived),
        for several steps by folds.
    """

    regularization: float

    @no_type_check  # scikit-learn needs a constructor without checks; `fit` checks
    def __init__(
        self,
        regularization: float | int = 1.0,
        *,
        imitation: Imitation = "one-shot",
        steps: int = 1,
        fit_intercept: bool = True,
        folds: int = 20,
        random_state: int = 0,
    ) -> None:
        self.regularization = regularization
        self.imitation = imitation
        self.steps = steps
        self.fit_intercept = fit_intercept
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "RidgeSelfDistillation":
        """Fit teacher, student and imitation.

        Args:
            X: [n, p].
            y: [n] or [n, T].
            sample_weight: [n], at least 0: the multiplicity of each row.
            groups: [n], names or numbers of what several rows come from. They are in one fold, and choices are held
                out: residuals without refits leave out single rows.
        """
        (own, *others) = check_regularization("regularization", self.regularization)
        if others:
            raise InputError("regularization has several numbers; give one, or use RidgeSelfDistillationCV.")
        training = self._read(X, y, sample_weight, groups)
        grid = np.union1d(regularization_path(training.spectrum), own)
        path = training.one_shot(grid, self.steps, self._given_weights())
        index = int(np.searchsorted(grid, own))
        share = training.spectrum.degrees(np.array([own]), 0)[0, 0]
        why = f": the teacher's degrees of freedom are {share:.0%} of the examples, too many for corrected residuals"
        if not isinstance(self.imitation, str):
            source, why = "given", ""
        elif self.imitation == "held-out":
            source, why = "held-out", ", as given"
        elif training.group is not None:
            source, why = "held-out", ": the examples have groups"
        elif path.estimated_from[index] == "one-shot":
            source, why = "one-shot", ""
        else:
            source = path.estimated_from[index] or "held-out"
        if source == "held-out":
            path, index = _replaced(path, index, self._held_out(training, np.array([own])))
        source += why
        self._finish(training, path, index, source)
        return self


class RidgeSelfDistillationCV(_RidgeStudent):
    """`RidgeSelfDistillation` that also chooses its regularization: the pair of lowest estimated risk.

    Args:
        regularizations: Candidates, all above 0; those of X'X/n + regularization I. None is 100 that span the
            eigenvalues.
        imitation: "one-shot" estimates all risks without refits, from exact leave-one-out residuals (corrected ones
            with several steps); "held-out" refits on folds; a number is used as given, and only the regularization is
            chosen, without refits.
        steps: Rounds of self-distillation, at least 1.
        fit_intercept: Whether to fit an intercept, which is not penalised.
        folds: Number of folds of the held-out choice, at least 2; equal rows are in one fold.
        random_state: Seed of the folds.

    Attributes:
        regularization_: The chosen regularization.
        best_teacher_: The regularization at which the teacher alone has the lowest estimated risk.
        coef_, intercept_, teacher_coef_, teacher_intercept_, imitation_, weights_, imitation_source_, risk_,
            teacher_risk_, risk_path_: As in `RidgeSelfDistillation`, at `regularization_`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 20))
        >>> student = RidgeSelfDistillationCV().fit(X, X[:, 0] + rng.normal(size=200))
        >>> bool(student.risk_ <= student.risk_path_.teacher.min())
        True

    Raises:
        InputError: An option out of range, a constant target, or too few examples of positive weight.

    Source: as in `RidgeSelfDistillation`.
    Differs from the paper: leave-one-out instead of generalised cross-validation, which with a few examples of high
        leverage can choose a pair far from any useful regularization (docs/log.md).
    """

    regularizations: Sequence[float] | NDArray[Any] | None

    @no_type_check  # scikit-learn needs a constructor without checks; `fit` checks
    def __init__(
        self,
        regularizations: Sequence[float] | NDArray[Any] | None = None,
        *,
        imitation: Imitation = "one-shot",
        steps: int = 1,
        fit_intercept: bool = True,
        folds: int = 20,
        random_state: int = 0,
    ) -> None:
        self.regularizations = regularizations
        self.imitation = imitation
        self.steps = steps
        self.fit_intercept = fit_intercept
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "RidgeSelfDistillationCV":
        """Fit teacher and student for every regularization and keep the best pair.

        Args:
            X: [n, p].
            y: [n] or [n, T].
            sample_weight: [n], at least 0: the multiplicity of each row.
            groups: [n], names or numbers of what several rows come from. They are in one fold, and choices are held
                out: residuals without refits leave out single rows.
        """
        given = None
        if self.regularizations is not None:
            given = np.unique(check_regularization("regularizations", self.regularizations))
        training = self._read(X, y, sample_weight, groups)
        grid = regularization_path(training.spectrum) if given is None else given
        path = training.one_shot(grid, self.steps, self._given_weights(), exact=True)
        why = ""
        if self.imitation == "held-out":
            path, why = self._held_out(training, grid), ", as given"
        elif training.group is not None:
            path, why = self._held_out(training, grid), ": the examples have groups"
        elif not np.isfinite(path.distilled).any():
            path = self._held_out(training, grid)
            why = ": the teacher has too many degrees of freedom for its examples at every regularization"
        index = int(np.argmin(path.distilled))
        self.best_teacher_ = float(grid[np.argmin(path.teacher)])
        self._finish(
            training, path, index, path.estimated_from[index] + why if isinstance(self.imitation, str) else "given"
        )
        return self


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Training:
    inputs: NDArray[Any]
    labels: Vector
    weights: Vector | None
    group: NDArray[np.int64] | None
    single: bool
    spectrum: Spectrum

    def one_shot(self, regularization: Vector, rounds: int, weights: Vector | None, *, exact: bool = False) -> RiskPath:
        """The path of risks without refits."""
        return one_shot_path(
            self.spectrum, self.inputs, self.labels, self.weights, regularization, rounds, weights, exact=exact
        )

    def model(self, regularization: float, weights: Vector, kind: Any) -> tuple[NDArray[Any], Any]:
        """Coefficients and intercept in scikit-learn's shapes."""
        coefficients = self.spectrum.coefficients(regularization, weights)
        intercept = self.spectrum.intercept(coefficients)
        if self.single:
            return coefficients[:, 0].astype(kind), float(intercept[0])
        return np.ascontiguousarray(coefficients.T).astype(kind), intercept.astype(kind)


def regularization_path(spectrum: Spectrum) -> Vector:
    """[100], log-spaced from the mean eigenvalue divided by `PATH_SPAN` to ten times the largest eigenvalue.

    Args:
        spectrum: Spectrum of the training set.
    """
    values = spectrum.eigenvalues
    if len(values) == 0:
        raise InputError("No feature varies; at least one must.")
    return np.geomspace(values.mean() / PATH_SPAN, 10 * values[-1], PATH_LENGTH)


def _replaced(path: RiskPath, index: int, one: RiskPath) -> tuple[RiskPath, int]:
    """The path with the entry at `index` replaced by that of `one`."""
    fields = {}
    for name in ("teacher", "cross", "student", "weights", "imitation", "distilled"):
        values = getattr(path, name).copy()
        values[index] = getattr(one, name)[0]
        fields[name] = values
    estimated_from = (*path.estimated_from[:index], *one.estimated_from, *path.estimated_from[index + 1 :])
    return RiskPath(regularization=path.regularization, estimated_from=estimated_from, **fields), index
