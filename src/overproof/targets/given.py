"""The label somebody gave: what labelled examples are matched with."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.claims import SumsToOne, TruthWithoutNoise
from overproof.contract import Batch
from overproof.registry import register


@register("target", paper=None, claims=(SumsToOne(), TruthWithoutNoise()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """One-hot of the given label; every example must have one."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]:
        return torch.zeros_like(batch.teacher_probs).scatter_(1, batch.label.unsqueeze(1), 1.0)
