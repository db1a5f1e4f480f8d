"""The loss of plain distillation with a temperature."""

from dataclasses import dataclass

from overproof.claims import ZeroAtTheTarget
from overproof.contract import Batch, PerExample
from overproof.functional import tempered_divergence
from overproof.options import Positive
from overproof.papers import HINTON_2015
from overproof.registry import register


@register("loss", "tempered_divergence", paper=HINTON_2015, claims=(ZeroAtTheTarget(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class TemperedDivergence:
    """Squared temperature times KL(softened target || softened student).

    Args:
        temperature: Positive; 4 is common.

    Raises:
        InputError: The temperature is not positive.
    """

    temperature: Positive = 4.0

    def __call__(self, batch: Batch) -> PerExample:
        return tempered_divergence(batch.student_logits, batch.target_probs, self.temperature)
