"""The eigendecomposition of ridge regression's training data: coefficients and residuals for all regularizations.

One eigendecomposition of X'X/n (or of XX'/n where there are more features than examples) is enough for every
regularization, every imitation and every number of rounds. In a direction of eigenvalue e ridge keeps the fraction
h = e/(e + regularization) of the labels, a student trained on its predictions alone keeps h^2, the next student h^3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_BLOCK_ROWS = 8192
_BLOCK_NUMBERS = 2**22
RELIABLE_SHARE = 0.5
"""Corrected residuals are used where the teacher's degrees of freedom are at most this share of the examples; above
it, as with more features than examples and little regularization, leave-one-out residuals choose better
(docs/log.md)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spectrum:
    """Centred training data in the eigenbasis of X'X/n.

    Args:
        eigenvalues: [r], above 0, increasing; directions without data are left out.
        labels: [r, T], projections of the labels on the left singular vectors, divided by sqrt(n).
        rest: [T], the mean square of the labels outside all directions.
        num_examples: n, the sum of the sample weights.
        free: Unpenalised degrees of freedom: 1 with an intercept.
        vectors: [p, r] right singular vectors; in the dual form [n, r] left ones.
        dual_inputs: [n, p], the centred inputs divided by sqrt(n) in the dual form, else None.
        input_mean: [p].
        label_mean: [T].
    """

    eigenvalues: Vector
    labels: Vector
    rest: Vector
    num_examples: float
    free: int
    vectors: Vector
    dual_inputs: Vector | None
    input_mean: Vector
    label_mean: Vector

    @classmethod
    def of(cls, inputs: NDArray[Any], labels: Vector, weights: Vector | None, *, intercept: bool) -> "Spectrum":
        """The spectrum of a training set.

        Args:
            inputs: [n, p].
            labels: [n, T].
            weights: [n], at least 0: the multiplicity of each row; None is 1 each.
            intercept: Subtract the means first.
        """
        n, p = inputs.shape
        counts = np.ones(n) if weights is None else weights
        total = float(counts.sum())
        share = counts / total
        input_mean = share @ inputs if intercept else np.zeros(p)
        label_mean = share @ labels if intercept else np.zeros(labels.shape[1])
        root = np.sqrt(share)[:, None]
        scaled = root * (labels - label_mean)
        if p > n:
            dual = root * (inputs - input_mean)
            eigenvalues, vectors = np.linalg.eigh(dual @ dual.T)
        else:
            gram, along = np.zeros((p, p)), np.zeros((p, labels.shape[1]))
            for start in range(0, n, _BLOCK_ROWS):
                rows = slice(start, start + _BLOCK_ROWS)
                # In float64 for all inputs: a sum of n products loses half the digits of float32.
                block = root[rows] * (inputs[rows] - input_mean)
                gram += block.T @ block
                along += block.T @ scaled[rows]
            eigenvalues, vectors = np.linalg.eigh(gram)
        # Subtracting the mean leaves rounding errors, which are not a direction of the data.
        rounding = np.finfo(np.float64).eps
        largest = max(float(eigenvalues[-1]), rounding * float(input_mean @ input_mean))
        seen = eigenvalues > rounding * max(n, p) * largest
        eigenvalues, vectors = eigenvalues[seen], np.ascontiguousarray(vectors[:, seen])
        projected = vectors.T @ scaled if p > n else vectors.T @ along / np.sqrt(eigenvalues)[:, None]
        return cls(
            eigenvalues=eigenvalues,
            labels=projected,
            rest=np.maximum(np.sum(scaled**2, axis=0) - np.sum(projected**2, axis=0), 0.0),
            num_examples=total,
            free=int(intercept),
            vectors=vectors,
            dual_inputs=dual if p > n else None,
            input_mean=input_mean,
            label_mean=label_mean,
        )

    def coefficients(self, regularization: float, weights: Vector) -> Vector:
        """Coefficients [p, T] of the mixture of the teacher and its pure students.

        Args:
            regularization: That of X'X/n + regularization I.
            weights: [k + 1], of the teacher and of each student in turn.
        """
        kept = self.eigenvalues / (self.eigenvalues + regularization)
        scale = np.polynomial.polynomial.polyval(kept, weights) / (self.eigenvalues + regularization)
        if self.dual_inputs is not None:
            return self.dual_inputs.T @ (self.vectors @ (scale[:, None] * self.labels))
        return self.vectors @ ((scale * np.sqrt(self.eigenvalues))[:, None] * self.labels)

    def along(self, inputs: Vector) -> Vector:
        """Projections [m, r] of centred inputs on the right singular vectors.

        Args:
            inputs: [m, p], with `input_mean` subtracted.
        """
        if self.dual_inputs is not None:
            return (inputs @ self.dual_inputs.T) @ self.vectors / np.sqrt(self.eigenvalues)
        return inputs @ self.vectors

    def intercept(self, coefficients: Vector) -> Vector:
        """The intercept [T] of a model with coefficients [p, T]."""
        return self.label_mean - self.input_mean @ coefficients

    def degrees(self, regularization: Vector, rounds: int) -> Vector:
        """[k + 1, L], each model's degrees of freedom divided by the number of examples: trace(smoother^i)/n."""
        kept = self.eigenvalues / (self.eigenvalues + regularization[:, None])
        return np.array([(kept ** (i + 1)).sum(axis=1) + self.free for i in range(rounds + 1)]) / self.num_examples

    def errors(self, regularization: Vector, rounds: int) -> Vector:
        """[L, k + 1, r + 1], the corrected residuals of the teacher and its pure students in each direction.

        A training residual divided by 1 less the share of degrees of freedom estimates the error on a new example
        (generalised cross-validation). Sums of products over the last axis are mean products of errors, summed over
        outputs. Infinite where the divisor is not positive.

        Args:
            regularization: [L].
            rounds: k.
        """
        kept = self.eigenvalues / (self.eigenvalues + regularization[:, None])
        size = np.sqrt(np.sum(self.labels**2, axis=1))
        outside = np.full((len(regularization), 1), np.sqrt(self.rest.sum()))
        missed = np.stack(
            [np.concatenate([(1 - kept ** (i + 1)) * size, outside], axis=1) for i in range(rounds + 1)], axis=1
        )
        left = 1 - self.degrees(regularization, rounds).T
        usable = np.min(left, axis=1) > 0
        return np.where(usable[:, None, None], missed / np.where(left > 0, left, 1.0)[:, :, None], np.inf)

    def left_out(self, inputs: NDArray[Any], labels: Vector, weights: Vector | None, regularization: Vector) -> Vector:
        """[L, 2, 2], factors of the exact leave-one-out errors of the teacher and of its pure student, without refits.

        Leaving example i out subtracts x_i x_i'/n from X'X/n, a rank-one change of the inverse. With h_i the leverage,
        the teacher's error is r_i/(1 - h_i); the student's, whose teacher is fitted without x_i too, is that plus
        regularization (x_i' I b - c_i error)/(1 - h_i), where I is the inverse, b the teacher's coefficients and
        c_i = x_i' I^2 x_i/n. The divisor n is not changed. The factors have the same sums of products as the errors.

        Args:
            inputs: [n, p], those of the spectrum.
            labels: [n, T].
            weights: [n] or None; of an example of multiplicity two one copy is left out.
            regularization: [L].
        """
        root = np.sqrt((np.ones(len(labels)) if weights is None else weights) / self.num_examples)
        if self.dual_inputs is not None:
            seen = self.vectors / root[:, None]
        else:
            seen = self.along(inputs - self.input_mean) / np.sqrt(self.eigenvalues)
        squares, centred = seen**2, labels - self.label_mean
        factors = np.full((len(regularization), 2, 2), np.inf)
        together = max(1, _BLOCK_NUMBERS // centred.size)
        for start in range(0, len(regularization), together):
            ridge = regularization[start : start + together]
            kept = self.eigenvalues[:, None] / (self.eigenvalues[:, None] + ridge)
            slow = kept / (self.eigenvalues[:, None] + ridge)
            left = 1 - (squares @ kept + self.free) / self.num_examples
            usable = left.min(axis=0) > 0
            left = np.where(usable, left, 1.0)[:, :, None]
            bend = (squares @ slow / self.num_examples)[:, :, None]
            first = (centred[:, None, :] - self._answers(seen, kept)) / left
            apart = ridge[:, None] * (bend * first - self._answers(seen, slow)) / left
            first, apart = root[:, None, None] * first, root[:, None, None] * apart
            # The first two columns of a QR decomposition for every regularization: products of the errors themselves
            # would lose half of the digits of their difference.
            length = np.sqrt(np.sum(first**2, axis=(0, 2)))
            along = np.sum(first * apart, axis=(0, 2)) / length
            across = np.sqrt(np.sum((apart - first * (along / length)[:, None]) ** 2, axis=(0, 2)))
            found = np.array([[length, 0 * length], [length - along, -across]]).transpose(2, 0, 1)
            factors[start : start + together][usable] = found[usable]
        return factors

    def _answers(self, seen: Vector, scale: Vector) -> Vector:
        """[n, L, T], the labels with each direction scaled by [r, L]."""
        num, outputs = scale.shape[1], self.labels.shape[1]
        mixed = (scale[:, :, None] * self.labels[:, None, :]).reshape(len(scale), num * outputs)
        return (seen @ mixed).reshape(len(seen), num, outputs)


def best_weights(errors: Vector) -> Vector:
    """[k + 1], the weights of sum 1 with the smallest mean square of w' errors, by one linear solve.

    Students that do not differ measurably from the teacher get weight 0.

    Args:
        errors: [k + 1, M], of the teacher and its students.
    """
    apart = (errors[0] - errors[1:]).T
    # Students of later rounds are nearly collinear: a least-squares solve on the errors themselves keeps twice the
    # digits of one on their products.
    scale = np.sqrt(np.sum(apart**2, axis=0))
    real = scale > 64 * np.finfo(np.float64).eps * np.sqrt(np.sum(errors[0] ** 2))
    solved = np.zeros(len(errors) - 1)
    solved[real] = np.linalg.lstsq(apart[:, real] / scale[real], errors[0], rcond=1e-10)[0] / scale[real]
    return np.concatenate([[1 - solved.sum()], solved])
