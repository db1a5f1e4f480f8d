"""The loss of a teacher's answer through its likelihood, and likelihoods of a few kinds of answer."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from overproof.contract import PerExample
from overproof.functional.losses import candidate_mask
from overproof.functional.probabilities import SMALLEST_PROBABILITY, at_least_float32


def answer_nll(student_logits: Float[Tensor, "B K"], answer_likelihood: Float[Tensor, "B K"]) -> PerExample:
    """Minus the log-probability of the teacher's answer under the student: -log sum over classes k of f_k l_k(x).

    f is the student's distribution of the true class, and l_k(x) = P(this answer | class k, x). Of whatever kind the
    answer is - a class, a set of classes, a class and the teacher's margin - only its likelihood counts.

    Args:
        student_logits: [B, K], unbounded scores.
        answer_likelihood: [B, K], in [0, 1]. A factor that is the same for all classes of a row changes no gradient.

    Returns:
        [B], in nats, at least zero. A row of zeros counts as one of 1e-7: it carries no information.

    Example:
        The answer is twice as likely under class 0 as under class 1; a student with even odds gives it
        (.5 + .25) / 2 = .375.

        >>> round(answer_nll(torch.zeros(1, 2), torch.tensor([[0.5, 0.25]])).exp().item(), 4)
        2.6667

    Source: Patrini et al. (2017), arXiv 1609.03683, theorem 2, with one row of the matrix for each example.
    """
    likelihood = at_least_float32(answer_likelihood)
    possible = likelihood > 0
    likelihood = likelihood.where(possible.any(dim=1, keepdim=True), SMALLEST_PROBABILITY)
    possible = likelihood > 0
    # The logarithm of a zero entry is minus infinity; its gradient must be zero, not NaN.
    log_likelihood = likelihood.where(possible, 1.0).log().where(possible, -torch.inf)
    log_probs = at_least_float32(student_logits).log_softmax(dim=1)
    # Rounding may exceed zero by one unit in the last place.
    return -(log_probs + log_likelihood).logsumexp(dim=1).clamp(max=0.0)


def transition_likelihood(pseudo_label: Int[Tensor, "B"], transition: Float[Tensor, "K K"]) -> Float[Tensor, "B K"]:
    """P(the pseudo-label | class), by a matrix of the teacher's mistakes: a column of it for every example.

    With it, `answer_nll` is forward correction, bit for bit.

    Args:
        pseudo_label: [B], in 0..K-1.
        transition: [K, K], P(pseudo-label j | class i); rows sum to one.

    Example:
        >>> transition_likelihood(torch.tensor([1]), torch.tensor([[0.75, 0.25], [0.5, 0.5]])).tolist()
        [[0.25, 0.5]]

    Source: Patrini et al. (2017), arXiv 1609.03683.
    """
    return transition.T.index_select(0, pseudo_label)


def candidate_likelihood(
    teacher_probs: Float[Tensor, "B K"], teacher_accuracy: Float[Tensor, "B"], num_candidates: int | Int[Tensor, "B"]
) -> Float[Tensor, "B K"]:
    """P(the pseudo-label | class) where the teacher errs evenly over the other candidates, as SLaM assumes.

    The accuracy for the pseudo-label, (1 - accuracy) / (candidates - 1) for every other class. With it, `answer_nll` is
    normalised SLaM on hard labels, for a pseudo-label that is a candidate.

    Args:
        teacher_probs: [B, K]; the pseudo-label is its most likely class, the candidates are its largest entries.
        teacher_accuracy: [B], P(the pseudo-label is right), in [0, 1].
        num_candidates: How many of the most likely classes are candidates, an int or [B], in 2..K.

    Example:
        >>> answer = torch.tensor([[0.6, 0.3, 0.1]])
        >>> [round(each, 2) for each in candidate_likelihood(answer, torch.tensor([0.8]), 3)[0].tolist()]
        [0.8, 0.1, 0.1]

    Source: derived from Kontonis et al. (2023), arXiv 2302.03806, section 3.
    """
    others = (candidate_mask(teacher_probs, num_candidates).sum(dim=1) - 1).clamp(min=1)
    share = ((1 - teacher_accuracy) / others).unsqueeze(1).expand_as(teacher_probs)
    named = teacher_probs.argmax(dim=1, keepdim=True)
    return share.scatter(1, named, teacher_accuracy.unsqueeze(1).to(share))


def set_likelihood(answer_set: Bool[Tensor, "B K"], inclusion: Float[Tensor, "K K"]) -> Float[Tensor, "B K"]:
    """P(a set of classes | class), where a teacher names every class that may hold, each independently.

    The product over classes j of pi_ij if j is in the set, else 1 - pi_ij; computed as a sum of logarithms.

    Args:
        answer_set: [B, K], the classes that the teacher named.
        inclusion: [K, K], pi[i, j] = P(class j is named | true class i), in [0, 1].

    Example:
        Class 0 is named in 9 of 10 examples of class 0, class 1 in half of them: .9 * .5.

        >>> named = torch.tensor([[True, True]])
        >>> [round(each, 2) for each in set_likelihood(named, torch.tensor([[0.9, 0.5], [0.2, 0.8]]))[0].tolist()]
        [0.45, 0.16]

    Source: derived; the answers are those of CanDist (2025), arXiv 2506.03857.
    """
    inclusion = at_least_float32(inclusion).clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    named = answer_set.to(inclusion)
    return (named @ inclusion.log().T + (1 - named) @ torch.log1p(-inclusion).T).exp()
