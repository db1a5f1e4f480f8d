"""The selector that keeps the whole pool."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.registry import register


@register("select", "everything", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class Everything:
    """All rows."""

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        return torch.arange(len(answers))
