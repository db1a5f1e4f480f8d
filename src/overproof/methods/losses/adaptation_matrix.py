"""The loss of DFND: the student predicts the pseudo-label through a trained matrix of the teacher's mistakes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.claims import FloorIsTheDiagonal, KeepsItsDiagonal
from overproof.contract import Batch, Memory, PerExample
from overproof.errors import InputError
from overproof.functional import adaptation_nll_of_logs, log_adaptation_matrix, tempered_divergence
from overproof.options import NotNegative, Positive, PositiveShare
from overproof.papers import DFND_2021
from overproof.registry import register


@register("loss", "adaptation_matrix", paper=DFND_2021, claims=(KeepsItsDiagonal(), FloorIsTheDiagonal()))
@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationMatrix:
    """Tempered divergence from the target, minus the log-probability of its most likely class through a matrix Q.

    temperature^2 * KL(softened target || softened student) - log (f Q)_M,  M the target's most likely class, f the
    student's probabilities. Q[i, j] = P(pseudo-label j | true class i): its diagonal is fixed, its other entries are
    trained, (1 - Q[i, i]) times a softmax that starts uniform. Predict with the student alone, never with f Q.

    Args:
        diagonal: The accuracy of the teacher. `estimated` is one number, the mean over the classes of the estimated
            transition's diagonal (of the published accuracy where there are no labels); `estimated_by_class` is that
            diagonal itself; a number in (0, 1] or a list of K of them is used unchanged. At 1 there is no matrix:
            -log f_M, the loss of students without Q.
        temperature: Of the divergence, positive; the paper's is 4.
        divergence: Weight of the divergence, zero or more; the paper's is 1. At 0 the matrix is used alone.

    Raises:
        InputError: An option is out of range.

    Source: Chen et al. (2021), Learning Student Networks in the Wild, CVPR, section 3.2.
    Differs from the paper: it measures the diagonal on data that it does not have in the wild (its figure a value per
    class, its code one number); here the value is estimated on a few labels or is a published one.
    """

    diagonal: PositiveShare | tuple[PositiveShare, ...] | Literal["estimated", "estimated_by_class"] = "estimated"
    temperature: Positive = 4.0
    divergence: NotNegative = 1.0

    def start(self, transition: Float[Tensor, "K K"]) -> Memory:
        """The fixed diagonal and even scores for the rest."""
        num_classes = len(transition)
        scores = torch.zeros(num_classes, num_classes - 1, device=transition.device)
        return {"diagonal": self._diagonal(transition).to(scores), "scores": scores.requires_grad_()}

    def __call__(self, batch: Batch) -> PerExample:
        log_transition = log_adaptation_matrix(batch.memory["diagonal"], batch.memory["scores"])
        loss = adaptation_nll_of_logs(batch.student_logits, batch.target_probs.argmax(dim=1), log_transition)
        if self.divergence:
            tempered = tempered_divergence(batch.student_logits, batch.target_probs, self.temperature)
            loss = loss + self.divergence * tempered
        return loss

    def learned(self, memory: Memory) -> Mapping[str, Tensor]:
        """The matrix Q, [K, K]; rows sum to one."""
        return {"transition": log_adaptation_matrix(memory["diagonal"].detach(), memory["scores"].detach()).exp()}

    def _diagonal(self, transition: Tensor) -> Tensor:
        if self.diagonal == "estimated":
            return transition.diagonal().mean().expand(len(transition)).clone()
        if self.diagonal == "estimated_by_class":
            return transition.diagonal().clone()
        given = torch.tensor(self.diagonal)
        if given.ndim == 1 and len(given) != len(transition):
            raise InputError(
                f"loss.diagonal holds {len(given)} numbers; one for each of {len(transition)} classes is needed."
            )
        return given.expand(len(transition)).clone()
