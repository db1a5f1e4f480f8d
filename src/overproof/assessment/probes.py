"""What small linear models see in the inputs: the label, and where the teacher errs. Every answer is out of fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import rankdata
from torch import Tensor

from overproof.cross_fitting import folds
from overproof.noise import log_loss
from overproof.seeds import derived_seed

NUM_RESAMPLES = 400
"""Bootstrap resamples of the labelled examples behind an interval."""

FEWEST = 15
"""Right and wrong answers that there must be of each, for a probe to say anything."""

PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
"""Of half the squared weights, beside the sum of the losses: the strongest first."""

FEW_AXES = 300
"""Coordinates that a probe is always given."""

LEFT_OUT = 0.01
"""Of the variance of the inputs, where they need more coordinates."""

TOLERANCE = 1e-4
"""Where a fit ends: the largest entry of the preconditioned gradient of the mean loss."""

MAX_STEPS = 300
"""Where it ends without."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorProbe:
    """How well the teacher's mistakes can be told from its right answers, each with a 95 % interval.

    An area of .5 is a coin's, 1 tells every mistake from every right answer: it is the chance that a mistake drawn at
    random looks more like one than a right answer drawn at random.

    Args:
        by_margin: Area under the curve of the teacher's own margin: (mean, low, high).
        by_inputs: Of a linear model that sees the inputs and the margin.
        difference: The second less the first.
    """

    by_margin: tuple[float, float, float]
    by_inputs: tuple[float, float, float]
    difference: tuple[float, float, float]

    @property
    def follows_from_inputs(self) -> bool:
        """Whether the inputs say more of the mistakes than the margin does."""
        return self.difference[1] > 0

    def sentence(self) -> str:
        """What it means for the choice of a method."""
        mean, low, high = self.by_inputs
        told = f"area under the curve {mean:.2f} [{low:.2f}, {high:.2f}], by the margin alone {self.by_margin[0]:.2f}"
        if self.follows_from_inputs:
            return (
                f"A linear probe tells from the inputs where the teacher errs, better than its margin does ({told}): "
                f"that part of the mistakes is systematic, and no noise model that sees the margin alone mends it."
            )
        return (
            f"From the inputs a linear probe does not tell the teacher's mistakes better than its margin does "
            f"({told}): given the margin they look random, which is what noise models assume."
        )


def error_probe(features: Any, wrong: Bool[Tensor, "V"], margin: Float[Tensor, "V"], seed: int) -> ErrorProbe | None:
    """Can a linear model tell from the inputs where the teacher errs?

    Args:
        features: [V, D], an array or a scipy sparse matrix.
        wrong: [V], whether the teacher's likeliest class is not the label.
        margin: [V], the teacher's margins.
        seed: Draws folds and resamples.

    Returns:
        None with too few mistakes or right answers.
    """
    num_wrong = int(wrong.sum())
    if min(num_wrong, len(wrong) - num_wrong) < FEWEST:
        return None
    seen = _coordinates(features)
    # One column as large as all the others, so that the penalty does not hide the margin from the model.
    size = float(np.sqrt((seen**2).sum() / len(seen))) or 1.0
    own = (margin.double().numpy() - margin.double().mean().item()) / (margin.double().std().item() or 1.0)
    told = probe(np.column_stack([seen, size * own]), wrong.long(), 2, seed)[:, 1].numpy()
    scores, mistake = {"margin": -margin.double().numpy(), "inputs": told}, wrong.numpy()
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "error probe")))
    areas: dict[str, list[float]] = {word: [] for word in scores}
    for number in range(NUM_RESAMPLES + 1):
        rows = np.arange(len(mistake)) if number == 0 else generator.integers(len(mistake), size=len(mistake))
        if 0 < mistake[rows].sum() < len(rows):
            for word, score in scores.items():
                areas[word].append(area_under_curve(score[rows], mistake[rows]))
    by_margin, by_inputs = np.array(areas["margin"]), np.array(areas["inputs"])
    return ErrorProbe(
        by_margin=_interval(by_margin), by_inputs=_interval(by_inputs), difference=_interval(by_inputs - by_margin)
    )


def area_under_curve(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """P(a positive scores higher than a negative), ties counting half.

    Example:
        >>> area_under_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
        0.875
    """
    num = int(positive.sum())
    ranks = rankdata(score)[positive].sum()
    return float((ranks - num * (num + 1) / 2) / (num * (len(positive) - num)))


def _interval(areas: NDArray[np.float64]) -> tuple[float, float, float]:
    """As counted, and the middle 95 % of the resamples."""
    low, high = np.quantile(areas[1:], (0.025, 0.975))
    return float(areas[0]), float(low), float(high)


def probe(features: Any, labels: Int[Tensor, "V"], num_classes: int, seed: int) -> Float[Tensor, "V K"]:
    """What a linear model trained on the labels alone says of examples it never saw; [V, K], rows sum to one.

    Logistic regression, five folds; its penalty is chosen by the log-loss of three folds within each, from the
    strongest of `PENALTIES` on until the loss rises.

    Args:
        features: [V, D], an array or a scipy sparse matrix.
        labels: [V].
        num_classes: K.
        seed: Draws the folds.
    """
    from threadpoolctl import threadpool_limits

    # Products as small as these cost several times as much on several threads, which wait for each other.
    with threadpool_limits(1, "blas"):
        inputs, label = _coordinates(features), labels.numpy()
        fold = folds(labels, 5, derived_seed(seed, "probe")).numpy()
        probs = np.zeros((len(label), num_classes))
        for number in range(5):
            seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            penalty = _penalty(inputs[seen], label[seen], num_classes, derived_seed(seed, "probe", number))
            probs[unseen] = _Probe(inputs[seen], label[seen], num_classes).probs(penalty, inputs[unseen])
    return torch.from_numpy(probs)


def _penalty(inputs: Matrix, label: NDArray[np.int64], num_classes: int, seed: int) -> float:
    """The penalty whose models have the least log-loss on what they did not see."""
    inner = folds(torch.from_numpy(label), 3, seed).numpy()
    models = [_Probe(inputs[inner != part], label[inner != part], num_classes) for part in range(3)]
    best, least = PENALTIES[0], np.inf
    for penalty in PENALTIES:
        told = np.zeros((len(label), num_classes))
        for part, model in enumerate(models):
            told[inner == part] = model.probs(penalty, inputs[inner == part])
        loss = float(log_loss(torch.from_numpy(told), torch.from_numpy(label)).mean())
        if loss > least:
            break
        best, least = penalty, loss
    return best


class _Probe:
    """Logistic regression on some examples; a weaker penalty is fitted from where the one before it ended."""

    def __init__(self, inputs: Matrix, label: NDArray[np.int64], num_classes: int) -> None:
        from overproof.linear.heads import Problem

        # A class without an example here has no weights to be found, and no probability.
        self.classes, place = np.unique(label, return_inverse=True)
        self.mean, self.num_classes = inputs.mean(axis=0), num_classes
        centred, num = inputs - self.mean, len(label)
        self.problem = Problem(
            features=centred,
            share=np.full(num, 1 / num),
            # They lie along the principal axes of all examples, hence nearly along those of any part.
            eigenvalues=(centred**2).mean(axis=0),
            rotation=np.eye(centred.shape[1]),
            mean=self.mean,
            num_classes=len(self.classes),
            intercept=True,
            tolerance=TOLERANCE,
            max_iter=MAX_STEPS,
        )
        self.targets, self.head = self.problem.labels(place), self.problem.start()

    def probs(self, penalty: float, inputs: Matrix) -> Matrix:
        """[B, K]."""
        self.head = self.problem.solve(self.targets, penalty / len(self.problem.share), self.head)
        probs = np.zeros((len(inputs), self.num_classes))
        probs[:, self.classes] = softmax((inputs - self.mean) @ self.head.weights + self.head.bias, axis=1)
        return probs


def _coordinates(features: Any) -> Matrix:
    """The same examples, centred, along their principal axes: all of them, as far as they are needed.

    A linear model with an intercept and a squared penalty sees differences and inner products only, so that its answers
    stay where all axes do: 300 texts need 300 coordinates instead of a quarter of a million. Of more than `FEW_AXES`
    those are left out along which the examples differ least and that together hold `LEFT_OUT` of their variance.

    Args:
        features: [V, D], an array or a scipy sparse matrix.

    Returns:
        [V, r], the largest variance last.
    """
    num, dense = features.shape[0], not hasattr(features, "toarray")
    if dense:
        features = np.asarray(features, dtype=np.float64)
        features = features - features.mean(axis=0)
    if dense and features.shape[1] <= num:
        variances, axes = np.linalg.eigh(features.T @ features)
        turned = features @ axes
    else:
        products = features @ features.T
        products = np.asarray(products if dense else products.toarray(), dtype=np.float64)
        products -= products.mean(axis=0)
        products -= products.mean(axis=1, keepdims=True)
        variances, vectors = np.linalg.eigh(products)
        turned = vectors * np.sqrt(np.maximum(variances, 0))
    needed = np.cumsum(variances) > LEFT_OUT * variances.sum()
    needed[-FEW_AXES:] = True
    return turned[:, needed]
