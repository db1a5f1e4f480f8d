"""Source of the teacher's probabilities for a batch: stored answers, or the teacher on augmented images."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from overproof.models import Ragged


@runtime_checkable
class TeacherSource(Protocol):
    """The teacher's probabilities for the examples of a batch."""

    def probs(self, stored: Float[Tensor, "B K"], inputs: Tensor | Ragged) -> Float[Tensor, "B K"]:
        """Probabilities [B, K], from the stored answers of these examples or from the student's inputs for them."""
        ...

    def to(self, device: torch.device) -> "TeacherSource":
        """The same on another device."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAnswers:
    """The stored answers, which belong to the examples without augmentation.

    Example:
        >>> StoredAnswers().probs(torch.tensor([[0.25, 0.75]]), torch.zeros(1, 3)).tolist()
        [[0.25, 0.75]]
    """

    def probs(self, stored: Float[Tensor, "B K"], inputs: Tensor | Ragged) -> Float[Tensor, "B K"]:
        """The stored answers."""
        return stored

    def to(self, device: torch.device) -> "StoredAnswers":
        """Itself."""
        return self


STORED = StoredAnswers()
"""The one instance."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnlineTeacher:
    """The teacher evaluated on every augmented image, in evaluation mode and without gradient.

    Args:
        module: Maps the student's inputs to logits [B, K], in the teacher's own order of classes.
        order: [K], the teacher's column of each of the run's classes.

    Example:
        A teacher whose logits are its input, with its classes in the opposite order.

        >>> teacher = OnlineTeacher(module=nn.Identity(), order=torch.tensor([1, 0]))
        >>> teacher.probs(torch.zeros(1, 2), torch.tensor([[0.0, 10.0]])).round().tolist()
        [[1.0, 0.0]]
    """

    module: nn.Module
    order: Int[Tensor, "K"]

    def probs(self, stored: Float[Tensor, "B K"], inputs: Tensor | Ragged) -> Float[Tensor, "B K"]:
        """The teacher's probabilities for the student's inputs."""
        self.module.eval()
        with torch.no_grad():
            answered: Tensor = self.module(inputs).float().softmax(dim=1)
        return answered[:, self.order]

    def to(self, device: torch.device) -> "OnlineTeacher":
        """The same teacher on another device, kernels with the channels last."""
        module = self.module.to(device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's signatures
        return OnlineTeacher(module=module, order=self.order.to(device))
