"""What a selector is."""

from typing import Protocol, runtime_checkable

from jaxtyping import Int
from torch import Tensor

from overproof.labels import Answers


@runtime_checkable
class Selector(Protocol):
    """Pool rows to keep, rising, from the teacher's stored answers."""

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]: ...
