"""The mathematics of every method as plain functions on tensors, for anybody's own loop.

All losses return one number per example, [B]; nothing is averaged. Probabilities in half precision are raised to
float32 first; float64 stays float64.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.contract import PerExample

SMALLEST_PROBABILITY = 1e-7
"""Mixed probabilities are clamped here before the logarithm: a floor of -log 1e-7 = 16.1 nats."""


def soft_cross_entropy(student_logits: Float[Tensor, "B K"], teacher_probs: Float[Tensor, "B K"]) -> PerExample:
    """Cross-entropy of the student with a given distribution: minus the sum of target times log-probability.

    Linear in `teacher_probs`, which may therefore be any mixture of distributions, even with negative entries.

    Args:
        student_logits: [B, K], unbounded scores.
        teacher_probs: [B, K], what the student is asked to match; rows sum to one.

    Returns:
        [B], in nats.

    Example:
        An undecided student pays log 2 whatever it is asked.

        >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.25, 0.75]])).item()
        0.6931471824645996

    Source: Hinton, Vinyals and Dean (2015), arXiv 1503.02531, section 2, at temperature one.
    """
    # The sign goes to the side without a gradient: one step less on the way back.
    return (-teacher_probs * _at_least_float32(student_logits).log_softmax(dim=1)).sum(dim=1)


def tempered_divergence(
    student_logits: Float[Tensor, "B K"], teacher_probs: Float[Tensor, "B K"], temperature: float
) -> PerExample:
    """Squared temperature times KL(softened teacher || softened student).

    Args:
        student_logits: [B, K].
        teacher_probs: [B, K], at temperature one; softened here as p^(1/temperature), renormalised.
        temperature: Positive; above one both sides are flattened.

    Returns:
        [B], in nats, zero where the student equals the teacher.

    Source: Hinton, Vinyals and Dean (2015), section 2.1 (the factor keeps gradients of one scale).
    """
    # A class the teacher calls impossible stays (almost) impossible at any temperature.
    teacher_log_probs = (
        _at_least_float32(teacher_probs).clamp(min=torch.finfo(torch.float32).tiny).log() / temperature
    ).log_softmax(dim=1)
    student_log_probs = (_at_least_float32(student_logits) / temperature).log_softmax(dim=1)
    return temperature**2 * (teacher_log_probs.exp() * (teacher_log_probs - student_log_probs)).sum(dim=1)


def candidate_mask(teacher_probs: Float[Tensor, "B K"], num_candidates: int | Int[Tensor, "B"]) -> Tensor:
    """True for the teacher's `num_candidates` likeliest classes, [B, K].

    Classes tied with the last candidate are candidates too, so that renaming the classes changes nothing: a teacher
    that gives hard labels only (all the others tied at zero) makes every class a candidate.

    Example:
        >>> candidate_mask(torch.tensor([[0.5, 0.3, 0.2]]), 2).tolist()
        [[True, True, False]]
    """
    ranked = teacher_probs.sort(dim=1, descending=True).values
    if isinstance(num_candidates, int):
        last = ranked[:, num_candidates - 1 : num_candidates]
    else:
        last = ranked.gather(1, num_candidates.unsqueeze(1) - 1)
    return teacher_probs >= last


def mix_student_label(
    student_probs: Float[Tensor, "B K"],
    candidates: Tensor,
    teacher_accuracy: Float[Tensor, "B"],
    normalized: bool = False,
) -> Float[Tensor, "B K"]:
    """The student's prediction with the teacher's noise mixed in, so that it can be compared with a noisy label.

    accuracy * f + (1 - accuracy) * (1 - f) on the candidates; `normalized` divides the second term by the number of
    candidates less one, which makes it the exact law of a label that is right with probability `teacher_accuracy`
    and else uniform over the other candidates.

    Args:
        student_probs: [B, K], rows sum to one.
        candidates: [B, K] bool, the teacher's likeliest classes (`candidate_mask`).
        teacher_accuracy: [B], in [0, 1]; sensible above 1/2 (above 1/candidates when normalised): at 1/2 the gradient
            on the candidates vanishes, and below it mass is pushed out of them.
        normalized: Divide by the number of candidates less one.

    Returns:
        [B, K]; rows sum to one only when `normalized` and the student's mass lies on the candidates.

    Source: Kontonis et al. (2023), arXiv 2302.03806, section 3 (un-normalised); the normalised form is derived.
    """
    accuracy = teacher_accuracy.unsqueeze(1)
    error = (1 - accuracy) * candidates
    if normalized:
        error = error / (candidates.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    # accuracy * f + error * (1 - f), with one operation on the side that has a gradient.
    return torch.addcmul(error, accuracy - error, student_probs)


def student_label_mixing(
    student_logits: Float[Tensor, "B K"],
    teacher_probs: Float[Tensor, "B K"],
    teacher_accuracy: Float[Tensor, "B"],
    num_candidates: int | Int[Tensor, "B"],
    normalized: bool = False,
    target_probs: Float[Tensor, "B K"] | None = None,
) -> PerExample:
    """SLaM: cross-entropy of the teacher's label with the student's *noisy* prediction. Predict with the student alone.

    Args:
        student_logits: [B, K].
        teacher_probs: [B, K], rows sum to one; their largest entries are the candidates.
        teacher_accuracy: [B], P(the teacher's top class is right), in [0, 1]; see `mix_student_label` for its range.
        num_candidates: How many of the teacher's top classes are candidates, an int or [B], in 1..K.
        normalized: See `mix_student_label`.
        target_probs: [B, K], the label to compare with when it is not `teacher_probs` itself: one-hot for hard labels.

    Returns:
        [B], in nats. Where `teacher_accuracy` is one, exactly `soft_cross_entropy` (bit for bit).

    Example:
        A teacher right half of the time between two classes tells nothing: log 2 whatever the student says.

        >>> logits, teacher = torch.tensor([[3.0, -3.0]]), torch.tensor([[0.0, 1.0]])
        >>> round(student_label_mixing(logits, teacher, torch.tensor([0.5]), 2).item(), 4)
        0.6931

    Source: Kontonis et al. (2023), arXiv 2302.03806, equation of the training objective, section 3.
    Differs from the paper: probabilities are clamped at 1e-7 before the logarithm, except where the accuracy is one.
    """
    log_probs = _at_least_float32(student_logits).log_softmax(dim=1)
    mixed = mix_student_label(
        log_probs.exp(), candidate_mask(teacher_probs, num_candidates), teacher_accuracy, normalized
    )
    # The logarithm of an exponential is not exact, and the clamp would bound the loss: with a perfect teacher neither
    # may happen, because SLaM is then plain distillation.
    log_mixed = torch.where(teacher_accuracy.unsqueeze(1) == 1, log_probs, mixed.clamp(min=SMALLEST_PROBABILITY).log())
    return -((teacher_probs if target_probs is None else target_probs) * log_mixed).sum(dim=1)


def adaptation_nll(
    student_logits: Float[Tensor, "B K"], pseudo_label: Int[Tensor, "B"], transition: Float[Tensor, "K K"]
) -> PerExample:
    """Minus log-probability of the teacher's class when a transition matrix stands behind the student: -log (f Q)_M.

    The sum over true classes is taken in log space, so nothing underflows however sure the student is and however many
    classes there are.

    Args:
        student_logits: [B, K], unbounded scores.
        pseudo_label: [B], the teacher's class M, in 0..K-1.
        transition: [K, K], Q[i, j] = P(pseudo-label j | true class i), in [0, 1]; rows sum to one. To learn its entries
            through a softmax give `adaptation_nll_of_logs` their logarithms instead.

    Returns:
        [B], in nats, zero or more; infinite where no class is ever called M. For a student that is sure of class M it
        is -log Q[M, M], whatever else the matrix holds.

    Example:
        A student that is sure of class 0, and a matrix that calls class 0 by its name half of the time: log 2.

        >>> half = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> round(adaptation_nll(torch.tensor([[1000.0, 0.0]]), torch.tensor([0]), half).item(), 4)
        0.6931

    Source: Chen et al. (2021), Learning Student Networks in the Wild, CVPR, section 3.2 (the adaptation matrix).
    """
    transition = _at_least_float32(transition)
    possible = transition > 0
    # The logarithm of an impossible entry is minus infinity, and its gradient nothing rather than not a number.
    log_transition = transition.where(possible, 1.0).log().where(possible, -torch.inf)
    return adaptation_nll_of_logs(student_logits, pseudo_label, log_transition)


def adaptation_nll_of_logs(
    student_logits: Float[Tensor, "B K"], pseudo_label: Int[Tensor, "B"], log_transition: Float[Tensor, "K K"]
) -> PerExample:
    """`adaptation_nll` from the logarithms of the transition's entries, minus infinity where one is zero.

    Example:
        With the identity for a matrix it is the cross-entropy with the teacher's class.

        >>> identity = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
        >>> round(adaptation_nll_of_logs(torch.zeros(1, 2), torch.tensor([1]), identity).item(), 4)
        0.6931

    Source: as `adaptation_nll`.
    """
    log_probs = _at_least_float32(student_logits).log_softmax(dim=1)
    # Only the column of the teacher's class is needed: [B, K] numbers instead of [B, K, K].
    column = log_transition.T.index_select(0, pseudo_label)
    # Rounding may pass zero by one unit in the last place.
    return -(log_probs + column).logsumexp(dim=1).clamp(max=0.0)


def log_adaptation_matrix(diagonal: Float[Tensor, "K"], scores: Float[Tensor, "K K-1"]) -> Float[Tensor, "K K"]:
    """Logarithms of an adaptation matrix: a fixed diagonal, the rest of each row shared out by a softmax.

    Q[i, i] = diagonal[i];  off the diagonal, row i is (1 - diagonal[i]) * softmax(scores[i]). So rows sum to one
    whatever the scores are.

    Args:
        diagonal: [K], how often the teacher names each class when it is the true one, in [0, 1].
        scores: [K, K - 1], unbounded; the classes of a row in order, its own left out. All equal: an even share.

    Example:
        >>> log_adaptation_matrix(torch.tensor([0.5, 0.5, 1.0]), torch.zeros(3, 2)).exp().tolist()
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]

    Source: Chen et al. (2021), Learning Student Networks in the Wild, CVPR, section 3.2.
    """
    num_classes = len(diagonal)
    log_others = torch.log1p(-diagonal).unsqueeze(1) + scores.log_softmax(dim=1)
    row, column = torch.arange(num_classes).unsqueeze(1), torch.arange(num_classes)
    # Where entry (i, j) stands in row i of the scores; the diagonal is put behind them.
    place = torch.where(row == column, num_classes - 1, column - (column > row).long())
    return torch.cat([log_others, diagonal.log().unsqueeze(1)], dim=1).gather(1, place.to(scores.device))


def debiased_weight(teacher_error: Float[Tensor, "B"], distortion: Float[Tensor, "B"]) -> PerExample:
    """The weight that makes the expected loss on the noisy label the loss on the true one: 1 / (1 + p (d - 1)).

    With probability p the label is wrong and its loss is d times the true one, so
    E[weight * noisy loss] = weight * true loss * (p d + 1 - p) = true loss.

    Args:
        teacher_error: [B], P(the teacher's label is wrong), in [0, 1].
        distortion: [B], loss on the wrong label / loss on the true one, positive.

    Returns:
        [B], positive.

    Example:
        A label wrong half of the time and then three times as dear counts half.

        >>> debiased_weight(torch.tensor([0.5]), torch.tensor([3.0])).item()
        0.5

    Source: Iliopoulos et al. (2022), arXiv 2210.06711, section 2, equation 2.
    """
    return 1 / (1 + teacher_error * (distortion - 1))


def calibrated_target(
    teacher_probs: Float[Tensor, "B K"], teacher_accuracy: Float[Tensor, "B"], num_candidates: int | Int[Tensor, "B"]
) -> Float[Tensor, "B K"]:
    """The teacher's accuracy on its top class, the rest spread evenly over its other candidates.

    Args:
        teacher_probs: [B, K], used only for its order.
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


def one_hot(probs: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """The likeliest class of every row as a distribution, [B, K]; the first one where several tie.

    Example:
        >>> one_hot(torch.tensor([[0.2, 0.8]])).tolist()
        [[0.0, 1.0]]
    """
    return torch.zeros_like(probs).scatter_(1, probs.argmax(dim=1, keepdim=True), 1.0)


def label_distribution(label: Int[Tensor, "B"], like: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """Given labels as distributions, [B, K], of the width, type and device of `like`; every label must be known.

    Example:
        >>> label_distribution(torch.tensor([1]), torch.tensor([[0.6, 0.4]])).tolist()
        [[0.0, 1.0]]
    """
    return torch.zeros_like(like).scatter_(1, label.unsqueeze(1), 1.0)


def self_distilled_target(
    label: Int[Tensor, "B"], teacher_probs: Float[Tensor, "B K"], imitation: float | Float[Tensor, "B"]
) -> Float[Tensor, "B K"]:
    """ξ times the teacher's answer plus (1 - ξ) times the given label.

    Args:
        label: [B], the given (noisy) labels, all known.
        teacher_probs: [B, K], rows sum to one.
        imitation: ξ, one for all or [B], any finite number: 0 gives the label, 1 exactly the answer, and above 1 (or
            below 0) entries become negative. A loss that is linear in the target takes it as it is; the cross-entropy
            then has no lower bound, so that weights must decay.

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
    """The ξ whose mixture (1 - ξ) teacher + ξ student has the least squared error on held-out labels.

    mean of (label - teacher) . (student - teacher), divided by the mean of |student - teacher|^2. Where the student at
    any ξ is this mixture (linear smoothers: ridge) it is the best ξ; for networks it is a guess to begin a search with.

    Noisy held-out labels do: the formula is linear in the label, and both answers were made without it, so that the
    label's deviation from its own conditional mean E[label | x] averages out. What is aimed at is that mean. Under
    symmetric flips it is an affine map of the true posterior, with the same order of classes; under asymmetric ones
    it is not, and no number of held-out labels tells.

    Args:
        label: [N], given labels of examples that neither teacher nor student was trained on.
        teacher_probs: [N, K], rows sum to one.
        student_probs: [N, K], those of the student at ξ = 1.

    Returns:
        ξ; 1 where student and teacher are the same.

    Example:
        The student went one tenth of the way to the label: ten such steps arrive.

        >>> teacher, student = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.55, 0.45]])
        >>> round(held_out_imitation(torch.tensor([0]), teacher, student), 4)
        10.0

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 3 (the best ξ); the held-out estimate is derived.
    """
    step = (student_probs - teacher_probs).double()
    error = label_distribution(label, teacher_probs).double() - teacher_probs.double()
    length = step.square().sum().item()
    return (error * step).sum().item() / length if length > 0 else 1.0


def generalized_cross_entropy(
    student_logits: Float[Tensor, "B K"], target_probs: Float[Tensor, "B K"], power: float
) -> PerExample:
    """The sum over classes of target times (1 - p^power) / power, p being the student's probability.

    Args:
        student_logits: [B, K].
        target_probs: [B, K], rows sum to one; with even shares on some classes it is the mean over them.
        power: In (0, 1]: towards 0 it is the cross-entropy, at 1 the mean absolute error, 1 - p.

    Returns:
        [B]; at most 1 / power for a distribution.

    Example:
        >>> generalized_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 1.0).item()
        0.5

    Source: Zhang and Sabuncu (2018), arXiv 1805.07836, equation 6.
    """
    raised = (power * _at_least_float32(student_logits).log_softmax(dim=1)).exp()
    return (target_probs * (1 - raised)).sum(dim=1) / power


def margin(probs: Float[Tensor, "B K"]) -> PerExample:
    """Largest probability less the second largest, in [0, 1].

    Example:
        >>> margin(torch.tensor([[0.5, 0.25, 0.25]])).item()
        0.25
    """
    top = probs.topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
