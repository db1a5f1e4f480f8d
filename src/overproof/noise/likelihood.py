"""P(the teacher's answer | true class): by the transition matrix, or conditional on margin and entropy too."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from overproof.cross_fitting import folds, out_of_fold
from overproof.functional import SMALLEST_PROBABILITY, margin, transition_likelihood
from overproof.functional.repeats import Repeats, standard_error
from overproof.noise.transition import transition_matrix

PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0)
"""Penalties that cross-validation chooses from, beside leaving the covariates out."""

CONSTANT = 1e-6
"""A covariate that varies less is constant, and used by no model."""


@runtime_checkable
class LikelihoodRule(Protocol):
    """P(the teacher's answer | true class) of every example."""

    def __call__(self, teacher_probs: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """For each example and class, the probability of the answer's most likely class."""
        ...

    def to(self, device: torch.device) -> "LikelihoodRule":
        """The same on another device."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TransitionLikelihood:
    """By the transition matrix alone: a class's confusions are the same at every margin.

    Args:
        transition: [K, K], P(pseudo-label j | class i); rows sum to one.
    """

    transition: Float[Tensor, "K K"]

    def __call__(self, teacher_probs: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        return transition_likelihood(teacher_probs.argmax(dim=1), self.transition)

    def to(self, device: torch.device) -> "TransitionLikelihood":
        """The same on another device."""
        return TransitionLikelihood(transition=self.transition.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConditionalLikelihood:
    """By a multinomial logistic model: softmax over j of log T_ij + u_j·z(x) + [i = j] v·z(x).

    z(x) are the standardised covariates. v sharpens or flattens the teacher's accuracy with its certainty, u makes some
    answers more frequent; both zero give the transition matrix.

    Args:
        transition: [K, K], T[i, j] = P(pseudo-label j | class i), all positive; rows sum to one.
        by_answer: [C, K], u.
        by_match: [C], v.
        mean: [C], of the covariates on the labelled examples.
        scale: [C], their standard deviations; 1 where a covariate is constant.
        penalty: The penalty of the fit.
    """

    transition: Float[Tensor, "K K"]
    by_answer: Float[Tensor, "C K"]
    by_match: Float[Tensor, "C"]
    mean: Float[Tensor, "C"]
    scale: Float[Tensor, "C"]
    penalty: float

    def __call__(self, teacher_probs: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        z = (covariates(teacher_probs).to(self.mean) - self.mean) / self.scale
        return _log_likelihood(teacher_probs.argmax(dim=1), z, self.transition, self.by_answer, self.by_match).exp()

    def to(self, device: torch.device) -> "ConditionalLikelihood":
        """The same on another device."""
        return replace(
            self,
            transition=self.transition.to(device),
            by_answer=self.by_answer.to(device),
            by_match=self.by_match.to(device),
            mean=self.mean.to(device),
            scale=self.scale.to(device),
        )


def covariates(teacher_probs: Float[Tensor, "B K"]) -> Float[Tensor, "B C"]:
    """The teacher's margin, and its entropy divided by log K; both in [0, 1].

    Example:
        >>> covariates(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    entropy = torch.special.entr(teacher_probs).sum(dim=1) / math.log(teacher_probs.shape[1])
    return torch.stack((margin(teacher_probs), entropy), dim=1)


def conditional_likelihood(
    teacher_probs: Float[Tensor, "V K"],
    label: Int[Tensor, "V"],
    *,
    prior: float = 4.0,
    seed: int = 0,
    repeats: Repeats | None = None,
) -> ConditionalLikelihood | TransitionLikelihood:
    """Fit the likelihood on labelled examples; cross-validation chooses the penalty, or the transition matrix alone.

    Minimises the sum over examples of -log P(pseudo-label | label, x) plus penalty / 2 times the squared coefficients,
    given the transition matrix. The covariates are used if they lower the log-loss out of fold by more than one
    standard error.

    Args:
        teacher_probs: [V, K], **out of sample**.
        label: [V], true classes.
        prior: Imaginary examples in every row of the transition matrix, above 0.
        seed: Decides the folds.
        repeats: Of the examples: each content counts once, groups are in one fold, and standard errors count them.

    Example:
        A teacher that is right where its margin is large, and guesses where it is small.

        >>> sure, unsure = torch.tensor([0.95, 0.05]), torch.tensor([0.55, 0.45])
        >>> answers = torch.stack([sure, sure.flip(0)] * 20 + [unsure] * 40)
        >>> rule = conditional_likelihood(answers, torch.tensor([0, 1]).repeat(40))
        >>> likelihood = rule(torch.stack([sure, unsure]))
        >>> bool(likelihood[0, 0] > 0.9), bool(likelihood[0, 1] < 0.2), bool(likelihood[1, 1] > 0.6)
        (True, True, True)

    Source: derived; multinomial logistic regression with the transition matrix as offset.
    """
    assert prior > 0, "the model takes the logarithm of every entry"
    repeats = Repeats.none(len(label)) if repeats is None else repeats
    if repeats.any:
        once = repeats.once
        teacher_probs, label, repeats = teacher_probs[once], label[once], repeats.take(once)
    label = label.long()
    plain = TransitionLikelihood(transition=transition_matrix(label, teacher_probs, prior))
    found = covariates(teacher_probs.double())
    if repeats.num_groups < 10 or bool((found.amax(dim=0) - found.amin(dim=0) < CONSTANT).all()):
        return plain
    fold = folds(label, 5, seed, repeats.group)

    def losses(penalty: float) -> Tensor:
        def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
            rule = _fitted(teacher_probs[rows], label[rows], prior, penalty)
            return lambda held_out: rule(teacher_probs[held_out])

        likelihood = out_of_fold(fit, fold).double()
        return -likelihood.gather(1, label.unsqueeze(1)).clamp(min=SMALLEST_PROBABILITY).log().squeeze(1)

    without = losses(math.inf)
    by_penalty = {penalty: losses(penalty) for penalty in PENALTIES}
    best = min(PENALTIES, key=lambda penalty: by_penalty[penalty].mean().item())
    gain = without - by_penalty[best]
    if gain.mean().item() <= standard_error(gain, repeats):
        return plain
    return _fitted(teacher_probs, label, prior, best)


def _fitted(
    teacher_probs: Tensor, label: Tensor, prior: float, penalty: float
) -> ConditionalLikelihood | TransitionLikelihood:
    transition = transition_matrix(label, teacher_probs, prior)
    if math.isinf(penalty):
        return TransitionLikelihood(transition=transition)
    found = covariates(teacher_probs.double())
    mean, scale = found.mean(dim=0), found.std(dim=0, unbiased=False)
    scale = scale.where(scale > CONSTANT, 1.0)
    z, named = (found - mean) / scale, teacher_probs.argmax(dim=1)
    num_classes, width = transition.shape[0], z.shape[1]
    coefficients = torch.zeros(width * num_classes + width, dtype=torch.float64, requires_grad=True)
    offset = transition.double()

    def parts() -> tuple[Tensor, Tensor]:
        return coefficients[: width * num_classes].view(width, num_classes), coefficients[width * num_classes :]

    optimizer = torch.optim.LBFGS([coefficients], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        log_likelihood = _log_likelihood(named, z, offset, *parts()).gather(1, label.unsqueeze(1))
        value = penalty / 2 * coefficients.square().sum() - log_likelihood.sum()
        value.backward()
        return value.detach()

    optimizer.step(objective)
    by_answer, by_match = (each.detach().float() for each in parts())
    return ConditionalLikelihood(
        transition=transition,
        by_answer=by_answer,
        by_match=by_match,
        mean=mean.float(),
        scale=scale.float(),
        penalty=penalty,
    )


def _log_likelihood(
    pseudo_label: Tensor, z: Tensor, transition: Tensor, by_answer: Tensor, by_match: Tensor
) -> Float64[Tensor, "B K"] | Tensor:
    """log P(pseudo-label | class), [B, K], for every class; two products of [B, K] and [K, K] matrices."""
    shift, match = z @ by_answer, (z @ by_match).unsqueeze(1)
    shift = shift - shift.amax(dim=1, keepdim=True)
    diagonal = transition.diagonal()
    # The normaliser of class i: sum over j of T_ij exp(shift_j), with the term j = i multiplied by exp(match).
    total = shift.exp() @ transition.T + diagonal * shift.exp() * match.expm1()
    named = pseudo_label.unsqueeze(1)
    hit = torch.zeros_like(shift).scatter_(1, named, 1.0)
    score = transition.T.index_select(0, pseudo_label).log() + shift.gather(1, named) + hit * match
    return score - total.clamp(min=torch.finfo(torch.float32).tiny).log()
