"""Fits the teacher's accuracy as an increasing function of its margin (isotonic regression)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float16, Float32, Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.cross_fitting import folds as fold_of
from overproof.cross_fitting import out_of_fold
from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY
from overproof.noise.margins import MARGIN_OF_BITS, bits_of_margin, check_margin

Numbers = Tensor | NDArray[Any] | Sequence[float] | Sequence[int] | Sequence[bool]
"""A vector as a tensor, an array or a sequence."""

_AT_A_TIME = 2**16
"""Margins that are looked up at once."""

LOWER_BOUNDS = (0.55, 0.6, 0.7, 0.8, 0.9)
"""The lower bounds tried. The paper's grid starts at .5, where the un-normalised mix has no gradient on the candidates:
all rows clipped there would have no effect on the student. .55 is the nearest bound with a gradient."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IsotonicAccuracy:
    """P(the teacher is right | its margin): linear between the knots, constant outside, non-decreasing.

    Args:
        knots: [M], margins, ascending.
        values: [M], accuracies in [lower, 1], non-decreasing.
        lower: The bound at which the values were clipped.
    """

    knots: Float64[Tensor, "M"]
    values: Float64[Tensor, "M"]
    lower: float

    @overload
    def __call__(self, margin: Tensor) -> Tensor: ...
    @overload
    def __call__(self, margin: NDArray[Any] | Sequence[float]) -> NDArray[np.float32]: ...
    def __call__(self, margin: Tensor | NDArray[Any] | Sequence[float]) -> Tensor | NDArray[np.float32]:
        """The accuracy at every margin, float32 and of the margin's shape; a tensor for a tensor, on its device."""
        if not isinstance(margin, Tensor):
            values: NDArray[np.float32] = self._interpolate(torch.from_numpy(np.asarray(margin, np.float64))).numpy()
            return values
        return self._interpolate(margin.double())

    def table(self) -> Float32[Tensor, "15361"]:
        """The accuracy at every margin that half precision can hold; the index is the margin's bits."""
        return self(MARGIN_OF_BITS)

    def lookup(self, margin: Float16[Tensor, "N"]) -> Float32[Tensor, "N"]:
        """The same values as a call, bit for bit, for many margins in half precision, read from `table` by their bits.

        Raises:
            InputError: A margin outside [0, 1].
        """
        try:
            table = self.table().to(margin.device)
            return torch.cat([table.index_select(0, bits_of_margin(some)) for some in margin.split(_AT_A_TIME)])
        except IndexError:
            check_margin("margin", margin)
            raise

    def _interpolate(self, margin: Tensor) -> Tensor:
        knots, values = self.knots.to(margin.device), self.values.to(margin.device)
        right = torch.searchsorted(knots, margin, right=True).clamp(max=len(knots) - 1)
        left = (right - 1).clamp(min=0)
        # One knot, or a margin before the first: right and left are the same, and any finite width will do.
        width = (knots[right] - knots[left]).where(right > left, 1.0)
        share = ((margin - knots[left]) / width).clamp(0, 1)
        # Rounding may pass the right knot by one unit in the last place: then the curve would fall there.
        return torch.minimum(values[left] + share * (values[right] - values[left]), values[right]).float()


def isotonic_accuracy(margin: Numbers, correct: Numbers, lower: float = 0.0, prior: float = 0.0) -> IsotonicAccuracy:
    """Fit P(the teacher is right | margin) by isotonic regression: the non-decreasing function of least squares.

    Examples of equal margin are pooled first, each pool counting as many times as it has examples; between pools the
    function is linear, outside it is constant; its values are clipped to [lower, 1]. The answers must be out
    of sample: on its own training data a teacher is almost never wrong.

    Args:
        margin: [V], the teacher's margins, in [0, 1].
        correct: [V], whether the teacher's likeliest class is the true one (bool, or 0 and 1).
        lower: In [0, 1].
        prior: Number of imaginary examples at margin 0, and as many at margin 1, as accurate as the teacher is overall
            (with one more of each kind, right and wrong). Isotonic regression is least accurate at both ends, where a
            single error gives accuracy 0 and a run without errors gives 1.

    Returns:
        A callable on margins: a tensor for a tensor, a NumPy array for an array or a list.

    Example:
        The second and third are in the wrong order: they share their mean.

        >>> accuracy = isotonic_accuracy([0.0, 0.25, 0.5, 1.0], [0, 1, 0, 1])
        >>> accuracy([0.25, 0.5, 0.75]).tolist()
        [0.5, 0.5, 0.75]

    Raises:
        InputError: Lengths differ, nothing is given, a margin outside [0, 1] or not a number, a `correct` other than
            0 and 1, a `lower` outside [0, 1] or a negative `prior`.

    Source: Kontonis et al. (2023), arXiv 2302.03806 (isotonic regression of the accuracy on the margin).
    Differs from the paper: only where `prior` is above 0.
    """
    margins, right = _checked(margin, correct)
    if not 0 <= lower <= 1:
        raise InputError(f"lower is {lower}; it must be in [0, 1].")
    if not 0 <= prior < float("inf"):
        raise InputError(f"prior is {prior}; it must be a number of examples, 0 or more.")
    return _fit(margins, right, lower, prior)


def lower_bound(
    margin: Numbers,
    correct: Numbers,
    grid: Sequence[float] = LOWER_BOUNDS,
    folds: int = 10,
    seed: int = 0,
    prior: float = 0.0,
    group: Int[Tensor, "V"] | None = None,
) -> float:
    """Choose the lower bound of the accuracy: the bound whose clipped curve best predicts whether the teacher is right.

    Out of fold: each fold is predicted by the curve of the others; the bound with the least log-loss is chosen, of
    equal ones the smallest.

    Args:
        margin: [V], in [0, 1].
        correct: [V], bool, or 0 and 1.
        grid: Bounds to try, in [0, 1].
        folds: At least 2; as many as there are examples, or groups, where those are fewer.
        seed: Draws the folds.
        prior: As in `isotonic_accuracy`.
        group: [V], examples that are in one fold (`overproof.cross_fitting.folds`); None where all are independent.

    Example:
        A teacher that is right seven times in ten whatever its margin.

        >>> lower_bound([i / 100 for i in range(100)], [i % 10 < 7 for i in range(100)], folds=10)
        0.7

    Raises:
        InputError: As in `isotonic_accuracy`, or fewer than two examples, or a grid that is empty or leaves [0, 1].

    Differs from the paper: there the bound is tuned by training a student for each and comparing them on labelled
    data; here nothing is trained. The grid starts at .55, not at .5 (see `LOWER_BOUNDS`).
    """
    margins, right = _checked(margin, correct)
    if len(grid) == 0 or not all(0 <= bound <= 1 for bound in grid):
        raise InputError(f"grid is {tuple(grid)}; it must hold at least one bound, all of them in [0, 1].")
    num = len(margins) if group is None else len(group.unique())
    if num < 2:
        what = "example" if group is None else "group of examples"
        raise InputError(f"lower_bound has 1 {what}; cross-validation needs at least 2, or give the bound yourself.")
    fold = fold_of(torch.from_numpy(right.astype(np.int64)), min(folds, num), seed, group)

    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        curve = _fit(margins[rows.numpy()], right[rows.numpy()], 0.0, prior)
        return lambda held_out: curve(torch.from_numpy(margins[held_out.numpy()])).unsqueeze(1)

    predicted = out_of_fold(fit, fold).squeeze(1).double().numpy()
    losses = {bound: _log_loss(predicted.clip(bound, 1), right) for bound in sorted(grid)}
    return min(losses, key=lambda bound: losses[bound])


def _fit(margins: NDArray[np.float64], right: NDArray[np.float64], lower: float, prior: float) -> IsotonicAccuracy:
    # Here, because it is a third of the package's import time.
    from scipy.optimize import isotonic_regression

    weights = np.ones_like(margins)
    if prior > 0:
        overall = (right.sum() + 1) / (len(right) + 2)
        margins, right = np.append(margins, [0.0, 1.0]), np.append(right, [overall, overall])
        weights = np.append(weights, [prior, prior])
    knots, pool = np.unique(margins, return_inverse=True)
    weight = np.bincount(pool, weights)
    values = isotonic_regression(np.bincount(pool, weights * right) / weight, weights=weight).x
    return IsotonicAccuracy(
        knots=torch.from_numpy(knots), values=torch.from_numpy(values.clip(lower, 1.0)), lower=float(lower)
    )


def _log_loss(accuracy: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    of_what_happened = np.where(right == 1, accuracy, 1 - accuracy)
    return float(-np.log(of_what_happened.clip(SMALLEST_PROBABILITY)).mean())


def _checked(margin: Numbers, correct: Numbers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    margins, right = _as_vector(margin), _as_vector(correct)
    if len(margins) != len(right):
        raise InputError(f"margin has {len(margins)} examples and correct {len(right)}; they must be the same.")
    if len(margins) == 0:
        raise InputError("margin is empty; the teacher's accuracy needs at least one labelled example.")
    check_margin("margin", margins)
    if not np.isin(right, (0, 1)).all():
        odd = right[~np.isin(right, (0, 1))][0]
        raise InputError(f"correct has {odd:g}; it must be 0 (the teacher is wrong) or 1 (it is right).")
    return margins, right


def _as_vector(numbers: Numbers) -> NDArray[np.float64]:
    """A vector as an array of float64."""
    array: NDArray[np.float64] = (
        numbers.detach().cpu().double().numpy() if isinstance(numbers, Tensor) else np.asarray(numbers, np.float64)
    )
    if array.ndim != 1:
        raise InputError(f"A vector of one number per example is needed; this has the shape {array.shape}.")
    return array
