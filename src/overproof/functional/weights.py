"""The weight of an example in Weighted Distillation, from the teacher's error and the distortion."""

from jaxtyping import Float
from torch import Tensor

from overproof.contract import PerExample


def debiased_weight(teacher_error: Float[Tensor, "B"], distortion: Float[Tensor, "B"]) -> PerExample:
    """The weight for which the expected loss on the noisy label is the loss on the true one: 1 / (1 + p (d - 1)).

    With probability p the label is wrong and its loss is d times that of the true one, so
    E[weight * noisy loss] = weight * true loss * (p d + 1 - p) = true loss.

    Args:
        teacher_error: [B], P(the teacher's label is wrong), in [0, 1].
        distortion: [B], loss on the wrong label / loss on the true one, positive.

    Returns:
        [B], positive.

    Example:
        Error probability 0.5 and a loss ratio of 3 give a weight of 0.5.

        >>> import torch
        >>> debiased_weight(torch.tensor([0.5]), torch.tensor([3.0])).item()
        0.5

    Source: Iliopoulos et al. (2022), arXiv 2210.06711, section 2, equation 2.
    """
    return 1 / (1 + teacher_error * (distortion - 1))
