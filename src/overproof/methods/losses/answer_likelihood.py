"""The loss through the likelihood of the teacher's answer, whatever the noise model says it is."""

from dataclasses import dataclass

from overproof.claims import ConsistentUnderTransition, HardWithoutNoise
from overproof.contract import Batch, PerExample
from overproof.functional import answer_nll
from overproof.papers import FORWARD_2017
from overproof.registry import register


@register("loss", "answer_likelihood", paper=FORWARD_2017, claims=(HardWithoutNoise(), ConsistentUnderTransition()))
@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerLikelihood:
    """Minus the log-probability of the teacher's answer: -log sum over true classes k of f_k P(answer | k, x).

    The noise model gives the likelihood of each example's answer. With that of the transition matrix it is forward
    correction, with SLaM's accuracy and candidates normalised SLaM on hard labels; the noise model `conditional` lets
    the confusions depend on the teacher's margin and entropy too. The target is not read. Predict with the student.

    Example:
        Half of class 0 is answered 1, and all of class 1: a student with even odds gives the answer 1 probability .75.

        >>> from dataclasses import replace
        >>> import torch
        >>> from overproof.claims import noisy_batch
        >>> answered = torch.tensor([[0.5, 1.0]])
        >>> batch = replace(noisy_batch(1, 2), student_logits=torch.zeros(1, 2), answer_likelihood=answered)
        >>> round(AnswerLikelihood()(batch).item(), 4)
        0.2877

    Source: Patrini et al. (2017), arXiv 1609.03683, theorem 2, with a likelihood of each example's own.
    """

    def __call__(self, batch: Batch) -> PerExample:
        return answer_nll(batch.student_logits, batch.answer_likelihood)
