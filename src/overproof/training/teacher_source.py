"""Who answers for the examples of a batch: the store, or the teacher itself on the very images the student sees."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from overproof.models import Ragged


@runtime_checkable
class Answering(Protocol):
    """The teacher's probabilities for the examples of a batch."""

    def probs(self, stored: Float[Tensor, "B K"], inputs: Tensor | Ragged) -> Float[Tensor, "B K"]:
        """Probabilities [B, K], from the stored answers of these examples and from what the student sees of them."""
        ...

    def to(self, device: torch.device) -> "Answering":
        """The same on another device."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """The answers to the examples as they are, whatever augmentation makes of them: asked once, read ever after.

    Example:
        >>> Stored().probs(torch.tensor([[0.25, 0.75]]), torch.zeros(1, 3)).tolist()
        [[0.25, 0.75]]
    """

    def probs(self, stored: Float[Tensor, "B K"], inputs: Tensor | Ragged) -> Float[Tensor, "B K"]:
        """The stored answers."""
        return stored

    def to(self, device: torch.device) -> "Stored":
        """Itself."""
        return self


STORED = Stored()
"""The only one there needs to be."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Online:
    """The teacher asked anew about every augmented image, in evaluation mode and without gradient.

    Args:
        module: What the student sees to logits [B, K], in the teacher's own order of classes.
        order: [K], which of the teacher's columns each of the run's classes is.

    Example:
        A teacher that answers with its input, whose classes stand the other way round.

        >>> teacher = Online(module=nn.Identity(), order=torch.tensor([1, 0]))
        >>> teacher.probs(torch.zeros(1, 2), torch.tensor([[0.0, 10.0]])).round().tolist()
        [[1.0, 0.0]]
    """

    module: nn.Module
    order: Int[Tensor, "K"]

    def probs(self, stored: Float[Tensor, "B K"], inputs: Tensor | Ragged) -> Float[Tensor, "B K"]:
        """The teacher's answers to what the student sees."""
        self.module.eval()
        with torch.no_grad():
            answered: Tensor = self.module(inputs).float().softmax(dim=1)
        return answered[:, self.order]

    def to(self, device: torch.device) -> "Online":
        """The same teacher on another device, kernels with the channels last."""
        module = self.module.to(device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's signatures
        return Online(module=module, order=self.order.to(device))
