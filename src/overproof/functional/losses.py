"""Loss functions for distillation under label noise, one number per example; SLaM is `student_label_mixing`."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.contract import PerExample
from overproof.functional.probabilities import SMALLEST_PROBABILITY, at_least_float32


def soft_cross_entropy(student_logits: Float[Tensor, "B K"], teacher_probs: Float[Tensor, "B K"]) -> PerExample:
    """Cross-entropy of the student with a given distribution: minus the sum of target times log-probability.

    Linear in `teacher_probs`, which may therefore be any mixture of distributions, even with negative entries.

    Args:
        student_logits: [B, K], unbounded scores.
        teacher_probs: [B, K], the distribution to match; rows sum to one.

    Returns:
        [B], in nats.

    Example:
        With uniform predictions the loss is log 2 for every target.

        >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.25, 0.75]])).item()
        0.6931471824645996

    Source: Hinton, Vinyals and Dean (2015), arXiv 1503.02531, section 2, at temperature one.
    """
    # The sign is on the side without a gradient, which saves an operation in the backward pass.
    return (-teacher_probs * at_least_float32(student_logits).log_softmax(dim=1)).sum(dim=1)


def tempered_divergence(
    student_logits: Float[Tensor, "B K"], teacher_probs: Float[Tensor, "B K"], temperature: float
) -> PerExample:
    """Squared temperature times KL(softened teacher || softened student).

    Args:
        student_logits: [B, K].
        teacher_probs: [B, K], at temperature one; softened here as p^(1/temperature), renormalised.
        temperature: Positive; above one it flattens both distributions.

    Returns:
        [B], in nats, zero where the student equals the teacher.

    Source: Hinton, Vinyals and Dean (2015), section 2.1 (the factor keeps the scale of the gradients).
    """
    # A class of probability zero stays (almost) impossible at any temperature.
    teacher_log_probs = (
        at_least_float32(teacher_probs).clamp(min=torch.finfo(torch.float32).tiny).log() / temperature
    ).log_softmax(dim=1)
    student_log_probs = (at_least_float32(student_logits) / temperature).log_softmax(dim=1)
    return temperature**2 * (teacher_log_probs.exp() * (teacher_log_probs - student_log_probs)).sum(dim=1)


def candidate_mask(teacher_probs: Float[Tensor, "B K"], num_candidates: int | Int[Tensor, "B"]) -> Tensor:
    """True for the teacher's `num_candidates` most likely classes, [B, K].

    Classes tied with the last candidate are candidates too, so that the order of the classes does not matter: with hard
    labels (all other classes tied at zero) every class is a candidate.

    Example:
        >>> candidate_mask(torch.tensor([[0.5, 0.3, 0.2]]), 2).tolist()
        [[True, True, False]]
    """
    if isinstance(num_candidates, int):
        last = teacher_probs.topk(num_candidates, dim=1).values[:, -1:]
    elif teacher_probs.is_cuda or not len(num_candidates):
        # The largest number would have to be waited for.
        last = teacher_probs.sort(dim=1, descending=True).values.gather(1, num_candidates.unsqueeze(1) - 1)
    else:
        ranked = teacher_probs.topk(int(num_candidates.max()), dim=1).values
        last = ranked.gather(1, num_candidates.unsqueeze(1) - 1)
    return teacher_probs >= last


def mix_student_label(
    student_probs: Float[Tensor, "B K"],
    candidates: Tensor,
    teacher_accuracy: Float[Tensor, "B"],
    normalized: bool = False,
) -> Float[Tensor, "B K"]:
    """The student's prediction mixed with the teacher's noise, to be compared with a noisy label.

    accuracy * f + (1 - accuracy) * (1 - f) on the candidates; `normalized` divides the second term by the number of
    candidates minus one, which gives the exact distribution of a label that is right with probability
    `teacher_accuracy` and otherwise uniform over the other candidates.

    Args:
        student_probs: [B, K], rows sum to one.
        candidates: [B, K] bool, the teacher's most likely classes (`candidate_mask`).
        teacher_accuracy: [B], in [0, 1]; should be above 1/2 (above 1/candidates when normalised): at 1/2 the gradient
            on the candidates vanishes, and below it they lose probability.
        normalized: Divide by the number of candidates minus one.

    Returns:
        [B, K]; rows sum to one only if `normalized` and the student's probability is on the candidates.

    Source: Kontonis et al. (2023), arXiv 2302.03806, section 3 (un-normalised); the normalised form is derived.
    """
    accuracy = teacher_accuracy.unsqueeze(1)
    return _mixed(student_probs, _errors(candidates, accuracy, normalized), accuracy)


def _errors(candidates: Tensor, accuracy: Float[Tensor, "B 1"], normalized: bool) -> Float[Tensor, "B K"]:
    error = (1 - accuracy) * candidates
    return error / (candidates.sum(dim=1, keepdim=True) - 1).clamp(min=1) if normalized else error


def _mixed(student_probs: Tensor, errors: Tensor, accuracy: Float[Tensor, "B 1"]) -> Float[Tensor, "B K"]:
    # accuracy * f + error * (1 - f), with a single operation that has a gradient.
    return torch.addcmul(errors, accuracy - errors, student_probs)


def candidate_errors(
    teacher_probs: Float[Tensor, "B K"],
    teacher_accuracy: Float[Tensor, "B"],
    num_candidates: int | Int[Tensor, "B"],
    normalized: bool = False,
) -> Float[Tensor, "B K"]:
    """What `mix_student_label` adds for an error: 1 - accuracy on the candidates, divided among them if `normalized`.

    Args:
        teacher_probs: [B, K].
        teacher_accuracy: [B], in [0, 1].
        num_candidates: An int or [B], in 1..K.
        normalized: Divide by the number of candidates minus one.

    Example:
        >>> candidate_errors(torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([0.75]), 2).tolist()
        [[0.25, 0.25, 0.0]]
    """
    return _errors(candidate_mask(teacher_probs, num_candidates), teacher_accuracy.unsqueeze(1), normalized)


def student_label_mixing(
    student_logits: Float[Tensor, "B K"],
    teacher_probs: Float[Tensor, "B K"],
    teacher_accuracy: Float[Tensor, "B"],
    num_candidates: int | Int[Tensor, "B"],
    normalized: bool = False,
    target_probs: Float[Tensor, "B K"] | None = None,
) -> PerExample:
    """SLaM: cross-entropy of the teacher's label with the student's *noisy* prediction. Predict without the mixing.

    Args:
        student_logits: [B, K].
        teacher_probs: [B, K], rows sum to one; their largest entries are the candidates.
        teacher_accuracy: [B], P(the pseudo-label is right), in [0, 1]; see `mix_student_label` for its range.
        num_candidates: How many of the teacher's most likely classes are candidates, an int or [B], in 1..K.
        normalized: See `mix_student_label`.
        target_probs: [B, K], the label to compare with when it is not `teacher_probs` itself: one-hot for hard labels.

    Returns:
        [B], in nats. Where `teacher_accuracy` is one, exactly `soft_cross_entropy` (bit for bit).

    Example:
        With two classes and accuracy 1/2 the teacher carries no information: the loss is log 2 for every student.

        >>> logits, teacher = torch.tensor([[3.0, -3.0]]), torch.tensor([[0.0, 1.0]])
        >>> round(student_label_mixing(logits, teacher, torch.tensor([0.5]), 2).item(), 4)
        0.6931

    Source: Kontonis et al. (2023), arXiv 2302.03806, equation of the training objective, section 3.
    Differs from the paper: probabilities are clamped at 1e-7 before the logarithm, except where the accuracy is one.
    """
    errors = candidate_errors(teacher_probs, teacher_accuracy, num_candidates, normalized)
    target = teacher_probs if target_probs is None else target_probs
    return mixed_cross_entropy(student_logits, errors, teacher_accuracy.unsqueeze(1), target)


def mixed_cross_entropy(
    student_logits: Float[Tensor, "B K"],
    errors: Float[Tensor, "B K"],
    accuracy: Float[Tensor, "B 1"],
    target_probs: Float[Tensor, "B K"],
) -> PerExample:
    """The loss of `student_label_mixing` with the errors that are made before.

    Args:
        student_logits: [B, K].
        errors: [B, K], `candidate_errors`.
        accuracy: [B, 1], in [0, 1].
        target_probs: [B, K], the label to compare with.

    Returns:
        [B], in nats.
    """
    log_probs = at_least_float32(student_logits).log_softmax(dim=1)
    mixed = _mixed(log_probs.exp(), errors, accuracy)
    # With a perfect teacher SLaM is exactly plain distillation: the logarithm of an exponential would not be exact, and
    # the clamp would bound the loss.
    log_mixed = torch.where(accuracy == 1, log_probs, mixed.clamp(min=SMALLEST_PROBABILITY).log())
    return -(target_probs * log_mixed).sum(dim=1)


def generalized_cross_entropy(
    student_logits: Float[Tensor, "B K"], target_probs: Float[Tensor, "B K"], power: float
) -> PerExample:
    """The sum over classes of target times (1 - p^power) / power, p being the student's probability.

    Args:
        student_logits: [B, K].
        target_probs: [B, K], rows sum to one; a uniform target over some classes gives the mean over them.
        power: In (0, 1]: the limit 0 is the cross-entropy, 1 the mean absolute error, 1 - p.

    Returns:
        [B]; at most 1 / power for a distribution.

    Example:
        >>> generalized_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 1.0).item()
        0.5

    Source: Zhang and Sabuncu (2018), arXiv 1805.07836, equation 6.
    """
    raised = (power * at_least_float32(student_logits).log_softmax(dim=1)).exp()
    return (target_probs * (1 - raised)).sum(dim=1) / power


def squared_error(student_logits: Float[Tensor, "B K"], target_probs: Float[Tensor, "B K"]) -> PerExample:
    """The sum over classes of the squared difference between student's probability and target: the Brier score.

    Args:
        student_logits: [B, K].
        target_probs: [B, K].

    Returns:
        [B]; from 0 to 2 for a distribution.

    Example:
        >>> squared_error(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item()
        0.5

    Source: Brier (1950); for teachers, Hamidi et al. (2024), arXiv 2407.18041.
    """
    return (at_least_float32(student_logits).softmax(dim=1) - target_probs).square().sum(dim=1)
