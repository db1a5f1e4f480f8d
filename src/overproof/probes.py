"""What small linear models see in the inputs: the label, and where the teacher errs. Every answer is out of fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from overproof.noise import folds
from overproof.sampler import derived_seed

NUM_RESAMPLES = 400
"""Bootstrap resamples of the labelled examples behind an interval."""

FEWEST = 15
"""Right and wrong answers that there must be of each, for a probe to say anything."""


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
    dense = np.asarray(seen.toarray() if hasattr(seen, "toarray") else seen, dtype=np.float64)
    # One column as large as all the others, so that the penalty does not hide the margin from the model.
    size = float(np.sqrt((dense**2).sum() / len(dense))) or 1.0
    own = (margin.double().numpy() - margin.double().mean().item()) / (margin.double().std().item() or 1.0)
    told = probe(np.column_stack([dense, size * own]), wrong.long(), 2, seed)[:, 1].numpy()
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

    Logistic regression, five folds, its regularisation chosen by cross-validation within each.

    Args:
        features: [V, D], an array or a scipy sparse matrix.
        labels: [V].
        num_classes: K.
        seed: Draws the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    features = _coordinates(features)
    fold = folds(labels, 5, derived_seed(seed, "probe")).numpy()
    label, probs = labels.numpy(), torch.zeros(len(labels), num_classes, dtype=torch.float64)
    for number in range(5):
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        model: Any = LogisticRegression(max_iter=1000)
        fewest = int(np.unique(label[seen], return_counts=True)[1].min())
        if fewest >= 2:
            inner = StratifiedKFold(min(fewest, 3), shuffle=True, random_state=seed % 2**32)
            model = GridSearchCV(model, {"C": [0.1, 1.0, 10.0, 100.0]}, scoring="neg_log_loss", cv=inner)
        model.fit(features[seen], label[seen])
        told = torch.from_numpy(model.predict_proba(features[unseen]).astype(np.float64))
        probs[torch.from_numpy(unseen)[:, None], torch.from_numpy(model.classes_).long()[None, :]] = told
    return probs


def _coordinates(features: Any) -> Any:
    """The same examples in as many coordinates as there are examples, where they have more: all inner products stay.

    A linear model with a squared penalty sees inner products only, so its answers stay too, and 300 texts need 300
    coordinates instead of a quarter of a million.
    """
    if features.shape[1] <= features.shape[0]:
        return features
    products = features @ features.T
    values, vectors = np.linalg.eigh(products.toarray() if hasattr(products, "toarray") else products)
    return vectors * np.sqrt(np.maximum(values, 0))
