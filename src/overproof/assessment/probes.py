"""Linear probes, cross-validated: predict the label, or the teacher's errors, from the student's features."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from overproof.assessment.softmax_fit import SoftmaxFit
from overproof.cross_fitting import FoldModels, folds
from overproof.functional.repeats import Repeats
from overproof.noise import log_loss
from overproof.seeds import derived_seed

NUM_RESAMPLES = 400
"""Bootstrap resamples of the labelled examples for an interval."""

FEWEST = 15
"""Fewest right and fewest wrong teacher answers for which the error probe is fitted."""

PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
"""Candidate factors of half the squared norm of the weights, added to the summed loss; strongest first."""

FEW_AXES = 300
"""Up to this many principal axes all are kept."""

LEFT_OUT = 0.01
"""Share of the variance that may be dropped where there are more axes."""

TOLERANCE = 1e-4
"""A fit stops when no entry of the preconditioned gradient of the mean loss is larger."""

MAX_STEPS = 300
"""Largest number of iterations of a fit."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorProbe:
    """How well the teacher's errors can be predicted, as areas under the ROC curve with 95 % intervals.

    The area is the probability that a random error gets a higher score than a random right answer: .5 is chance, 1 is
    perfect separation.

    Args:
        by_margin: Area when the score is the teacher's negative margin: (mean, low, high).
        by_inputs: Area when the score comes from a linear model of inputs and margin.
        difference: The second less the first.
    """

    by_margin: tuple[float, float, float]
    by_inputs: tuple[float, float, float]
    difference: tuple[float, float, float]

    @property
    def follows_from_inputs(self) -> bool:
        """Whether the inputs predict the errors significantly better than the margin does."""
        return self.difference[1] > 0

    def sentence(self) -> str:
        """The result in words, and what it means for the choice of a method."""
        mean, low, high = self.by_inputs
        areas = f"area under the curve {mean:.2f} [{low:.2f}, {high:.2f}], by the margin alone {self.by_margin[0]:.2f}"
        if self.follows_from_inputs:
            return (
                f"A linear probe of the inputs predicts the teacher's errors better than its margin does ({areas}): "
                f"these errors are systematic in part, and a noise model of the margin alone cannot correct that part."
            )
        return (
            f"A linear probe of the inputs does not predict the teacher's errors better than its margin does "
            f"({areas}): given the margin they look random, which is what noise models assume."
        )


def error_probe(
    features: Any, wrong: Bool[Tensor, "V"], margin: Float[Tensor, "V"], seed: int, repeats: Repeats | None = None
) -> ErrorProbe | None:
    """Fit a linear model that predicts the teacher's errors from the inputs, and compare it with the margin.

    Args:
        features: [V, D], an array or a scipy sparse matrix, or its `Coordinates`.
        wrong: [V], whether the teacher's likeliest class is not the label.
        margin: [V], the teacher's margins.
        seed: Seed of folds and resamples.
        repeats: Of the examples, all of different content; groups are in one fold, and resamples draw groups.

    Returns:
        None with fewer than `FEWEST` errors or right answers.
    """
    repeats = Repeats.none(len(wrong)) if repeats is None else repeats
    num_wrong = int(wrong.sum())
    if min(num_wrong, len(wrong) - num_wrong) < FEWEST:
        return None
    seen = Coordinates.of(features).values
    # The margin's column is scaled to the norm of all the others, so that the penalty does not suppress its weight.
    size = float(np.sqrt((seen**2).sum() / len(seen))) or 1.0
    own = (margin.double().numpy() - margin.double().mean().item()) / (margin.double().std().item() or 1.0)
    with_margin = Coordinates(np.column_stack([seen, size * own]))
    by_probe = probe(with_margin, wrong.long(), 2, seed, repeats)[:, 1].numpy()
    scores, mistake = {"margin": -margin.double().numpy(), "inputs": by_probe}, wrong.numpy()
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "error probe")))
    areas: dict[str, list[float]] = {name: [] for name in scores}
    for number in range(NUM_RESAMPLES + 1):
        rows = np.arange(len(mistake)) if number == 0 else repeats.resampled(generator)
        if 0 < mistake[rows].sum() < len(rows):
            for name, score in scores.items():
                areas[name].append(area_under_curve(score[rows], mistake[rows]))
    by_margin, by_inputs = np.array(areas["margin"]), np.array(areas["inputs"])
    return ErrorProbe(
        by_margin=_interval(by_margin), by_inputs=_interval(by_inputs), difference=_interval(by_inputs - by_margin)
    )


def area_under_curve(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: P(a positive scores higher than a negative), ties counting half.

    Example:
        >>> area_under_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
        0.875
    """
    num = int(positive.sum())
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    # The mean rank, counted from one, of the scores that tie.
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - num * (num + 1) / 2) / (num * (len(positive) - num)))


def _interval(areas: NDArray[np.float64]) -> tuple[float, float, float]:
    """The value on the sample itself, and the 2.5 % and 97.5 % quantiles over the resamples."""
    low, high = np.quantile(areas[1:], (0.025, 0.975))
    return float(areas[0]), float(low), float(high)


def probe(
    features: Any, labels: Int[Tensor, "V"], num_classes: int, seed: int, repeats: Repeats | None = None
) -> Float[Tensor, "V K"]:
    """Out-of-fold class probabilities of logistic regression on the features; [V, K], rows sum to one.

    Five folds, in a ring. The penalty of a fold's model is chosen without the fold: by the log-loss on each of its two
    neighbours, of the fit without both. `PENALTIES` are tried from the strongest on until the loss rises. A fit without
    two folds serves the choice for either of them, five fits a penalty, and the model without one of them starts at it.

    Args:
        features: [V, D], an array or a scipy sparse matrix, or its `Coordinates`.
        labels: [V].
        num_classes: K.
        seed: Seed of the folds.
        repeats: Of the examples, all of different content; groups are in one fold.
    """
    from threadpoolctl import threadpool_limits

    # Matrix products of this size are several times slower on several threads.
    with threadpool_limits(1, "blas"):
        inputs, label = Coordinates.of(features).values, labels.numpy()
        group = (Repeats.none(len(label)) if repeats is None else repeats).group
        fold = folds(labels, 5, derived_seed(seed, "probe"), group)
        chosen = _penalties(inputs, label, num_classes, fold.numpy())

        def fit(number: int, rows: Tensor) -> _Probe:
            model, (penalty, start) = _Probe(inputs[rows.numpy()], label[rows.numpy()], num_classes), chosen[number]
            # From zero, a fit of little penalty stops far from its solution.
            model.begin(start)
            model.fit(penalty)
            return model

        models = FoldModels(fold=fold, fit=fit)
        return models.out_of_fold(lambda model, rows: torch.from_numpy(model.probs(inputs[rows.numpy()])))


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Logits as a linear function of the inputs.

    Args:
        weights: [R, K]; zero for a class that did not occur.
        bias: [K], at the origin; minus infinity for a class that did not occur.
    """

    weights: Matrix
    bias: NDArray[np.float64]


class _Probe:
    """Logistic regression on part of the examples; each penalty's fit starts from the previous one's solution."""

    def __init__(self, inputs: Matrix, label: NDArray[np.int64], num_classes: int) -> None:
        # A class without an example here has no weights and probability zero.
        self.classes, place = np.unique(label, return_inverse=True)
        self.mean, self.num_classes = inputs.mean(axis=0), num_classes
        # The features are along the principal axes of all examples, hence nearly along those of a part of them.
        self.problem = SoftmaxFit(
            inputs - self.mean, place, len(self.classes), tolerance=TOLERANCE, max_steps=MAX_STEPS
        )
        self.weights, self.bias = self.problem.start()

    def begin(self, line: _Line) -> None:
        """Start the next fit at a solution on other examples."""
        self.weights = line.weights[:, self.classes].astype(np.float32)
        bias = line.bias[self.classes] + self.mean @ line.weights[:, self.classes]
        known = np.isfinite(bias)
        bias[~known] = bias[known].min()
        self.bias = (bias - bias.mean()).astype(np.float32)

    def fit(self, penalty: float) -> None:
        """Fit with a penalty, from the last solution."""
        self.weights, self.bias = self.problem.solve(penalty / len(self.problem.label), self.weights, self.bias)

    @property
    def line(self) -> _Line:
        """The last solution, for all classes and inputs that are not centred."""
        weights, bias = np.zeros((len(self.weights), self.num_classes)), np.full(self.num_classes, -np.inf)
        weights[:, self.classes] = self.weights
        bias[self.classes] = self.bias - self.mean @ weights[:, self.classes]
        return _Line(weights, bias)

    def probs(self, inputs: Matrix) -> Matrix:
        """[B, K]."""
        line = self.line
        probs: Matrix = softmax(inputs @ line.weights + line.bias, axis=1)
        return probs


def _penalties(
    inputs: Matrix, label: NDArray[np.int64], num_classes: int, fold: NDArray[np.int64]
) -> dict[int, tuple[float, _Line]]:
    """By fold, the penalty with the lowest log-loss on its two neighbours, and the fit with it without one of them."""
    numbers, truth = np.unique(fold).tolist(), torch.from_numpy(label)
    # Of every example, by fold left out and penalty, its loss; infinite where a path has ended.
    losses = {number: np.full((len(PENALTIES), len(label)), np.inf) for number in numbers}
    lines = dict[tuple[int, int], _Line]()
    for first, second in itertools.pairwise([*numbers, numbers[0]]):
        held = (fold == first) | (fold == second)
        model, others = _Probe(inputs[~held], label[~held], num_classes), {first: fold == second, second: fold == first}
        for place, penalty in enumerate(PENALTIES):
            model.fit(penalty)
            lines[first, place] = model.line
            loss = np.zeros(len(label))
            loss[held] = log_loss(torch.from_numpy(model.probs(inputs[held])), truth[held]).numpy()
            for without, rows in others.items():
                losses[without][place, rows] = loss[rows]
            if place and all(
                losses[without][place, rows].mean() > losses[without][place - 1, rows].mean()
                for without, rows in others.items()
            ):
                break
    chosen = {}
    for place, number in enumerate(numbers):
        neighbours = np.isin(fold, [numbers[place - 1], numbers[(place + 1) % len(numbers)]])
        means = losses[number][:, neighbours].mean(axis=1)
        rises = np.flatnonzero(means[1:] > means[:-1])
        best = int(rises[0]) if len(rises) else len(PENALTIES) - 1
        chosen[number] = PENALTIES[best], lines[number, best]
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """Centred coordinates of the examples along their principal axes.

    A linear model with an intercept and a squared penalty depends on the inputs through inner products of differences
    only, so that its predictions do not change: 300 texts need 300 coordinates instead of 250,000. Where there are more
    than `FEW_AXES` axes, those of least variance that together hold `LEFT_OUT` of the variance are dropped.

    Args:
        values: [V, R], the largest variance last.
    """

    values: Float[np.ndarray, "V R"]

    @classmethod
    def of(cls, features: Any) -> "Coordinates":
        """The coordinates of features, computed once for several probes.

        Args:
            features: [V, D], an array or a scipy sparse matrix; coordinates are returned as they are.

        Example:
            >>> row = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
            >>> Coordinates.of(row + 5).values.shape
            (4, 2)
        """
        from threadpoolctl import threadpool_limits

        if isinstance(features, Coordinates):
            return features
        # The same bits whatever the number of threads.
        with threadpool_limits(1, "blas"):
            return cls(_turned(features))


def _turned(features: Any) -> Matrix:
    """Rotated to the principal axes, the least of many dropped."""
    num, dense = features.shape[0], not hasattr(features, "toarray")
    # Of many axes single precision is enough, in half the time: the axes are only those along which a solver steps.
    kind: Any = np.float32 if min(features.shape) > FEW_AXES else np.float64
    if dense:
        features = np.asarray(features, dtype=np.float64)
        features = features - features.mean(axis=0)
    if dense and features.shape[1] <= num:
        features = features.astype(kind)
        variances, axes = np.linalg.eigh(features.T @ features)
        turned = (features @ axes).astype(np.float64)
    else:
        products = features @ features.T
        products = np.asarray(products if dense else products.toarray(), dtype=np.float64)
        products -= products.mean(axis=0)
        products -= products.mean(axis=1, keepdims=True)
        variances, vectors = np.linalg.eigh(products.astype(kind))
        turned = (vectors * np.sqrt(np.maximum(variances, 0))).astype(np.float64)
    needed = np.cumsum(variances) > LEFT_OUT * variances.sum()
    needed[-FEW_AXES:] = True
    return turned[:, needed]
