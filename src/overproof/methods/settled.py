"""What a step need not compute: targets and weights that depend on what is stored of an example alone."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.contract import PerExample


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """Target and weight of the examples of a batch, or of all rows, where the method's parts are of a row alone.

    Args:
        target_probs: [B, K], or None where the target depends on more.
        weight: [B], or None where the weight depends on more.
        of_loss: [B, ...], what the loss of the pool has prepared, where it serves the labelled examples too; else None.
        of_weight: [B], what a weight has prepared; else None.
    """

    target_probs: Float[Tensor, "B K"] | None = None
    weight: PerExample | None = None
    of_loss: Float[Tensor, "B ..."] | None = None
    of_weight: Float[Tensor, "B"] | None = None

    def take(self, rows: Int[Tensor, "M"]) -> "Settled":
        """Those of some rows."""
        parts = (self.target_probs, self.weight, self.of_loss, self.of_weight)
        target, weight, loss, by_weight = (None if part is None else part.index_select(0, rows) for part in parts)
        return Settled(target_probs=target, weight=weight, of_loss=loss, of_weight=by_weight)

    @classmethod
    def joined(cls, parts: Sequence["Settled"]) -> "Settled":
        """That of all rows from that of parts of them, at least one."""

        def whole(name: str) -> Tensor | None:
            found = [getattr(part, name) for part in parts]
            return None if found[0] is None else torch.cat(found)

        return cls(**{each.name: whole(each.name) for each in fields(cls)})


NOT_SETTLED = Settled()
"""Nothing is known before the step."""
