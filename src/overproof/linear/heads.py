"""Solve softmax regression on fixed features to convergence, for any targets whose rows sum to one.

The loss of a target q is logsumexp(logits) - q . logits, linear in q, so that targets enter through one [D, K] matrix
of inner products only, also extrapolated ones with negative entries.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Flat = NDArray[np.float64]

_BLOCK_ROWS = 8192
_MEMORY = 10
_COARSE = 1e-6
_NEWTON_STEPS = 5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SoftmaxHead:
    """A solution: weights and bias in the basis of its `SoftmaxProblem`.

    Args:
        weights: [r, K], along the eigenvectors of the centred features.
        bias: [K]; zero without an intercept.
        steps: Number of iterations of L-BFGS.
        gradient: Largest entry of the preconditioned gradient at the solution.
    """

    weights: Matrix
    bias: NDArray[np.float64]
    steps: int = 0
    gradient: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TargetMoments:
    """The moments of targets that the objective depends on: inner products with the features and with the bias.

    Args:
        features: [r, K], the mean over examples of feature times target.
        bias: [K], the mean target.
    """

    features: Matrix
    bias: NDArray[np.float64]

    def mixed(self, teacher: "TargetMoments", imitation: float) -> "TargetMoments":
        """The moments of imitation * teacher + (1 - imitation) * these targets.

        Args:
            teacher: The moments of the teacher's probabilities.
            imitation: Any real number.
        """
        return TargetMoments(
            features=self.features + imitation * (teacher.features - self.features),
            bias=self.bias + imitation * (teacher.bias - self.bias),
        )


@dataclass(kw_only=True, slots=True, eq=False)
class SoftmaxProblem:
    """Mean loss + regularization/2 ||W||^2 over one set of features, for many targets and regularizations.

    Features are centred and rotated once into the eigenbasis of their second moments: there the curvature is nearly
    diagonal, and L-BFGS on rescaled weights needs tens of iterations instead of thousands.

    Args:
        features: [N, r], centred where there is an intercept, along the eigenvectors; float32 halves the time of a step
            where `tolerance` is no less than 1e-4.
        share: [N], the weight of every example, summing to 1.
        eigenvalues: [r], of the features' second moments.
        rotation: [D, r], from the original features to these.
        mean: [D], the mean that was subtracted.
        num_classes: K.
        intercept: Whether a bias is fitted.
        tolerance: Largest allowed entry of the preconditioned gradient.
        max_iter: Largest number of iterations.
    """

    features: NDArray[Any]
    share: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    rotation: Matrix
    mean: NDArray[np.float64]
    num_classes: int
    intercept: bool
    tolerance: float
    max_iter: int
    _logits: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        # The only large array besides the features; overwritten at every evaluation.
        self._logits = np.empty((len(self.features), self.num_classes), self.features.dtype)

    @classmethod
    def of(
        cls,
        features: NDArray[Any],
        weights: NDArray[np.float64],
        num_classes: int,
        *,
        intercept: bool,
        tolerance: float,
        max_iter: int,
    ) -> "SoftmaxProblem":
        """The problem of a training set.

        Args:
            features: [N, D].
            weights: [N], above 0; only their ratios matter.
            num_classes: K.
            intercept: Whether a bias is fitted.
            tolerance: Largest allowed entry of the preconditioned gradient.
            max_iter: Largest number of iterations.
        """
        share = weights / weights.sum()
        mean = share @ features if intercept else np.zeros(features.shape[1])
        moment = np.zeros((features.shape[1], features.shape[1]))
        for start in range(0, len(features), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            block = features[rows] - mean
            moment += block.T @ (share[rows, None] * block)
        eigenvalues, rotation = np.linalg.eigh(moment)
        turned = np.empty(features.shape)
        for start in range(0, len(features), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            turned[rows] = (features[rows] - mean) @ rotation
        return cls(
            features=turned,
            share=share,
            eigenvalues=np.maximum(eigenvalues, 0.0),
            rotation=rotation,
            mean=mean,
            num_classes=num_classes,
            intercept=intercept,
            tolerance=tolerance,
            max_iter=max_iter,
        )

    def labels(self, label: NDArray[np.int64]) -> TargetMoments:
        """The moments of hard labels.

        Args:
            label: [N], class indices.
        """
        sums = np.zeros((self.features.shape[1], self.num_classes))
        for start in range(0, len(label), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            one_hot = np.zeros((len(label[rows]), self.num_classes))
            one_hot[np.arange(len(one_hot)), label[rows]] = self.share[rows]
            sums += self.features[rows].T @ one_hot
        return TargetMoments(
            features=sums, bias=np.bincount(label, self.share, minlength=self.num_classes).astype(np.float64)
        )

    def answers(self, head: SoftmaxHead) -> TargetMoments:
        """The moments of a head's probabilities on the training examples.

        Args:
            head: A solution of this problem.
        """
        _, slope, bias = self._slope(head.weights, head.bias)
        return TargetMoments(features=slope, bias=bias)

    def probs(self, head: SoftmaxHead) -> Matrix:
        """A head's probabilities [N, K] on the training examples.

        Args:
            head: A solution of this problem.
        """
        logits = self.features @ head.weights + head.bias
        np.exp(logits - logits.max(axis=1, keepdims=True), out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def start(self) -> SoftmaxHead:
        """The zero solution: every class equally likely."""
        return SoftmaxHead(
            weights=np.zeros((self.features.shape[1], self.num_classes)), bias=np.zeros(self.num_classes)
        )

    def solve(self, targets: TargetMoments, regularization: float, start: SoftmaxHead | None = None) -> SoftmaxHead:
        """Minimise by L-BFGS on preconditioned weights, followed by Newton steps for full precision.

        The line search of L-BFGS compares values, whose precision is the square root of the rounding error; a Newton
        step (by conjugate gradients) compares gradients.

        Args:
            targets: Moments of the targets.
            regularization: That of regularization/2 ||W||^2, at least 0.
            start: Initial value; the solution of a similar problem saves most of the work.
        """
        from scipy.optimize import minimize
        from scipy.sparse.linalg import LinearOperator, cg

        first = start or self.start()
        shape, size = first.weights.shape, first.weights.size
        # The curvature of a uniform softmax; L-BFGS corrects a wrong factor in one step.
        curvature = (1 - 1 / self.num_classes) / self.num_classes
        scale = 1 / np.sqrt(curvature * self.eigenvalues + regularization + 1e-12 * self.eigenvalues.max() + 1e-300)
        scale = scale[:, None]
        bias_scale = 1 / np.sqrt(curvature) if self.intercept else 0.0

        def unscaled(flat: Flat) -> tuple[Matrix, Flat]:
            return scale * flat[:size].reshape(shape), bias_scale * flat[size:]

        def scaled(slope: Matrix, bias_slope: Flat) -> Flat:
            return np.concatenate([(scale * slope).ravel(), bias_scale * bias_slope])

        def objective(flat: Flat) -> tuple[float, Flat]:
            weights, bias = unscaled(flat)
            value, slope, bias_slope = self._slope(weights, bias)
            value += 0.5 * regularization * float(np.sum(weights**2))
            value -= float(np.sum(weights * targets.features)) + float(bias @ targets.bias)
            return value, scaled(slope + regularization * weights - targets.features, bias_slope - targets.bias)

        def curved(flat: Flat) -> Flat:
            weights, bias = unscaled(flat)
            slope, bias_slope = self._curvature(weights, bias)
            return scaled(slope + regularization * weights, bias_slope)

        begin = np.concatenate(
            [(first.weights / scale).ravel(), first.bias / bias_scale if self.intercept else 0 * first.bias]
        )
        coarse = max(self.tolerance, _COARSE)
        options: Any = {
            "maxcor": _MEMORY,
            "gtol": coarse,
            "ftol": 0.0,
            "maxiter": self.max_iter,
            "maxfun": 2 * self.max_iter,
        }
        found = minimize(objective, begin, jac=True, method="L-BFGS-B", options=options)
        point, slope = found.x, found.jac
        if self.tolerance < np.abs(slope).max() <= coarse:
            hessian = LinearOperator((len(point), len(point)), matvec=curved, dtype=np.float64)
            objective(point)  # `curved` uses the curvature at the last evaluation
            for _ in range(_NEWTON_STEPS):
                further = point - cg(hessian, slope, rtol=1e-4, maxiter=self.max_iter)[0]
                _, less = objective(further)
                if np.abs(less).max() >= np.abs(slope).max():
                    break
                point, slope = further, less
                if np.abs(slope).max() <= self.tolerance:
                    break
        weights, bias = unscaled(point)
        return SoftmaxHead(weights=weights, bias=bias, steps=int(found.nit), gradient=float(np.abs(slope).max()))

    def coefficients(self, head: SoftmaxHead) -> tuple[Matrix, NDArray[np.float64]]:
        """Weights [K, D] and bias [K] for the original features.

        Args:
            head: A solution of this problem.
        """
        weights = (self.rotation @ head.weights).T
        return weights, head.bias - weights @ self.mean

    def _slope(self, weights: Matrix, bias: NDArray[np.float64]) -> tuple[float, Matrix, NDArray[np.float64]]:
        """The mean of logsumexp, and its gradient."""
        logits = np.matmul(self.features, weights.astype(self.features.dtype, copy=False), out=self._logits)
        logits += bias
        top = logits.max(axis=1, keepdims=True)
        logits -= top
        np.exp(logits, out=logits)
        sums = logits.sum(axis=1, keepdims=True)
        value = float(self.share @ (np.log(sums) + top)[:, 0])
        logits *= self.share[:, None] / sums
        slope = (self.features.T @ logits).astype(np.float64, copy=False)
        return value, slope, logits.sum(axis=0, dtype=np.float64)

    def _curvature(self, weights: Matrix, bias: Flat) -> tuple[Matrix, Flat]:
        """The second derivative at the last evaluation of `_slope`, times a direction."""
        change = self.features @ weights
        change += bias
        # `_slope` leaves the probabilities times the shares in `_logits`.
        change -= np.sum(self._logits * change, axis=1, keepdims=True) / self.share[:, None]
        change *= self._logits
        return self.features.T @ change, change.sum(axis=0)
