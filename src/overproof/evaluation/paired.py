"""Means over seeds of paired differences, with intervals that count seeds and test sample, p-values, and ratios."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from torch import Tensor

from overproof.errors import InputError
from overproof.functional.repeats import Repeats

Role = Literal["reference", "conventional", "method"]

Key = tuple[int, str]
"""Seed and test set of a row; rows of different methods are paired where both are equal."""

_Floats = NDArray[np.float64]
_SMALLEST_P = 1e-12

CROSS_VALIDATED = 1.5
"""The variance over cross-validated rows is this many times that over as many test examples: the students of two folds
share most of their labels, so that what is right and wrong varies together. No estimate of this part is unbiased. In
simulations of one seed with 60 to 300 rows and 2 to 10 folds, 95 % intervals with this number held the expected
accuracy 91 to 97 % of the time and a difference of 0 93 to 96 %; without it 86 to 94 % and 86 to 91 %."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Row:
    """The test metrics of one method (or of the teacher) with one seed.

    Args:
        method: Its name; rows of one name are the seeds of one method.
        seed: Rows of different methods are paired where seed and test set are the same.
        metrics: By `overproof.evaluation.metrics.metrics`.
        role: "reference" (labelled-only, teacher, oracle), "conventional" or "method".
        correct: [N], True where it is right (`evaluation.metrics.correct`), or 1/K where a teacher names no class; None
            leaves the sampling error of the test set out of the intervals, and one seed then has none.
        repeats: Which of these N examples, all of different content, are in one group: the intervals count groups. None
            where all are independent.
        test: Identifies the test set, for instance `Examples.digest()`: rows with the same value were evaluated on the
            same examples in the same order.
        num_folds: Of cross-validation: each example was answered by a student that was trained without its fold. 0 for
            a test that no student was trained on.
    """

    method: str
    seed: int
    metrics: Mapping[str, float]
    role: Role
    correct: Bool[Tensor, "N"] | Float64[Tensor, "N"] | None = None
    repeats: Repeats | None = None
    test: str = ""
    num_folds: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """Means over seeds of V contrasts between rows.

    Args:
        num_seeds: S, the number of seeds.
        mean: [V].
        over_seeds: [V, V], covariance of the means estimated over the seeds; None with fewer than two seeds.
        over_test: [V, V], covariance of the means estimated over the test examples; None where these are unknown.
        cross_validated: Whether the examples are labelled rows, each answered by students trained without its fold.
        level: Coverage of the intervals, in (0, 1).
    """

    num_seeds: int
    mean: _Floats
    over_seeds: _Floats | None
    over_test: _Floats | None
    level: float
    cross_validated: bool = False

    @property
    def spread(self) -> _Floats:
        """[V, V], a quadratic form: the squared half-width of the interval of any linear combination of the means;
        infinite where neither covariance is known."""
        return self._spread(self.level)

    def interval(self) -> tuple[float | None, float | None]:
        """The ends of the interval of the first mean; None where it has none."""
        half = float(self.spread[0, 0]) ** 0.5
        return (None, None) if half == np.inf else (float(self.mean[0]) - half, float(self.mean[0]) + half)

    def p_value(self) -> float | None:
        """Two-sided p-value: one less the level at which the interval of the first mean ends at 0; None without one.

        It is below .05 exactly where the 95 % interval excludes 0. Values below 1e-12 are returned as 0.
        """
        size, half = abs(float(self.mean[0])), float(self.spread[0, 0]) ** 0.5
        if half == np.inf:
            return None
        if size == 0 or half == 0:
            return float(size == 0)
        # Imported here: `scipy.optimize` is slow to import.
        from scipy.optimize import brentq

        def beyond(p: float) -> float:
            return float(self._spread(1 - p)[0, 0]) ** 0.5 - size

        return 0.0 if beyond(_SMALLEST_P) <= 0 else float(brentq(beyond, _SMALLEST_P, 1.0))

    def counts(self) -> str:
        """Which sources of variation the intervals include, in words."""
        if self.num_seeds == 0:
            return "no shared seed: no interval"
        if self.num_seeds == 1:
            return "one seed: no interval" if self.over_test is None else f"one seed: {self._sample} only"
        return f"{self.num_seeds} seeds" + ("" if self.over_test is None else f" and the {self._sample}")

    @property
    def _sample(self) -> str:
        return "draw of the labelled rows" if self.cross_validated else "test sample"

    def _spread(self, level: float) -> _Floats:
        tail, parts = (1 + level) / 2, []
        if self.over_seeds is not None:
            parts.append(stdtrit(self.num_seeds - 1, tail) ** 2 * self.over_seeds)
        if self.over_test is not None:
            shared = CROSS_VALIDATED if self.cross_validated else 1.0
            parts.append(ndtri(tail) ** 2 * shared * self.over_test)
        nothing = np.full((len(self.mean), len(self.mean)), np.inf)
        whole: _Floats = np.sum(parts, axis=0) if parts else nothing
        return whole


def means_of(columns: list[dict[Key, Row]], contrasts: list[list[float]], metric: str, level: float) -> Means:
    """Means over the seeds that all columns of rows share.

    Args:
        columns: The rows of C methods.
        contrasts: [V, C], the coefficient of each column in each mean.
        metric: A key of the rows' metrics; the sampling error of the test set is included for the accuracy only.
        level: In (0, 1).

    Raises:
        InputError: Two rows of one test set differ in length.
    """
    shared = sorted(key for key in columns[0] if all(key in column for column in columns))
    num_seeds, weights = len(shared), np.array(contrasts).T
    if num_seeds == 0:
        return Means(num_seeds=0, mean=np.zeros(len(contrasts)), over_seeds=None, over_test=None, level=level)
    per_seed = np.array([[column[key].metrics[metric] for column in columns] for key in shared]) @ weights
    per_example = (_right(columns, shared) if metric == "accuracy" else np.empty((0, len(columns)))) @ weights
    return Means(
        num_seeds=num_seeds,
        mean=per_seed.mean(axis=0),
        over_seeds=_covariance_of_mean(per_seed) if num_seeds > 1 else None,
        over_test=_covariance_of_mean(per_example, columns[0][shared[0]].repeats) if len(per_example) > 1 else None,
        level=level,
        cross_validated=any(column[key].num_folds for column in columns for key in shared),
    )


def ratio_of(means: Means) -> tuple[float | None, float | None, float | None]:
    """The ratio of the first mean to the second with Fieller's interval; None where the second may be 0."""
    top, bottom = (float(value) for value in means.mean)
    room = bottom**2 - float(means.spread[1, 1])
    if bottom <= 0 or room <= 0:
        return None, None, None
    middle = top * bottom - float(means.spread[0, 1])
    # Negative by rounding only: the spread is positive semi-definite.
    half = max(0.0, middle**2 - room * (top**2 - float(means.spread[0, 0]))) ** 0.5
    return top / bottom, (middle - half) / room, (middle + half) / room


def _covariance_of_mean(sample: _Floats, repeats: Repeats | None = None) -> _Floats:
    """The covariance of the means of a sample [N, V]; with groups that of `functional.repeats.standard_error`."""
    if repeats is None:
        return np.atleast_2d(np.cov(sample, rowvar=False)) / len(sample)
    num_groups, num = repeats.num_groups, sample.shape[1]
    if num_groups < 2:
        return np.full((num, num), np.inf)
    totals = np.zeros((num_groups, num))
    np.add.at(totals, repeats.group.numpy(), sample - sample.mean(axis=0))
    whole: _Floats = totals.T @ totals * num_groups / (num_groups - 1) / len(sample) ** 2
    return whole


def _right(columns: list[dict[Key, Row]], shared: list[Key]) -> _Floats:
    """[N, C], share of the seeds that are right on each test example; no rows where the seeds share no test set."""
    sums = []
    for column in columns:
        marks = [column[key].correct for key in shared]
        known = [mark.cpu().numpy() for mark in marks if mark is not None]
        if len(known) < len(marks) or len({test for _, test in shared}) > 1:
            return np.empty((0, len(columns)))
        sums.append(known)
    lengths = sorted({len(mark) for known in sums for mark in known})
    if len(lengths) > 1:
        raise InputError(
            f"Rows of one test set ({shared[0][1] or 'unnamed'}) have {lengths[0]} and {lengths[-1]} examples; rows of "
            "different test sets need different values of `test`."
        )
    return np.array([np.mean(known, axis=0) for known in sums]).T
