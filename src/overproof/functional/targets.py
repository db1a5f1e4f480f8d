"""Target distributions that a student is trained to match: calibrated and self-distilled ones."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.functional.losses import candidate_mask
from overproof.functional.probabilities import label_distribution, one_hot


def calibrated_target(
    teacher_probs: Float[Tensor, "B K"], teacher_accuracy: Float[Tensor, "B"], num_candidates: int | Int[Tensor, "B"]
) -> Float[Tensor, "B K"]:
    """The teacher's accuracy on its top class, the rest uniform over its other candidates.

    Args:
        teacher_probs: [B, K], used only for the order of the classes.
        teacher_accuracy: [B], in [0, 1].
        num_candidates: An int or [B], at least 2 unless the accuracy is one.

    Returns:
        [B, K], rows sum to one.

    Example:
        >>> probs = calibrated_target(torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([0.75]), 3)
        >>> probs.tolist()
        [[0.75, 0.125, 0.125]]
    """
    top = one_hot(teacher_probs)
    others = candidate_mask(teacher_probs, num_candidates) & (top == 0)
    count = others.sum(dim=1, keepdim=True)
    accuracy = torch.where(count > 0, teacher_accuracy.unsqueeze(1), torch.ones_like(top[:, :1]))
    return accuracy * top + (1 - accuracy) * others / count.clamp(min=1)


def self_distilled_target(
    label: Int[Tensor, "B"], teacher_probs: Float[Tensor, "B K"], imitation: float | Float[Tensor, "B"]
) -> Float[Tensor, "B K"]:
    """ξ times the teacher's prediction plus (1 - ξ) times the given label.

    Args:
        label: [B], the given (noisy) labels, all known.
        teacher_probs: [B, K], rows sum to one.
        imitation: ξ, one number or [B], finite: 0 gives the label, 1 the prediction; above 1 (or below 0) entries
            become negative. This needs a loss that is linear in the target; the cross-entropy then has no lower bound,
            so that weight decay is needed.

    Returns:
        [B, K]; rows sum to one.

    Example:
        >>> self_distilled_target(torch.tensor([0]), torch.tensor([[0.25, 0.75]]), 2.0).tolist()
        [[-0.5, 1.5]]

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 2.
    """
    share = imitation.unsqueeze(1) if isinstance(imitation, Tensor) else imitation
    return share * teacher_probs + (1 - share) * label_distribution(label, teacher_probs)


def held_out_imitation(
    label: Int[Tensor, "N"], teacher_probs: Float[Tensor, "N K"], student_probs: Float[Tensor, "N K"]
) -> float:
    """The ξ for which (1 - ξ) teacher + ξ student has the smallest squared error on held-out labels.

    mean of (label - teacher) . (student - teacher), divided by the mean of |student - teacher|^2. If the student at any
    ξ is this mixture (linear smoothers: ridge), it is the best ξ; for networks it is the start of a search.

    The held-out labels may be noisy: the formula is linear in the label, and both predictions were made without it, so
    that the label's deviation from its conditional mean E[label | x] averages out. The result approximates that mean.
    Under symmetric noise it is an affine map of the true posterior, with the same order of classes; under asymmetric
    noise it is not, and no number of held-out labels can detect this.

    Args:
        label: [N], given labels of examples that neither teacher nor student was trained on.
        teacher_probs: [N, K], rows sum to one.
        student_probs: [N, K], those of the student at ξ = 1.

    Returns:
        ξ; 1 where student and teacher are the same.

    Example:
        The student moved one tenth of the way to the label, so ξ is ten.

        >>> teacher, student = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.55, 0.45]])
        >>> round(held_out_imitation(torch.tensor([0]), teacher, student), 4)
        10.0

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 3 (the best ξ); the held-out estimate is derived.
    """
    step = (student_probs - teacher_probs).double()
    error = label_distribution(label, teacher_probs).double() - teacher_probs.double()
    length = step.square().sum().item()
    return (error * step).sum().item() / length if length > 0 else 1.0
