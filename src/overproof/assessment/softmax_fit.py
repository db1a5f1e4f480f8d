"""Softmax regression in single precision, for probes: L-BFGS that compares derivatives instead of values."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

MEMORY = 10
"""Steps that L-BFGS remembers."""

MOST_TRIES = 20
"""Largest number of evaluations along one direction."""

FLATTER = 0.9
"""A step is taken when the slope along it is at most this share of that at its beginning."""

Single = NDArray[np.float32]


class SoftmaxFit:
    """Mean loss + regularization/2 ||W||^2 over features along their principal axes.

    Single precision rounds the loss more coarsely than the last steps change it. Along a direction the loss is convex,
    so a step is judged by the slope at its end, which is exact enough.

    Args:
        features: [N, R], centred, along their principal axes or nearly so.
        label: [N], in 0..K-1, every class occurring.
        num_classes: K.
        tolerance: A fit stops when no entry of the preconditioned gradient is larger.
        max_steps: Largest number of iterations of a fit.

    Example:
        >>> features = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> fit = SoftmaxFit(features, np.array([0, 0, 1, 1]), 2, tolerance=1e-5, max_steps=100)
        >>> weights, bias = fit.solve(0.1, *fit.start())
        >>> weights.astype(float).round(2).tolist(), bool(abs(bias).max() < 1e-3)
        ([[-0.92, 0.92]], True)

    Source: Liu and Nocedal (1989); the acceptance by slopes, Hager and Zhang (2005).
    """

    def __init__(
        self,
        features: NDArray[np.float64],
        label: NDArray[np.int64],
        num_classes: int,
        tolerance: float,
        max_steps: int,
    ) -> None:
        self.features, self.label, self.num_classes = features.astype(np.float32), label, num_classes
        self.tolerance, self.max_steps, self.steps = tolerance, max_steps, 0
        self._variance = (features**2).mean(axis=0)
        self._logits = np.empty((len(features), num_classes), np.float32)
        self._rows = np.arange(len(features))

    def start(self) -> tuple[Single, Single]:
        """The zero solution: weights [R, K] and bias [K]."""
        return np.zeros((self.features.shape[1], self.num_classes), np.float32), np.zeros(self.num_classes, np.float32)

    def solve(self, regularization: float, weights: Single, bias: Single) -> tuple[Single, Single]:
        """Minimise from given weights and bias; `steps` is the number of iterations.

        Args:
            regularization: At least 0.
            weights: [R, K].
            bias: [K].
        """
        # The curvature of a uniform softmax.
        curvature = (1 - 1 / self.num_classes) / self.num_classes
        eigenvalues = curvature * self._variance + regularization
        scale = 1 / np.sqrt(eigenvalues + 1e-12 * self._variance.max() + 1e-300)
        scale = np.append(scale, 1 / np.sqrt(curvature)).astype(np.float32)[:, None]
        decay = np.append(np.full(len(weights), regularization), 0.0).astype(np.float32)[:, None]

        def gradient(point: Single) -> Single:
            unscaled = scale * point
            found = np.empty_like(point)
            self._slope(unscaled[:-1], unscaled[-1], found)
            found += decay * unscaled
            found *= scale
            return found

        point = np.vstack([weights, bias]) / scale
        point, self.steps = _descended(gradient, point, self.tolerance, self.max_steps)
        point = scale * point
        return point[:-1], point[-1]

    def _slope(self, weights: Single, bias: Single, slope: Single) -> None:
        """The gradient of the mean loss: [R, K] by the weights, and in the last row by the bias."""
        logits = np.matmul(self.features, weights, out=self._logits)
        logits += bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        logits[self._rows, self.label] -= 1
        logits *= np.float32(1 / len(logits))
        np.matmul(self.features.T, logits, out=slope[:-1])
        logits.sum(axis=0, out=slope[-1])


def _descended(gradient, point: Single, tolerance: float, max_steps: int) -> tuple[Single, int]:  # type: ignore[no-untyped-def]
    """L-BFGS on a convex function of which only the gradient is known."""
    slope, memory = gradient(point), deque[tuple[Single, Single, float]](maxlen=MEMORY)
    for step in range(max_steps):
        if np.abs(slope).max() <= tolerance:
            return point, step
        direction = _direction(slope, memory)
        before = _inner(slope, direction)
        if before >= 0:
            # Rounding: the steps that are remembered no longer describe the curvature.
            memory.clear()
            direction = -slope
            before = _inner(slope, direction)
        size, low, high = 1.0 if memory else min(1.0, 1 / float(np.abs(slope).sum())), 0.0, np.inf
        for _ in range(MOST_TRIES):
            moved = point + np.float32(size) * direction
            found = gradient(moved)
            after = _inner(found, direction)
            if abs(after) <= FLATTER * abs(before):
                break
            # The slope rises along a convex function: beyond zero the step was too long.
            low, high = (low, size) if after > 0 else (size, high)
            size = 2 * size if np.isinf(high) else (low + high) / 2
        change, turn = moved - point, found - slope
        curved = _inner(change, turn)
        if curved > 0:
            memory.append((change, turn, curved))
        point, slope = moved, found
    return point, max_steps


def _direction(slope: Single, memory: "deque[tuple[Single, Single, float]]") -> Single:
    """Minus the gradient times the inverse curvature that the remembered steps describe."""
    direction, shares = -slope, []
    for change, turn, curved in reversed(memory):
        share = _inner(change, direction) / curved
        direction -= np.float32(share) * turn
        shares.append(share)
    if memory:
        _, turn, curved = memory[-1]
        direction *= np.float32(curved / _inner(turn, turn))
    for (change, turn, curved), share in zip(memory, reversed(shares), strict=True):
        direction += np.float32(share - _inner(turn, direction) / curved) * change
    return direction


def _inner(left: Single, right: Single) -> float:
    return float(np.vdot(left, right))
