"""A scikit-learn classifier for frozen features and noisy labels: self-distilled softmax regression."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from overproof.errors import InputError
from overproof.linear.heads import SoftmaxHead, SoftmaxProblem
from overproof.linear.options import Imitation, check_imitation, check_regularization, checked_groups
from overproof.linear.splits import content_held_out

IMITATIONS = tuple(step / 2 for step in range(-2, 13))
"""Candidate imitations: -1 to 6 in steps of a half."""

_SEARCH_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImitationGrid:
    """Held-out accuracy of every candidate pair of regularization and imitation.

    Args:
        regularization: [L], decreasing.
        imitation: [X], increasing; 0, the teacher, is among them.
        accuracy: [L, X], accuracy on the held-out labels, by sample weight; NaN where the imitation is above the
            largest one of that regularization.
        max_imitation: [L]; infinite where no candidate is above 1.
    """

    regularization: Float[np.ndarray, "L"]
    imitation: Float[np.ndarray, "X"]
    accuracy: Float[np.ndarray, "L X"]
    max_imitation: Float[np.ndarray, "L"]

    def best(self, imitation: float | None = None) -> tuple[int, int]:
        """Row and column of the largest accuracy; of equal ones the imitation nearest to 0, then the more regularised.

        Args:
            imitation: Restrict the search to its column.
        """
        best, place = -np.inf, (0, 0)
        for column in np.argsort(np.abs(self.imitation), kind="stable"):
            for row in range(len(self.regularization)):
                allowed = imitation is None or self.imitation[column] == imitation
                if allowed and self.accuracy[row, column] > best:
                    best, place = float(self.accuracy[row, column]), (row, int(column))
        return place


class SoftmaxSelfDistillation(ClassifierMixin, BaseEstimator):
    """Softmax regression, then softmax regression on imitation * its own probabilities + (1 - imitation) * labels.

    Both minimise mean cross-entropy + regularization/2 ||W||^2, by L-BFGS to convergence. The targets have negative
    entries where the imitation is above 1; the loss is linear in them and stays convex. With G = the teacher's weights,
    the student minimises cross-entropy with the labels + regularization/2 ||W + imitation G||^2, up to a constant: it
    is pulled towards -imitation * G instead of 0.

    Args:
        regularization: That of mean loss + regularization/2 ||W||^2, above 0 (0 is allowed with a given imitation in
            [0, 1]); of several the best pair with an imitation is chosen.
        imitation: "held-out" evaluates `imitations` on held-out labels; a number is used as given.
        imitations: Candidates; 0 is added.
        validation_fraction: Share of every class that is held out for the choice, in (0, 1). Equal rows are held out
            together. The chosen pair is then fitted on all examples.
        fit_intercept: Whether to fit a bias, which is not penalised.
        tol: Largest entry of the preconditioned gradient at which the solver stops (at least 1e-6 during the choice).
        max_iter: Largest number of iterations per fit.
        random_state: Seed of the held-out examples.

    Attributes:
        classes_: [K].
        coef_: [K, D], of the student, for two classes too.
        intercept_: [K].
        teacher_coef_: [K, D], at the same regularization.
        teacher_intercept_: [K].
        imitation_: The imitation in use.
        imitation_source_: How it was chosen: a sentence.
        regularization_: The regularization in use.
        best_teacher_: The regularization at which the teacher alone is best on the held-out labels.
        max_imitation_: The imitation at which the student's class pattern changes its sign: 1/(1 - share of the labels'
            class pattern that the teacher keeps), with classes predicted by the student of imitation 1. Larger
            candidates are skipped, and a larger given one raises a warning.
        grid_: `ImitationGrid`; None with a given imitation and one regularization.
        n_iter_: Number of iterations of the last fit.

    Example:
        >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["left", "left", "right", "right"]
        >>> SoftmaxSelfDistillation(imitation=0.5).fit(X, y).predict([[3.0]]).tolist()
        ['right']

    Raises:
        InputError: An option out of range, one class only, or an imitation outside [0, 1] without regularization.

    Source: Das and Sanghavi (2023), arXiv 2301.13304 (linear probing with cross-entropy, imitation beyond one).
    Differs from the paper: there the head is trained by SGD for a number of epochs; an unconverged teacher is already
        regularised, which changes the best imitation.
    """

    regularization: float | Sequence[float] | NDArray[Any]
    imitation: Imitation
    imitations: Sequence[float] | NDArray[Any]
    validation_fraction: float
    fit_intercept: bool
    tol: float
    max_iter: int
    random_state: int

    @no_type_check  # scikit-learn needs a constructor without checks; `fit` checks
    def __init__(
        self,
        regularization: float | int | Sequence[float] | NDArray[Any] = 1e-3,
        *,
        imitation: Imitation = "held-out",
        imitations: Sequence[float] | NDArray[Any] = IMITATIONS,
        validation_fraction: float = 0.2,
        fit_intercept: bool = True,
        tol: float = 1e-10,
        max_iter: int = 2000,
        random_state: int = 0,
    ) -> None:
        self.regularization = regularization
        self.imitation = imitation
        self.imitations = imitations
        self.validation_fraction = validation_fraction
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "SoftmaxSelfDistillation":
        """Choose the imitation where it is not given, then fit teacher and student on all examples.

        Args:
            X: [N, D], the features.
            y: [N], the labels, which may be noisy.
            sample_weight: [N], at least 0.
            groups: [N], names or numbers of what several rows come from, which are held out together.
        """
        regularizations, imitations = self._check_options()
        features, names = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(names)
        weights = np.asarray(
            _check_sample_weight(sample_weight, features, dtype=np.float64, ensure_non_negative=True), np.float64
        )
        group = checked_groups(groups, len(features))
        if not (counted := weights > 0).all():
            features, names, weights = features[counted], names[counted], weights[counted]
            group = None if group is None else group[counted]
        self.classes_, label = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"The labels have {len(self.classes_)} class; at least 2 classes are needed.")
        self._choose(features, label, weights, regularizations, imitations, group)
        self._fit_all(features, label, weights)
        return self

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Logits, [N, K]; for two classes [N], the second less the first.

        Args:
            X: [N, D].
        """
        logits = self._logits(X)
        decisions: NDArray[Any] = logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits
        return decisions

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities, [N, K].

        Args:
            X: [N, D].
        """
        logits = self._logits(X)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs: NDArray[Any] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probs

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of every example, [N].

        Args:
            X: [N, D].
        """
        logits = self._logits(X)
        names: NDArray[Any] = self.classes_[logits.argmax(axis=1)]
        return names

    def _logits(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        features = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        logits: NDArray[Any] = features @ self.coef_.T + self.intercept_
        return logits

    def _check_options(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        check_imitation(self.imitation, ("held-out",))
        regularizations = check_regularization("regularization", self.regularization, zero=True)
        if not 0 < self.validation_fraction < 1:
            raise InputError(f"validation_fraction is {self.validation_fraction}; it must be in (0, 1).")
        if not (self.tol > 0 and self.max_iter >= 1):
            raise InputError(f"tol is {self.tol} and max_iter {self.max_iter}; both must be above 0.")
        tried = np.array(self.imitations if isinstance(self.imitation, str) else [self.imitation], np.float64).ravel()
        if not np.isfinite(tried).all():
            raise InputError("imitations has a number that is not finite; all must be finite.")
        beyond = isinstance(self.imitation, str) or not 0 <= self.imitation <= 1
        if beyond and regularizations.min() == 0:
            what = (
                "imitation 'held-out', which searches"
                if isinstance(self.imitation, str)
                else f"imitation {self.imitation}, which is"
            )
            raise InputError(
                f"{what} outside [0, 1], needs a regularization above 0: with negative targets and no weight decay the "
                "loss has no minimum."
            )
        return np.sort(regularizations)[::-1], np.union1d(tried, [0.0])

    def _problem(self, features: NDArray[Any], weights: NDArray[np.float64], tolerance: float) -> SoftmaxProblem:
        return SoftmaxProblem.of(
            features,
            weights,
            len(self.classes_),
            intercept=self.fit_intercept,
            tolerance=tolerance,
            max_iter=self.max_iter,
        )

    def _choose(
        self,
        features: NDArray[Any],
        label: NDArray[np.int64],
        weights: NDArray[np.float64],
        regularizations: NDArray[np.float64],
        imitations: NDArray[np.float64],
        group: NDArray[np.int64] | None,
    ) -> None:
        given = not isinstance(self.imitation, str)
        self.grid_, self.imitation_source_ = None, "given"
        self.regularization_ = self.best_teacher_ = float(regularizations[0])
        self.imitation_ = float(self.imitation) if given else 0.0
        if given and len(regularizations) == 1:
            return
        held = content_held_out(features, label, weights, self.validation_fraction, self.random_state, group)
        if not held.any():
            self.imitation_source_ = f"the teacher itself: none of {len(label)} examples could be held out"
            return
        grid = self._tried(features, label, weights, held, regularizations, imitations)
        if not given:
            self.imitation_source_ = f"held-out: {self.validation_fraction:.0%} of the labels"
        row, column = grid.best(float(self.imitation) if given else None)
        self.grid_ = grid
        self.regularization_, self.imitation_ = float(regularizations[row]), float(grid.imitation[column])
        self.best_teacher_ = float(regularizations[grid.best(0.0)[0]])

    def _tried(
        self,
        features: NDArray[Any],
        label: NDArray[np.int64],
        weights: NDArray[np.float64],
        held: NDArray[np.bool_],
        regularizations: NDArray[np.float64],
        imitations: NDArray[np.float64],
    ) -> ImitationGrid:
        problem = self._problem(features[~held], weights[~held], max(self.tol, _SEARCH_TOLERANCE))
        grid = np.union1d(imitations, [0.0])
        accuracy = np.full((len(regularizations), len(grid)), np.nan)
        limits = np.empty(len(regularizations))
        start = None
        for row, regularization in enumerate(regularizations):
            path = ImitationPath(problem, label[~held], float(regularization), start)
            start = path.teacher
            limits[row] = path.max_imitation if grid[-1] > 1 else math.inf
            for imitation, head in path.heads(grid):
                right = self._named(problem, head, features[held]) == label[held]
                accuracy[row, np.searchsorted(grid, imitation)] = weights[held] @ right / weights[held].sum()
        return ImitationGrid(regularization=regularizations, imitation=grid, accuracy=accuracy, max_imitation=limits)

    @staticmethod
    def _named(problem: SoftmaxProblem, head: SoftmaxHead, features: NDArray[Any]) -> NDArray[np.int64]:
        coefficients, bias = problem.coefficients(head)
        named: NDArray[np.int64] = (features @ coefficients.T + bias).argmax(axis=1)
        return named

    def _fit_all(self, features: NDArray[Any], label: NDArray[np.int64], weights: NDArray[np.float64]) -> None:
        problem = self._problem(features, weights, self.tol)
        path = ImitationPath(problem, label, self.regularization_)
        self.max_imitation_ = path.max_imitation
        if self.imitation_source_ == "given" and self.imitation_ > path.max_imitation:
            warnings.warn(
                f"imitation {self.imitation_:g} is above {path.max_imitation:.3g}, where the student's predictions "
                "reverse the classes; choose a smaller imitation or less regularization.",
                stacklevel=3,
            )
        student = path.head(self.imitation_)
        self.n_iter_ = max(student.steps, 1)
        for name, head in (("teacher", path.teacher), ("student", student)):
            if head.gradient > 10 * self.tol:
                warnings.warn(
                    f"The {name} stopped after {head.steps} iterations at a gradient of {head.gradient:.1e}; raise "
                    "max_iter, tol or the regularization.",
                    ConvergenceWarning,
                    stacklevel=3,
                )
        kind = features.dtype
        self.coef_, self.intercept_ = (part.astype(kind) for part in problem.coefficients(student))
        self.teacher_coef_, self.teacher_intercept_ = (part.astype(kind) for part in problem.coefficients(path.teacher))


class ImitationPath:
    """One teacher and its students of any imitation; each fit starts from a similar solution.

    Args:
        problem: The training features.
        label: [N], class indices.
        regularization: That of mean loss + regularization/2 ||W||^2.
        start: Initial value of the teacher's fit, such as the solution of a similar regularization.
    """

    def __init__(
        self, problem: SoftmaxProblem, label: NDArray[np.int64], regularization: float, start: SoftmaxHead | None = None
    ) -> None:
        self.problem = problem
        self.regularization = regularization
        self._labels = problem.labels(label)
        self.teacher = problem.solve(self._labels, regularization, start)
        self._answers = problem.answers(self.teacher)
        self._label = label

    @cached_property
    def pure(self) -> SoftmaxHead:
        """The student of imitation 1."""
        return self.problem.solve(self._answers, self.regularization, self.teacher)

    @cached_property
    def max_imitation(self) -> float:
        """The imitation at which the student reverses the classes (`SoftmaxSelfDistillation.max_imitation_`)."""
        return self._turning_point()

    def head(self, imitation: float, start: SoftmaxHead | None = None) -> SoftmaxHead:
        """The student of one imitation.

        Args:
            imitation: Any real number; 0 is the teacher, 1 the pure student.
            start: Initial value of the fit; by default the teacher or the pure student.
        """
        if imitation == 0:
            return self.teacher
        if imitation == 1:
            return self.pure
        nearest = self.teacher if abs(imitation) < abs(imitation - 1) else self.pure
        return self.problem.solve(self._labels.mixed(self._answers, imitation), self.regularization, start or nearest)

    def heads(self, imitations: NDArray[np.float64]) -> Iterator[tuple[float, SoftmaxHead]]:
        """The students of all imitations up to `max_imitation`, in order of distance from the teacher.

        Args:
            imitations: [X], any order.
        """
        falling = sorted((float(each) for each in imitations if each < 0), reverse=True)
        rising = sorted(float(each) for each in imitations if each >= 0 and (each <= 1 or each <= self.max_imitation))
        for side in (rising, falling):
            last = None
            for imitation in side:
                last = self.head(imitation, last)
                yield imitation, last

    def _turning_point(self) -> float:
        """1/(1 - kept), where kept is the share of the labels' class pattern in the teacher's probabilities.

        Linearised, a smoother that keeps the share h of a pattern gives the student h (1 - imitation (1 - h)) of it.
        The pattern is the mean label within each class; classes are those predicted by the pure student, because a
        teacher that repeats every flipped label would separate the flipped examples as classes.
        """
        share, num_classes = self.problem.share, self.problem.num_classes
        group = self.problem.probs(self.pure).argmax(axis=1)
        answers = self.problem.probs(self.teacher)
        size = np.bincount(group, share, minlength=num_classes)
        given, kept = np.zeros((num_classes, num_classes)), np.zeros((num_classes, num_classes))
        np.add.at(given, (group, self._label), share)
        for each in range(num_classes):
            members = group == each
            kept[each] = share[members] @ answers[members]
        given -= np.outer(size, given.sum(axis=0))
        kept -= np.outer(size, kept.sum(axis=0))
        inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)[:, None]
        pattern = float(np.sum(inverse * given**2))
        if pattern <= 0:
            return math.inf
        ratio = float(np.sum(inverse * given * kept)) / pattern
        return 1 / (1 - ratio) if ratio < 1 else math.inf
