"""Corrects a teacher's probabilities by frozen features: a softmax regression with the teacher as an offset."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.cross_fitting import answers_by_role, folds, out_of_fold
from overproof.errors import InputError
from overproof.functional.repeats import Repeats
from overproof.noise.stacking import folds_of_stack, log_loss, log_probs
from overproof.noise.transition import check_labelled

ADAPTER = "adapter"
"""The name of a teacher that corrects another one by `adapt`."""

PENALTIES = (math.inf, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Penalties that cross-validation tries, from the strongest; infinite leaves the features out."""

_PRIOR = 1.0
"""Curvature of the prior on power and biases, as a number of examples: as in `stack`."""

_SOLVER: Any = {"maxiter": 1000, "ftol": 1e-11, "gtol": 1e-5}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Adapter:
    """p(class | x) in proportion to p_teacher^power * exp(weight . features + bias).

    Args:
        power: Not negative; 0 ignores the teacher.
        weight: [D, K], of standardised features.
        bias: [K], one per class.
        mean: [D], of the features on the labelled examples.
        scale: Root mean square distance of the features from their mean there.
        penalty: The penalty of the weights; infinite where the features are left out.
    """

    power: float
    weight: Float64[Tensor, "D K"]
    bias: Float64[Tensor, "K"]
    mean: Float64[Tensor, "D"]
    scale: float
    penalty: float

    def __call__(self, probs: Float[Tensor, "N K"], features: Float[Tensor, "N D"]) -> Float64[Tensor, "N K"]:
        """The corrected probabilities.

        Args:
            probs: [N, K], of the teacher; those below 1e-7 count as 1e-7.
            features: [N, D], of the same examples.
        """
        z = (features.double() - self.mean) / self.scale
        return (self.power * log_probs(probs) + z @ self.weight + self.bias).softmax(dim=1)

    def summary(self) -> dict[str, Any]:
        """Power, biases and penalty as values for JSON."""
        return {
            "power": round(self.power, 4),
            "bias": [round(each, 4) for each in self.bias.tolist()],
            "penalty": None if math.isinf(self.penalty) else self.penalty,
        }


def adapt(
    probs: Float[Tensor, "V K"],
    features: Float[Tensor, "_ D"],
    label: Int[Tensor, "V"],
    *,
    seed: int,
    repeats: Repeats | None = None,
) -> Adapter:
    """Fit power, biases and weights of the features by penalised maximum likelihood; the penalty by cross-validation.

    Minimises the sum of -log p(label) + penalty/2 ||weight||^2 + 1/2 (power - 1)^2 + 1/2 ||bias||^2 over labelled
    examples, a convex problem: with few labels the answers stay near the teacher's. Of nine penalties, of which one
    leaves the features out, the one with the least log-loss over five folds is used.

    Args:
        probs: [V, K], the teacher's, **out of sample** on these examples.
        features: [V, D], of any frozen encoder.
        label: [V], the true classes.
        seed: Draws the folds.
        repeats: Of the examples: each content counts once, those of a group are in one fold.

    Example:
        The teacher confuses the classes where the feature is positive.

        >>> teacher = torch.tensor([[0.9, 0.1], [0.1, 0.9]] * 50)
        >>> feature = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]] * 25)
        >>> label = torch.tensor([0, 1, 0, 0] * 25)
        >>> found = adapt(teacher, feature, label, seed=0)
        >>> found(teacher[:4], feature[:4]).argmax(dim=1).tolist()
        [0, 1, 0, 0]

    Raises:
        InputError: Fewer than two examples, sizes that differ, or a label that is not a class.

    Source: kin of Residual-as-Teacher (arXiv 2603.25466); ridge softmax regression with an offset.
    """
    check_labelled(label, probs)
    if len(features) != len(label):
        raise InputError(f"features has {len(features)} rows, but there are {len(label)} labels; give one row each.")
    repeats = Repeats.none(len(label)) if repeats is None else repeats
    if repeats.any:
        once = repeats.once
        probs, features, label, repeats = probs[once], features[once], label[once], repeats.take(once)
    best = math.inf
    if repeats.num_groups >= 2:
        fold = folds(label, min(5, repeats.num_groups), seed, repeats.group)
        inside = [fold != each for each in fold.unique()]
        paths = [_path(probs[some], features[some], label[some]) for some in inside]
        least = math.inf
        for fitted in zip(*paths, strict=True):
            held_out = [
                log_loss(one(probs[~some], features[~some]), label[~some])
                for one, some in zip(fitted, inside, strict=True)
            ]
            loss = torch.cat(held_out).sum().item()
            if loss < least:
                least, best = loss, fitted[0].penalty
    return next(found for found in _path(probs, features, label) if found.penalty == best)


def adapted_by_role(
    probs: Mapping[str, Float[Tensor, "_ _"]],
    features: Mapping[str, Float[Tensor, "_ _"]],
    label: Mapping[str, Int[Tensor, "_"]],
    *,
    seed: int,
    repeats: Repeats | None = None,
) -> tuple[dict[str, Float64[Tensor, "_ _"]], Adapter]:
    """One adapter for several sets of examples, out of fold on those with labels, which it is fitted on.

    Args:
        probs: The teacher's probabilities by set, out of sample.
        features: Of the same examples.
        label: The labels of the sets that the adapter is fitted on, two or more in all.
        seed: Draws the folds.
        repeats: Of the examples with labels, set after set; examples of a group are in one fold.

    Returns:
        The answers by set, and the adapter fitted on all labels.

    Raises:
        InputError: As in `adapt`.
    """
    joined, truth = torch.cat([probs[role] for role in label]), torch.cat(list(label.values()))
    given = torch.cat([features[role] for role in label])
    repeats = Repeats.none(len(truth)) if repeats is None else repeats

    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        found = adapt(joined[rows], given[rows], truth[rows], seed=seed, repeats=repeats.take(rows))
        return lambda held_out: found(joined[held_out], given[held_out])

    held_out = out_of_fold(fit, folds(truth, folds_of_stack(repeats), seed, repeats.group))
    found = adapt(joined, given, truth, seed=seed, repeats=repeats)
    return answers_by_role(held_out, label, probs, lambda role: found(probs[role], features[role])), found


def _path(probs: Tensor, features: Tensor, label: Tensor) -> Iterator[Adapter]:
    """The adapters of all penalties, from the strongest, each started from the one before."""
    # Here, because it is a third of the package's import time.
    from scipy.optimize import minimize

    given = features.double()
    mean = given.mean(dim=0)
    centred = given - mean
    scale = centred.square().sum(dim=1).mean().sqrt().item() or 1.0
    # Ridge does not depend on the axes: with fewer examples than features their principal axes are enough.
    axes = torch.linalg.svd(centred / scale, full_matrices=False)
    kept = 1e-9 * axes.S.max().clamp(min=1e-30) < axes.S
    z, back = (axes.U * axes.S)[:, kept].numpy(), axes.Vh[kept]
    offset, truth = log_probs(probs).numpy(), label.numpy()
    (num, num_classes), width = offset.shape, z.shape[1]
    rows = np.arange(num)

    def objective(x: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        power, bias, weight = x[0], x[1 : 1 + num_classes], x[1 + num_classes :].reshape(-1, num_classes)
        used = z if len(weight) else z[:, :0]
        logits = power * offset + bias + used @ weight
        top = logits.max(axis=1, keepdims=True)
        exp = np.exp(logits - top)
        total = exp.sum(axis=1, keepdims=True)
        residual = exp / total
        loss = (np.log(total[:, 0]) + top[:, 0] - logits[rows, truth]).sum()
        residual[rows, truth] -= 1
        loss += _PRIOR / 2 * ((power - 1) ** 2 + bias @ bias)
        gradient = np.empty_like(x)
        gradient[0] = (residual * offset).sum() + _PRIOR * (power - 1)
        gradient[1 : 1 + num_classes] = residual.sum(axis=0) + _PRIOR * bias
        if len(weight):
            loss += penalty / 2 * np.vdot(weight, weight)
            gradient[1 + num_classes :] = (used.T @ residual + penalty * weight).ravel()
        return float(loss), gradient

    x = np.concatenate([[1.0], np.zeros(num_classes)])
    for penalty in PENALTIES:
        if not math.isinf(penalty) and len(x) == 1 + num_classes:
            x = np.concatenate([x, np.zeros(width * num_classes)])
        x = minimize(
            functools.partial(objective, penalty=penalty),
            x,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] + [(None, None)] * (len(x) - 1),
            options=_SOLVER,
        ).x
        inner = torch.from_numpy(x[1 + num_classes :].reshape(-1, num_classes))
        weight = back.T @ inner if len(inner) else torch.zeros(given.shape[1], num_classes, dtype=torch.float64)
        yield Adapter(
            power=float(x[0]),
            weight=weight,
            bias=torch.from_numpy(x[1 : 1 + num_classes].copy()),
            mean=mean,
            scale=scale,
            penalty=penalty,
        )
