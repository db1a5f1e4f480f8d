"""The loss of forward correction: the student predicts the pseudo-label through the estimated transition matrix."""

from dataclasses import dataclass

from overproof.claims import ConsistentUnderTransition, HardWithoutNoise
from overproof.contract import Batch, PerExample
from overproof.functional import SMALLEST_PROBABILITY, adaptation_nll
from overproof.papers import FORWARD_2017
from overproof.registry import register


@register("loss", "forward_correction", paper=FORWARD_2017, claims=(HardWithoutNoise(), ConsistentUnderTransition()))
@dataclass(frozen=True, kw_only=True, slots=True)
class ForwardCorrection:
    """Minus the log-probability of the target's most likely class through the estimated transition matrix.

    -log sum over true classes i of f_i Q[i, M],  M the target's most likely class, f the student's probabilities and
    Q[i, j] = P(pseudo-label j | true class i). It corrects mistakes that depend on the true class alone, at any margin,
    but not those that depend on the inputs. Predict with the student alone, never with f Q.

    A pseudo-label that never occurred on labelled examples carries no information (only if the noise model has no
    prior): such examples have the same loss for every student.

    Example:
        Half of class 0 is labelled 1, and all of class 1. A student with even probabilities predicts the answer 1
        with probability .75, and has the loss -log .75.

        >>> from dataclasses import replace
        >>> import torch
        >>> from overproof.claims import noisy_batch
        >>> flips = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> batch = replace(noisy_batch(1, 2), student_logits=torch.zeros(1, 2), transition=flips)
        >>> round(ForwardCorrection()(replace(batch, target_probs=torch.tensor([[0.0, 1.0]]))).item(), 4)
        0.2877

    Source: Patrini et al. (2017), arXiv 1609.03683, section 3.2 (theorem 2).
    Differs from the paper: it reads the matrix off a network trained on the noisy labels, at the examples with that
    network's highest probabilities; here it is counted on true labels that the teacher was not trained on, with a prior
    (`noise.prior`).
    """

    def __call__(self, batch: Batch) -> PerExample:
        transition = batch.transition
        transition = transition.where((transition > 0).any(dim=0), SMALLEST_PROBABILITY)
        return adaptation_nll(batch.student_logits, batch.target_probs.argmax(dim=1), transition)
