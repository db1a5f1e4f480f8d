"""Losses with a transition matrix of the teacher's mistakes, and the matrix that is trained with the student (DFND)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.contract import PerExample
from overproof.functional.probabilities import at_least_float32


def adaptation_nll(
    student_logits: Float[Tensor, "B K"], pseudo_label: Int[Tensor, "B"], transition: Float[Tensor, "K K"]
) -> PerExample:
    """Minus log-probability of the pseudo-label when the student's prediction is multiplied by Q: -log (f Q)_M.

    The sum over true classes is computed in log space, so that it does not underflow for a very confident student or
    many classes.

    Args:
        student_logits: [B, K], unbounded scores.
        pseudo_label: [B], the teacher's class M, in 0..K-1.
        transition: [K, K], Q[i, j] = P(pseudo-label j | true class i), in [0, 1]; rows sum to one. To train its entries
            through a softmax, pass their logarithms to `adaptation_nll_of_logs` instead.

    Returns:
        [B], in nats, at least zero; infinite if column M of Q is zero. For a student that is certain of class M it is
        -log Q[M, M].

    Example:
        A student that is certain of class 0, and Q[0, 0] = 1/2: log 2.

        >>> half = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> round(adaptation_nll(torch.tensor([[1000.0, 0.0]]), torch.tensor([0]), half).item(), 4)
        0.6931

    Source: Chen et al. (2021), Learning Student Networks in the Wild, CVPR, section 3.2 (the adaptation matrix).
    """
    transition = at_least_float32(transition)
    possible = transition > 0
    # The logarithm of a zero entry is minus infinity; its gradient must be zero, not NaN.
    log_transition = transition.where(possible, 1.0).log().where(possible, -torch.inf)
    return adaptation_nll_of_logs(student_logits, pseudo_label, log_transition)


def adaptation_nll_of_logs(
    student_logits: Float[Tensor, "B K"], pseudo_label: Int[Tensor, "B"], log_transition: Float[Tensor, "K K"]
) -> PerExample:
    """`adaptation_nll` from the logarithms of the transition's entries, minus infinity where one is zero.

    Example:
        With the identity matrix it is the cross-entropy with the teacher's class.

        >>> identity = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
        >>> round(adaptation_nll_of_logs(torch.zeros(1, 2), torch.tensor([1]), identity).item(), 4)
        0.6931

    Source: as `adaptation_nll`.
    """
    log_probs = at_least_float32(student_logits).log_softmax(dim=1)
    # Only the column of the teacher's class is needed: [B, K] numbers instead of [B, K, K].
    column = log_transition.T.index_select(0, pseudo_label)
    # Rounding may exceed zero by one unit in the last place.
    return -(log_probs + column).logsumexp(dim=1).clamp(max=0.0)


def log_adaptation_matrix(diagonal: Float[Tensor, "K"], scores: Float[Tensor, "K K-1"]) -> Float[Tensor, "K K"]:
    """Logarithms of an adaptation matrix: a fixed diagonal, the rest of each row distributed by a softmax.

    Q[i, i] = diagonal[i];  off the diagonal, row i is (1 - diagonal[i]) * softmax(scores[i]). Rows sum to one for any
    scores.

    Args:
        diagonal: [K], the teacher's accuracy on each class, in [0, 1].
        scores: [K, K - 1], unbounded; one per other class, in order. Equal scores give a uniform distribution.

    Example:
        >>> log_adaptation_matrix(torch.tensor([0.5, 0.5, 1.0]), torch.zeros(3, 2)).exp().tolist()
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]

    Source: Chen et al. (2021), Learning Student Networks in the Wild, CVPR, section 3.2.
    """
    num_classes = len(diagonal)
    log_others = torch.log1p(-diagonal).unsqueeze(1) + scores.log_softmax(dim=1)
    row, column = torch.arange(num_classes).unsqueeze(1), torch.arange(num_classes)
    # Position of entry (i, j) in row i of the scores; the diagonal is appended to them.
    place = torch.where(row == column, num_classes - 1, column - (column > row).long())
    return torch.cat([log_others, diagonal.log().unsqueeze(1)], dim=1).gather(1, place.to(scores.device))
