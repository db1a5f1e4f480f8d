"""The self-distilled target: a mixture of given label and teacher prediction by ξ, which may exceed 1."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from overproof.claims import SumsToOne, TruthWithoutNoise
from overproof.contract import Batch
from overproof.errors import InputError
from overproof.functional import margin, self_distilled_target
from overproof.options import Finite, checked
from overproof.papers import SELF_DISTILLATION_2023
from overproof.registry import register


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class ImitationSearch:
    """How `imitation: auto` looks for ξ: coarse, then finer around the best, each try a student of the one teacher.

    Args:
        candidates: Values of ξ tried first, rising; the closed-form guess of `functional.held_out_imitation`, made from
            the student at ξ = 1, joins them where 1 is among them.
        halvings: How often the middles between the best value and its neighbours are tried afterwards; each costs two
            students.
        criterion: What the held-out labels judge: `squared` is the mean squared distance between answer and label
            (the Brier score), `accuracy` how often they differ. Held-out labels may be as noisy as the others:
            noise adds the same to every squared distance, and symmetric noise shrinks every accuracy alike.

    Raises:
        InputError: No candidates, candidates that do not rise or are not finite, or a negative number of halvings.
    """

    candidates: Annotated[tuple[Finite, ...], Field(min_length=1)] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    halvings: Annotated[int, Field(ge=0)] = 1
    criterion: Literal["squared", "accuracy"] = "squared"

    def __post_init__(self) -> None:
        if any(low >= high for low, high in zip(self.candidates, self.candidates[1:], strict=False)):
            raise InputError(f"target.search.candidates is {self.candidates}; the numbers must rise.")


@register("target", "self_distilled", paper=SELF_DISTILLATION_2023, claims=(SumsToOne(), TruthWithoutNoise()))
@dataclass(frozen=True, kw_only=True, slots=True)
class SelfDistilled:
    """ξ times the teacher's prediction plus (1 - ξ) times the given label; every example must have one.

    A teacher that is trained on the same labels has partly fitted the noise of each label. If it has fitted the share
    m, the target contains the share 1 - ξ (1 - m): ξ = 1 / (1 - m) > 1 removes the noise. So with noisy labels,
    in-sample predictions need ξ above 1, and cross-fitted ones (m = 0) ξ near 1.

    Args:
        imitation: ξ. 0 is the label, 1 the prediction; above 1 (or below 0) entries become negative, the loss has no
            lower bound, and weight decay is required. `auto` chooses it on held-out labels.
        slope: Added to ξ per unit of the teacher's margin: ξ(x) = imitation + slope * margin(x), so that every example
            has its own ξ. With 0 it is the same for all.
        search: How `auto` looks.

    Raises:
        InputError: Numbers that are not finite.

    Source: Das and Sanghavi (2023), arXiv 2301.13304, section 2.
    Differs from the paper: there the mixture is of two losses; for a loss linear in the target it is the same, and
    others are refused. The slope is ours.
    """

    imitation: Finite | Literal["auto"] = 1.0
    slope: Finite = 0.0
    search: ImitationSearch = field(default_factory=ImitationSearch)

    @property
    def extrapolates(self) -> bool:
        """Whether some target may have negative entries: whether ξ may leave [0, 1]."""
        tried = self.search.candidates if isinstance(self.imitation, str) else (self.imitation,)
        ends = [each + step for each in (min(tried), max(tried)) for step in (0.0, self.slope)]
        return min(ends) < 0 or max(ends) > 1

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        assert not isinstance(self.imitation, str), "'auto' is chosen before training"
        imitation: float | Tensor = self.imitation
        if self.slope:
            imitation = self.imitation + self.slope * margin(batch.teacher_probs)
        return self_distilled_target(batch.label, batch.teacher_probs, imitation)
