"""The selector that drops the whole pool: training on the labels alone."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.registry import register


@register("select", "nothing", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class Nothing:
    """No rows."""

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]:
        return torch.arange(0)
