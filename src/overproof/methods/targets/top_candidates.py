"""The target of partial labels: uniform over the teacher's most likely classes."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from overproof.claims import SumsToOne
from overproof.contract import Batch
from overproof.functional import candidate_mask
from overproof.options import Count
from overproof.papers import PARTIAL_LABEL_2024
from overproof.registry import register


@register("target", "top_candidates", paper=PARTIAL_LABEL_2024, claims=(SumsToOne(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class TopCandidates:
    """Uniform over the teacher's most likely classes, zero for the others; with a loss that is linear in the target it
    is the mean loss over the candidates.

    Args:
        num_candidates: Number of candidates, at least 1; classes tied with the last one are candidates too; all classes
            if there are fewer.

    Raises:
        InputError: Fewer than one.

    Source: Jeong and Chung (2024), arXiv 2402.10482, section 5.
    """

    num_candidates: Count = 2

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        teacher_probs = batch.teacher_probs
        mask = candidate_mask(teacher_probs, min(self.num_candidates, teacher_probs.shape[1])).to(teacher_probs)
        return mask / mask.sum(dim=1, keepdim=True)
