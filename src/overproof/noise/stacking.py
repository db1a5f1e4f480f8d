"""Combines several teachers into one: a weighted geometric mean, with weights learned on labelled examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.cross_fitting import answers_by_role, folds, out_of_fold
from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY
from overproof.functional.repeats import Repeats
from overproof.noise.transition import check_labelled

NUM_FOLDS = 10
"""Folds of labelled examples for out-of-sample answers of a stack."""

Scores = Sequence[Float[Tensor, "_ _"]]
"""One array of probabilities [N, K] for each scorer, aligned by rows and columns."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stacking:
    """p(class) in proportion to exp(bias) times the product of the scorers' probabilities, each to its own power.

    Args:
        weight: [S], the powers, not negative; 0 ignores a scorer, 1 leaves it unchanged, more sharpens it.
        weight_low: [S], lower ends of the 95 % intervals of the weights.
        weight_high: [S], their upper ends.
        bias: [K], one per class; zeros if none is fitted.
    """

    weight: Float64[Tensor, "S"]
    weight_low: Float64[Tensor, "S"]
    weight_high: Float64[Tensor, "S"]
    bias: Float64[Tensor, "K"]

    def __call__(self, scores: Scores) -> Float64[Tensor, "N K"]:
        """The stack's probabilities.

        Args:
            scores: S arrays [N, K]; probabilities below 1e-7 count as 1e-7.
        """
        assert len(scores) == len(self.weight)
        return (_log_probs(scores) @ self.weight + self.bias).softmax(dim=1)

    def summary(self) -> dict[str, Any]:
        """Weights, intervals and biases as values for JSON."""
        weights = zip(self.weight.tolist(), self.weight_low.tolist(), self.weight_high.tolist(), strict=True)
        return {
            "weights": [
                {"weight": round(w, 4), "low": round(low, 4), "high": round(high, 4)} for w, low, high in weights
            ],
            "bias": [round(each, 4) for each in self.bias.tolist()],
        }


def stack(
    scores: Scores,
    label: Int[Tensor, "_"],
    *,
    bias: bool = False,
    penalty: float = 1.0,
    repeats: Repeats | None = None,
) -> Stacking:
    """Fit the weights of a stack by penalised maximum likelihood.

    Minimises the sum over labelled examples of -log p(label), plus `penalty`/2 times the squared distance of the
    weights from 1/S and of the biases from 0: with few labels the stack stays near the geometric mean of the scorers,
    and a single scorer stays near its own probabilities. The problem is convex. The intervals are normal, from the
    curvature at the optimum, cut at 0.

    Args:
        scores: S arrays [V, K] of probabilities, every one **out of sample** on these examples; those below 1e-7 count
            as 1e-7.
        label: [V], the true classes.
        bias: Whether every class gets a bias of its own: for scorers that share wrong class frequencies, or that each
            include the same prior.
        penalty: Above 0; strength of the prior, as a number of examples.
        repeats: Of the examples: each content counts once, and the intervals count independent examples.

    Example:
        The first scorer has probability .9 and is always right, the second always has .5.

        >>> sure, idle = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).repeat(50, 1), torch.full((100, 2), 0.5)
        >>> fitted = stack([sure, idle], torch.tensor([0, 1]).repeat(50))
        >>> fitted.weight[0].item() > 1, round(fitted.weight[1].item(), 3)
        (True, 0.5)

    Raises:
        InputError: No scorers, no examples, sizes that differ, a label that is not a class, or a `penalty` not above 0.

    Source: Wolpert (1992), Stacked generalization, Neural Networks 5; Breiman (1996), Stacked regressions, Machine
        Learning 24 (weights that are not negative); Heskes (1998), Selecting weighting factors in logarithmic opinion
        pools, NIPS 10 (the product).
    """
    # Here, because it is a third of the package's import time.
    from scipy.optimize import minimize

    if not scores:
        raise InputError("scores is empty; a stack needs at least one scorer.")
    if not 0 < penalty < float("inf"):
        raise InputError(f"penalty is {penalty}; it must be above 0.")
    for each in scores:
        check_labelled(label, each)
        if each.shape != scores[0].shape:
            raise InputError(
                f"The scorers of a stack answer with shapes {tuple(scores[0].shape)} and {tuple(each.shape)}; they "
                f"must be the same."
            )
    information = 1.0
    if repeats is not None and repeats.any:
        once = repeats.once
        scores, label, information = [e[once] for e in scores], label[once], repeats.num_independent / len(once)
    log_probs, truth = _log_probs(scores).numpy(), label.cpu().numpy()
    num_examples, num_classes, num_scorers = log_probs.shape
    start = np.concatenate([np.full(num_scorers, 1 / num_scorers), np.zeros(num_classes if bias else 0)])
    rows = np.arange(num_examples)

    def probs_at(point: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Probabilities [V, K] and the sum of -log p(label)."""
        logits = log_probs @ point[:num_scorers]
        if bias:
            logits = logits + point[num_scorers:]
        logits -= logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return np.exp(logits - total), float((total[:, 0] - logits[rows, truth]).sum())

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        probs, loss = probs_at(point)
        residual = probs.copy()
        residual[rows, truth] -= 1
        slope = np.einsum("vk,vks->s", residual, log_probs)
        if bias:
            slope = np.concatenate([slope, residual.sum(axis=0)])
        away = point - start
        return loss + penalty / 2 * float(away @ away), slope + penalty * away

    bounds: list[tuple[float | None, float | None]] = [(0.0, None)] * num_scorers + [(None, None)] * (
        len(start) - num_scorers
    )
    options: Any = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8}
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    deviation = np.sqrt(np.diag(np.linalg.inv(_curvature(probs_at(best)[0], log_probs, bias, penalty, information))))[
        :num_scorers
    ]
    weight = best[:num_scorers]
    return Stacking(
        weight=torch.from_numpy(weight.copy()),
        weight_low=torch.from_numpy((weight - 1.96 * deviation).clip(min=0)),
        weight_high=torch.from_numpy(weight + 1.96 * deviation),
        bias=torch.from_numpy(best[num_scorers:].copy() if bias else np.zeros(num_classes)),
    )


def stacked_out_of_fold(
    scores: Scores,
    label: Int[Tensor, "V"],
    *,
    seed: int,
    bias: bool = False,
    penalty: float = 1.0,
    repeats: Repeats | None = None,
) -> Float64[Tensor, "V K"]:
    """A stack's answers on the examples that its weights are fitted on, each by weights fitted without its fold.

    Args:
        scores: S arrays [V, K], out of sample.
        label: [V], the true classes, at least two of them.
        seed: Draws the ten folds (as many as there are examples, or groups, where those are fewer).
        bias: As in `stack`.
        penalty: As in `stack`.
        repeats: As in `stack`; examples of a group are in one fold.

    Example:
        >>> probs = torch.tensor([[0.8, 0.2], [0.3, 0.7]]).repeat(10, 1)
        >>> answers = stacked_out_of_fold([probs], torch.tensor([0, 1]).repeat(10), seed=0)
        >>> answers.shape, (answers.argmax(dim=1) == probs.argmax(dim=1)).all().item()
        (torch.Size([20, 2]), True)

    Raises:
        InputError: As in `stack`, or fewer than two examples.
    """
    repeats = Repeats.none(len(label)) if repeats is None else repeats
    num_folds = folds_of_stack(repeats)

    def fit(rows: Tensor) -> Any:
        once = repeats.counted(rows)
        fitted = stack([each[once] for each in scores], label[once], bias=bias, penalty=penalty)
        return lambda held_out: fitted([each[held_out] for each in scores])

    return out_of_fold(fit, folds(label, num_folds, seed, repeats.group))


def folds_of_stack(repeats: Repeats) -> int:
    """Number of folds that a stack of these examples is judged in: ten, or as many as there are examples or groups.

    Args:
        repeats: Of the examples.

    Raises:
        InputError: There are fewer than two.
    """
    if (num := repeats.num_groups) < 2:
        raise InputError(
            f"A stack is judged on labelled examples out of fold; {num} (repeated content, or a group, counts once) "
            f"are too few, 2 are needed."
        )
    return min(NUM_FOLDS, num)


def stack_by_role(
    scores: Sequence[Mapping[str, Float[Tensor, "_ _"]]],
    label: Mapping[str, Int[Tensor, "_"]],
    *,
    seed: int,
    bias: bool = False,
    penalty: float = 1.0,
    repeats: Repeats | None = None,
) -> tuple[dict[str, Float64[Tensor, "_ _"]], Stacking]:
    """One stack for several sets of examples: out of fold on those with labels, which it is fitted on.

    Args:
        scores: For each scorer its probabilities by set, out of sample.
        label: The labels of the sets that the stack is fitted on.
        seed: As in `stacked_out_of_fold`.
        bias: As in `stack`.
        penalty: As in `stack`.
        repeats: As in `stacked_out_of_fold`, of the examples with labels, set after set.

    Returns:
        Its answers by set, and the stack fitted on all labels.

    Example:
        >>> probs = torch.tensor([[0.8, 0.2], [0.3, 0.7]]).repeat(10, 1)
        >>> labels = {"labelled": torch.tensor([0, 1]).repeat(10)}
        >>> answers, fitted = stack_by_role([{"labelled": probs, "pool": probs[:5]}] * 2, labels, seed=0)
        >>> torch.equal(answers["pool"], fitted([probs[:5], probs[:5]])), answers["labelled"].shape
        (True, torch.Size([20, 2]))
    """
    joined = [torch.cat([each[role] for role in label]) for each in scores]
    truth = torch.cat(list(label.values()))
    fitted = stack(joined, truth, bias=bias, penalty=penalty, repeats=repeats)
    held_out = stacked_out_of_fold(joined, truth, seed=seed, bias=bias, penalty=penalty, repeats=repeats)
    return answers_by_role(held_out, label, scores[0], lambda role: fitted([e[role] for e in scores])), fitted


def log_loss(probs: Float[Tensor, "V K"], label: Int[Tensor, "V"]) -> Float64[Tensor, "V"]:
    """-log p(label) of every example, probabilities below 1e-7 counting as 1e-7.

    Example:
        >>> log_loss(torch.tensor([[0.5, 0.5]]), torch.tensor([0])).item()
        0.6931471805599453
    """
    return -probs.double().gather(1, label.long().unsqueeze(1)).clamp(min=SMALLEST_PROBABILITY).log().squeeze(1)


def log_probs(probs: Float[Tensor, "N K"]) -> Float64[Tensor, "N K"]:
    """Logarithms on the processor, without gradient; probabilities below 1e-7 count as 1e-7."""
    return probs.detach().cpu().double().clamp(min=SMALLEST_PROBABILITY).log()


def _log_probs(scores: Scores) -> Float64[Tensor, "N K S"]:
    return torch.stack([log_probs(each) for each in scores], dim=2)


def _curvature(
    probs: NDArray[np.float64], log_probs: NDArray[np.float64], bias: bool, penalty: float, information: float
) -> NDArray[np.float64]:
    """Second derivatives of the penalised objective: covariances of the scorers' log-probabilities under the stack.

    `information` is the share of the examples that is independent.
    """
    num_scorers, num_classes = log_probs.shape[2], probs.shape[1]
    centred = log_probs - np.einsum("vk,vks->vs", probs, log_probs)[:, None, :]
    weighted = probs[:, :, None] * centred
    curvature = np.zeros((num_scorers + (num_classes if bias else 0),) * 2)
    curvature[:num_scorers, :num_scorers] = np.einsum("vks,vkt->st", weighted, centred)
    if bias:
        curvature[num_scorers:, num_scorers:] = np.diag(probs.sum(axis=0)) - probs.T @ probs
        cross = weighted.sum(axis=0)
        curvature[num_scorers:, :num_scorers], curvature[:num_scorers, num_scorers:] = cross, cross.T
    return information * curvature + penalty * np.eye(len(curvature))
