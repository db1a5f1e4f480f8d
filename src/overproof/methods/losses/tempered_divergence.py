"""Plain distillation at a temperature."""

from dataclasses import dataclass

from overproof.claims import ZeroAtTheTarget
from overproof.contract import Batch, PerExample
from overproof.errors import InputError
from overproof.functional import tempered_divergence
from overproof.papers import HINTON_2015
from overproof.registry import register


@register("loss", "tempered_divergence", paper=HINTON_2015, claims=(ZeroAtTheTarget(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class TemperedDivergence:
    """Squared temperature times KL(softened target || softened student).

    Args:
        temperature: Positive; 4 is the field's habit.

    Raises:
        InputError: The temperature is not positive.
    """

    temperature: float = 4.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"loss.temperature is {self.temperature}; it must be positive.")

    def __call__(self, batch: Batch) -> PerExample:
        return tempered_divergence(batch.student_logits, batch.target_probs, self.temperature)
