"""Estimated risks along a path of regularizations, for every imitation at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from overproof.linear.spectrum import RELIABLE_SHARE, Spectrum, best_weights

Vector = NDArray[np.float64]

_FARTHEST = 10.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RiskPath:
    """What a teacher, its student and their best mixture are estimated to cost, for L regularizations.

    A risk is a mean squared error on new noisy examples, summed over outputs; infinite where it cannot be estimated.
    Which residuals it is estimated from, `source` says: corrected training residuals ("one-shot"), each example left
    out of its own fit ("leave-one-out"), or folds of them ("held-out").

    Args:
        regularization: [L], rising, that of X'X/n + regularization I.
        teacher: [L], the risk of ridge.
        cross: [L], the mean product of the errors of teacher and pure student.
        student: [L], the risk of the student that was trained on the teacher's answers alone.
        weights: [L, k + 1], of the teacher and of its k students in the mixture.
        imitation: [L], the imitation of the last round: 1 less the teacher's weight. With one round it is the optimum.
        distilled: [L], the risk of the mixture.
        source: [L], "one-shot", "leave-one-out" or "held-out"; "" where the risk is infinite.
    """

    regularization: Float[np.ndarray, "L"]
    teacher: Float[np.ndarray, "L"]
    cross: Float[np.ndarray, "L"]
    student: Float[np.ndarray, "L"]
    weights: Float[np.ndarray, "L W"]
    imitation: Float[np.ndarray, "L"]
    distilled: Float[np.ndarray, "L"]
    source: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.regularization)

    def risk(self, imitation: float) -> Float[np.ndarray, "L"]:
        """The risk of one round at any imitation, along the path.

        (1 - x)^2 teacher + 2 x (1 - x) cross + x^2 student.

        Args:
            imitation: x, any real number; 0 is the teacher, 1 the pure student.
        """
        x = imitation
        mixed: Vector = (1 - x) ** 2 * self.teacher + 2 * x * (1 - x) * self.cross + x**2 * self.student
        return mixed


def path_of(
    errors: Vector,
    regularization: Vector,
    *,
    source: Sequence[str],
    farthest: Vector,
    weights: Vector | None = None,
) -> RiskPath:
    """The path that errors describe.

    Args:
        errors: [L, k + 1, M], of the teacher and its students; sums of products are mean products of errors.
        regularization: [L].
        source: [L], what the errors are.
        farthest: [L], the largest imitation in size that is believed after one round.
        weights: [k + 1] to use instead of the best ones.
    """
    num, count, _ = errors.shape
    chosen = np.tile(np.eye(1, count)[0], (num, 1)) if weights is None else np.tile(weights, (num, 1))
    usable = np.isfinite(errors).all(axis=(1, 2))
    if weights is None:
        for index in np.flatnonzero(usable):
            best = best_weights(errors[index])
            if count == 2:
                imitation = np.clip(best[1], -farthest[index], farthest[index])
                best = np.array([1 - imitation, imitation])
            chosen[index] = best

    def risk(mixture: Vector) -> Vector:
        squares = np.full(num, np.inf)
        squares[usable] = np.sum(np.einsum("li,lim->lm", mixture[usable], errors[usable]) ** 2, axis=1)
        return squares

    first, second = (np.tile(np.eye(1, count, k)[0], (num, 1)) for k in (0, 1))
    cross = np.full(num, np.inf)
    cross[usable] = np.sum(errors[usable, 0] * errors[usable, 1], axis=1)
    return RiskPath(
        regularization=regularization,
        teacher=risk(first),
        cross=cross,
        student=risk(second),
        weights=chosen,
        imitation=1 - chosen[:, 0],
        distilled=risk(chosen),
        source=tuple(word if fit else "" for word, fit in zip(source, np.atleast_1d(usable).tolist(), strict=True)),
    )


def one_shot_path(
    spectrum: Spectrum,
    inputs: NDArray[Any],
    labels: Vector,
    sample_weight: Vector | None,
    regularization: Vector,
    rounds: int,
    weights: Vector | None = None,
    *,
    exact: bool = False,
) -> RiskPath:
    """The path without a refit: from corrected training residuals where they are to be trusted, else leave-one-out.

    With more than one round there is no closed form of what is left out: those risks are infinite.

    Args:
        spectrum: Of the training set.
        inputs: [n, p], the training set.
        labels: [n, T].
        sample_weight: [n] or None.
        regularization: [L].
        rounds: k, at least 1.
        weights: [k + 1] to use instead of the best ones.
        exact: Leave-one-out for all, with one round.
    """
    errors = spectrum.errors(regularization, rounds)
    trusted = 0.0 if exact and rounds == 1 else RELIABLE_SHARE
    doubtful = np.flatnonzero(spectrum.degrees(regularization, 0)[0] > trusted)
    source = np.full(len(regularization), "one-shot", object)
    if len(doubtful):
        errors[doubtful], source[doubtful] = np.inf, "leave-one-out"
        if rounds == 1:
            errors[doubtful] = 0.0
            errors[doubtful, :, :2] = spectrum.left_out(inputs, labels, sample_weight, regularization[doubtful])
    return path_of(
        errors,
        regularization,
        source=list(source),
        farthest=farthest_imitation(spectrum, regularization),
        weights=weights,
    )


def held_out_path(
    inputs: NDArray[Any],
    labels: Vector,
    sample_weight: Vector | None,
    regularization: Vector,
    rounds: int,
    *,
    folds: NDArray[np.int64],
    intercept: bool,
    farthest: Vector,
    weights: Vector | None = None,
) -> RiskPath:
    """The path from held-out residuals, each example's from a fit on the other folds.

    Args:
        inputs: [n, p].
        labels: [n, T]; noise of mean zero in them does not move the best weights.
        sample_weight: [n] or None.
        regularization: [L].
        rounds: k, at least 1.
        folds: [n], the fold of every example.
        intercept: As in `Spectrum.of`.
        farthest: [L], the largest imitation in size that is believed.
        weights: [k + 1] to use instead of the best ones.
    """
    counts = np.ones(len(labels)) if sample_weight is None else sample_weight
    # What QR leaves of the errors so far, [L, k + 1, k + 1]: a few numbers with the same sums of products.
    factors = np.zeros((len(regularization), rounds + 1, rounds + 1))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        spectrum = Spectrum.of(inputs[~held], labels[~held], counts[~held], intercept=intercept)
        seen = spectrum.along(inputs[held] - spectrum.input_mean)
        truth = labels[held] - spectrum.label_mean
        root = np.sqrt(counts[held])[:, None]
        for index, each in enumerate(regularization):
            kept = spectrum.eigenvalues / (spectrum.eigenvalues + each)
            scale = np.sqrt(spectrum.eigenvalues)[:, None] * spectrum.labels / (spectrum.eigenvalues + each)[:, None]
            errors = np.stack(
                [(root * (truth - seen @ (kept[:, None] ** i * scale))).ravel() for i in range(rounds + 1)]
            )
            factors[index] = np.linalg.qr(np.concatenate([factors[index], errors.T]), mode="r")
    return path_of(
        factors.transpose(0, 2, 1) / np.sqrt(counts.sum()),
        regularization,
        source=["held-out"] * len(regularization),
        farthest=farthest,
        weights=weights,
    )


def farthest_imitation(spectrum: Spectrum, regularization: Vector) -> Vector:
    """[L], ten times the larger of mean eigenvalue over regularization and its inverse.

    Useful imitations are of the order of the first where ridge is under-regularised, of minus the second where it is
    over-regularised; what lies ten times farther is an accident of the estimate.
    """
    if len(spectrum.eigenvalues) == 0:
        return np.full(len(regularization), _FARTHEST)
    ratio = spectrum.eigenvalues.mean() / regularization
    return _FARTHEST * np.maximum(ratio, 1 / ratio)
