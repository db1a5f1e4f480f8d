"""P(the teacher is right) by more than its margin: a logistic probe on the answer, and a curve on its score."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.cross_fitting import folds, out_of_fold
from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY, margin
from overproof.functional.repeats import Repeats, standard_error
from overproof.noise.accuracy import IsotonicAccuracy, isotonic_accuracy, lower_bound
from overproof.noise.likelihood import CONSTANT, covariates
from overproof.noise.transition import check_labelled

PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""Penalties that cross-validation chooses from."""

NUM_FOLDS = 5
"""Folds of the labelled examples, in which probes are compared with each other and with the margin alone."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrustProbe:
    """An increasing function of s(x) = bias + u·z(x) + c[predicted class] + w·features(x).

    z(x) are margin and entropy, standardised.

    Args:
        bias: A number.
        by_covariate: [2], u.
        by_class: [K], c.
        by_feature: [D], w; none without features.
        mean: [2 + D], of margin, entropy and features on the labelled examples.
        scale: [2 + D], standard deviations; for the features the root mean square distance from their mean.
        curve: Accuracy by the probability 1 / (1 + exp(-s)), fitted on probes that had not seen the example.
        penalty: Of the probe.
    """

    bias: float
    by_covariate: Float64[Tensor, "2"]
    by_class: Float64[Tensor, "K"]
    by_feature: Float64[Tensor, "D"]
    mean: Float64[Tensor, "C"]
    scale: Float64[Tensor, "C"]
    curve: IsotonicAccuracy
    penalty: float

    @property
    def lower(self) -> float:
        """The lower bound of the accuracy."""
        return self.curve.lower

    def summary(self) -> dict[str, Any]:
        """The coefficients of margin, entropy and predicted classes, and the penalty, as values for JSON."""
        return {
            "margin": round(self.by_covariate[0].item(), 4),
            "entropy": round(self.by_covariate[1].item(), 4),
            "class": [round(each, 4) for each in self.by_class.tolist()],
            "penalty": self.penalty,
        }

    def score(
        self, teacher_probs: Float[Tensor, "N K"], features: Float[Tensor, "N D"] | None = None
    ) -> Float64[Tensor, "N"]:
        """The probe's own probability that the teacher is right.

        Args:
            teacher_probs: [N, K].
            features: Of the same examples, where the probe was fitted with some.
        """
        z = (_measured(teacher_probs, features) - self.mean) / self.scale
        weight = torch.cat([self.by_covariate, self.by_feature])
        return (self.bias + z @ weight + self.by_class[teacher_probs.argmax(dim=1).cpu()]).sigmoid()

    def __call__(
        self, teacher_probs: Float[Tensor, "N K"], features: Float[Tensor, "N D"] | None = None
    ) -> Float32[Tensor, "N"]:
        """P(the pseudo-label is right) of every answer, on the device of the answers."""
        return self.curve(self.score(teacher_probs, features)).to(teacher_probs.device)


def trust_probe(
    teacher_probs: Float[Tensor, "V K"],
    label: Int[Tensor, "V"],
    features: Float[Tensor, "_ D"] | None = None,
    *,
    prior: float = 4.0,
    lower: float | None = None,
    seed: int = 0,
    repeats: Repeats | None = None,
) -> TrustProbe | None:
    """Fit a logistic probe on margin, entropy, predicted class and perhaps features, and an increasing curve on it.

    Minimises the sum over labelled examples of the logistic loss of "the teacher is right" plus penalty / 2 times the
    squared coefficients (without the bias). The penalty is the one with the least log-loss out of fold. The curve is
    isotonic, on scores of probes that had not seen the example.

    Args:
        teacher_probs: [V, K], **out of sample**.
        label: [V], the true classes.
        features: [V, D], of any frozen encoder.
        prior: Imaginary examples at either end of the curve (`isotonic_accuracy`).
        lower: Lower bound of the accuracy; None chooses it as `lower_bound` does.
        seed: Draws the folds.
        repeats: Of the examples: each content counts once, those of a group are in one fold.

    Returns:
        The probe; None where it does not predict better, out of fold and by more than a standard error, whether the
        teacher is right than the margin alone does (`isotonic_accuracy`), or where there are fewer than ten independent
        examples, or the teacher is always right or always wrong.

    Example:
        A teacher of equal margins that is right where it names class 0, and half the time where it names class 1.

        >>> answers = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).repeat(100, 1)
        >>> label = torch.tensor([0, 1, 0, 0]).repeat(50)
        >>> found = trust_probe(answers, label, lower=0.0)
        >>> [round(each, 1) for each in found(answers[:2]).tolist()]
        [1.0, 0.5]

    Raises:
        InputError: No examples, sizes that differ, or a label that is not a class.

    Source: kin of trust functions (Uzunoğlu, Zhang, Khashabi, 2026, arXiv 2606.01000); Platt (1999) for the logistic
        model, Zadrozny and Elkan (2002) for the isotonic one.
    """
    check_labelled(label, teacher_probs)
    if features is not None and len(features) != len(label):
        raise InputError(f"features has {len(features)} rows, but there are {len(label)} labels; give one row each.")
    repeats = Repeats.none(len(label)) if repeats is None else repeats
    if repeats.any:
        once = repeats.once
        teacher_probs, label, repeats = teacher_probs[once], label[once], repeats.take(once)
        features = None if features is None else features[once]
    teacher_probs, label = teacher_probs.detach().cpu(), label.cpu()
    right, margins = teacher_probs.argmax(dim=1) == label, margin(teacher_probs.double())
    if repeats.num_groups < 10 or bool(right.all()) or not bool(right.any()):
        return None
    fold = folds(right.long(), NUM_FOLDS, seed, repeats.group)
    nothing = IsotonicAccuracy(knots=torch.zeros(1).double(), values=torch.ones(1).double(), lower=0.0)

    def probe(rows: Tensor, penalty: float, curve: IsotonicAccuracy = nothing) -> TrustProbe:
        some = None if features is None else features[rows]
        return _fitted(teacher_probs[rows], right[rows], some, penalty, curve)

    def scores(penalty: float) -> Tensor:
        def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
            found = probe(rows, penalty)
            return lambda held: found.score(teacher_probs[held], None if features is None else features[held])[:, None]

        return out_of_fold(fit, fold).squeeze(1)

    by_penalty = {penalty: scores(penalty) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda each: _loss(by_penalty[each], right).mean().item())
    scored = by_penalty[penalty]

    def by_curve(values: Tensor) -> Tensor:
        def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
            # Without a prior a single error at an end of the curve would decide.
            curve = isotonic_accuracy(values[rows], right[rows], prior=max(prior, 1.0))
            return lambda held: curve(values[held])[:, None]

        return out_of_fold(fit, fold).squeeze(1)

    gain = _loss(by_curve(margins), right) - _loss(by_curve(scored), right)
    if gain.mean().item() <= standard_error(gain, repeats):
        return None
    bound = lower_bound(scored, right, prior=prior, group=repeats.group) if lower is None else lower
    return probe(torch.arange(len(label)), penalty, isotonic_accuracy(scored, right, bound, prior))


def _measured(teacher_probs: Tensor, features: Tensor | None) -> Float64[Tensor, "N C"]:
    """Margin, entropy and features."""
    found = covariates(teacher_probs.detach().cpu().double())
    return found if features is None else torch.cat([found, features.detach().cpu().double()], dim=1)


def _loss(accuracy: Tensor, right: Tensor) -> Float64[Tensor, "V"]:
    """-log of the probability of what happened."""
    happened = torch.where(right, accuracy.double(), 1 - accuracy.double())
    return -happened.clamp(min=SMALLEST_PROBABILITY).log()


def _fitted(
    teacher_probs: Tensor, right: Tensor, features: Tensor | None, penalty: float, curve: IsotonicAccuracy
) -> TrustProbe:
    # Here, because it is a third of the package's import time.
    from scipy.optimize import minimize

    measured = _measured(teacher_probs, features)
    mean, scale = measured.mean(dim=0), measured.std(dim=0, unbiased=False)
    scale[2:] = (measured[:, 2:] - mean[2:]).square().sum(dim=1).mean().sqrt()
    scale = scale.where(scale > CONSTANT, 1.0)
    named = torch.nn.functional.one_hot(teacher_probs.argmax(dim=1), teacher_probs.shape[1]).double()
    columns = torch.cat([torch.ones(len(right), 1), (measured - mean) / scale, named], dim=1).double().numpy()
    sign = np.where(right.numpy(), 1.0, -1.0)

    def objective(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        agree = sign * (columns @ x)
        slope = -sign / (1 + np.exp(np.minimum(agree, 700)))
        value = np.logaddexp(0, -agree).sum() + penalty / 2 * (x[1:] @ x[1:])
        gradient = columns.T @ slope
        gradient[1:] += penalty * x[1:]
        return float(value), gradient

    solver: Any = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-6}
    start = np.zeros(columns.shape[1])
    x = torch.from_numpy(minimize(objective, start, jac=True, method="L-BFGS-B", options=solver).x)
    width = measured.shape[1]
    return TrustProbe(
        bias=float(x[0]),
        by_covariate=x[1:3].clone(),
        by_feature=x[3 : 1 + width].clone(),
        by_class=x[1 + width :].clone(),
        mean=mean,
        scale=scale,
        curve=curve,
        penalty=penalty,
    )
