"""The teacher's likeliest classes, one as good as the other: a partial label."""

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
    """Even shares for the teacher's likeliest classes, nothing for the others; with a loss that is linear in the target
    the student pays the mean over the candidates.

    Args:
        num_candidates: How many, at least 1; classes tied with the last one are candidates too, and of fewer classes
            all are.

    Raises:
        InputError: Fewer than one.

    Source: Jeong and Chung (2024), arXiv 2402.10482, section 5.
    """

    num_candidates: Count = 2

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        teacher_probs = batch.teacher_probs
        mask = candidate_mask(teacher_probs, min(self.num_candidates, teacher_probs.shape[1])).to(teacher_probs)
        return mask / mask.sum(dim=1, keepdim=True)
