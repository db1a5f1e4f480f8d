"""Estimate the risks of ridge self-distillation along a path of regularizations, for all imitations at once."""

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
    """Estimated risks of a teacher, its student and their best mixture, for L regularizations.

    A risk is a mean squared error on new noisy examples, summed over outputs; infinite where it cannot be estimated.
    `estimated_from` names the residuals it is estimated from: corrected training residuals ("one-shot"), those of fits
    without the example itself ("leave-one-out"), or of fits on other folds ("held-out").

    Args:
        regularization: [L], increasing, that of X'X/n + regularization I.
        teacher: [L], the risk of ridge.
        cross: [L], the mean product of the errors of teacher and pure student.
        student: [L], the risk of the pure student, trained on the teacher's predictions alone.
        weights: [L, k + 1], of the teacher and its k students in the mixture.
        imitation: [L], the imitation of the last round: 1 less the teacher's weight. With one round it is the optimum.
        distilled: [L], the risk of the mixture.
        estimated_from: [L], "one-shot", "leave-one-out" or "held-out"; "" where the risk is infinite.
    """

    regularization: Float[np.ndarray, "L"]
    teacher: Float[np.ndarray, "L"]
    cross: Float[np.ndarray, "L"]
    student: Float[np.ndarray, "L"]
    weights: Float[np.ndarray, "L W"]
    imitation: Float[np.ndarray, "L"]
    distilled: Float[np.ndarray, "L"]
    estimated_from: tuple[str, ...]

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
    estimated_from: Sequence[str],
    farthest: Vector,
    weights: Vector | None = None,
) -> RiskPath:
    """The path of risks computed from errors.

    Args:
        errors: [L, k + 1, M], of the teacher and its students; sums of products are mean products of errors.
        regularization: [L].
        estimated_from: [L], the kind of residuals of the errors.
        farthest: [L], the largest absolute imitation allowed with one round.
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
        estimated_from=tuple(
            name if fit else "" for name, fit in zip(estimated_from, np.atleast_1d(usable).tolist(), strict=True)
        ),
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
    """The path without refits: from corrected training residuals where these are reliable, else leave-one-out.

    With more than one round the leave-one-out residuals have no closed form: those risks are infinite.

    Args:
        spectrum: Spectrum of the training set.
        inputs: [n, p], the training set.
        labels: [n, T].
        sample_weight: [n] or None.
        regularization: [L].
        rounds: k, at least 1.
        weights: [k + 1] to use instead of the best ones.
        exact: Use leave-one-out for all regularizations, with one round.
    """
    errors = spectrum.errors(regularization, rounds)
    trusted = 0.0 if exact and rounds == 1 else RELIABLE_SHARE
    doubtful = np.flatnonzero(spectrum.degrees(regularization, 0)[0] > trusted)
    estimated_from = np.full(len(regularization), "one-shot", object)
    if len(doubtful):
        errors[doubtful], estimated_from[doubtful] = np.inf, "leave-one-out"
        if rounds == 1:
            errors[doubtful] = 0.0
            errors[doubtful, :, :2] = spectrum.left_out(inputs, labels, sample_weight, regularization[doubtful])
    return path_of(
        errors,
        regularization,
        estimated_from=list(estimated_from),
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
    """The path estimated from held-out residuals: each example's are those of a fit on the other folds.

    Args:
        inputs: [n, p].
        labels: [n, T]; noise of mean zero in them does not change the best weights.
        sample_weight: [n] or None.
        regularization: [L].
        rounds: k, at least 1.
        folds: [n], the fold of every example.
        intercept: As in `Spectrum.of`.
        farthest: [L], the largest absolute imitation allowed.
        weights: [k + 1] to use instead of the best ones.
    """
    counts = np.ones(len(labels)) if sample_weight is None else sample_weight
    # The R factors of the errors so far, [L, k + 1, k + 1]: they have the same sums of products.
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
        estimated_from=["held-out"] * len(regularization),
        farthest=farthest,
        weights=weights,
    )


def farthest_imitation(spectrum: Spectrum, regularization: Vector) -> Vector:
    """[L], ten times the larger of mean eigenvalue over regularization and its inverse.

    Useful imitations are of the order of the first where ridge is under-regularised, of minus the second where it is
    over-regularised; estimates more than ten times larger are artefacts.
    """
    if len(spectrum.eigenvalues) == 0:
        return np.full(len(regularization), _FARTHEST)
    ratio = spectrum.eigenvalues.mean() / regularization
    return _FARTHEST * np.maximum(ratio, 1 / ratio)
