"""Fits one temperature that calibrates the teacher's probabilities."""

import math

from jaxtyping import Float, Int
from torch import Tensor

from overproof.functional import SMALLEST_PROBABILITY
from overproof.noise.transition import check_labelled

TEMPERATURES = (0.05, 20.0)
"""Bounds of a fitted temperature: a teacher that is never wrong has no best one."""


def fit_temperature(teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"]) -> float:
    """The temperature of least log-loss: of softmax(log p / temperature) on labelled examples.

    Above one the teacher was overconfident, below one underconfident. The loss is convex in the inverse of the
    temperature, so there is one minimum; it is searched between .05 and 20.

    Args:
        teacher_probs: [V, K], out of sample; probabilities below 1e-7 count as 1e-7.
        label: [V], the true classes.

    Example:
        A teacher with probability .8 that is right nine times in ten: odds of 4 must become 9, log 4 / log 9 = .63.

        >>> import torch
        >>> probs = torch.tensor([[0.8, 0.2]]).repeat(10, 1)
        >>> round(fit_temperature(probs, torch.tensor([0] * 9 + [1])), 3)
        0.631

    Raises:
        InputError: No examples, sizes that differ or a label that is not a class.

    Source: Guo et al. (2017), arXiv 1706.04599, section 4.2, applied to log-probabilities.
    """
    check_labelled(label, teacher_probs)
    scores = _scores(teacher_probs)

    def loss(log_temperature: float) -> float:
        log_probs = (scores / math.exp(log_temperature)).log_softmax(dim=1)
        return -log_probs.gather(1, label.long().unsqueeze(1)).mean().item()

    low, high = TEMPERATURES
    # Here, because it is a third of the package's import time.
    from scipy.optimize import minimize_scalar

    fitted = minimize_scalar(loss, bounds=(math.log(low), math.log(high)), method="bounded", options={"xatol": 1e-7})
    return math.exp(float(fitted.x))


def calibrate(teacher_probs: Float[Tensor, "N K"], temperature: float) -> Float[Tensor, "N K"]:
    """The probabilities at a temperature: p^(1/temperature), renormalised; the order of the classes does not change.

    Args:
        teacher_probs: [N, K], rows sum to one; probabilities below 1e-7 count as 1e-7.
        temperature: Positive; one has no effect.

    Example:
        Odds of 4 become their square root.

        >>> import torch
        >>> probs = calibrate(torch.tensor([[0.8, 0.2]]), 2.0)
        >>> round((probs[0, 0] / probs[0, 1]).item(), 4)
        2.0
    """
    return (_scores(teacher_probs) / temperature).softmax(dim=1).to(teacher_probs.dtype)


def _scores(teacher_probs: Tensor) -> Tensor:
    return teacher_probs.double().clamp(min=SMALLEST_PROBABILITY).log()
