"""What a method is given and what it gives back.

B  examples in a batch     N  examples in a data set     K  classes

A method is a composition of parts: a *target* (what the student is asked to match), a *weight* (how much each example
counts) and a *loss* (what is compared with what). Every part reads one `Batch` and returns one row or one number per
example; nothing is averaged here. A perfect teacher is a value: accuracy one, identity transition. There is no None.

transition[i, j] = P(pseudo-label j | true label i), so rows sum to one (the convention of Patrini et al., 2017;
cleanlab's `noise_matrix` is its transpose).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

PerExample = Float[Tensor, "B"]

Memory = Mapping[str, Tensor]
"""What a part keeps between steps, by name. Tensors that require a gradient are learned beside the student; the others
change only in `refresh`. The engine checkpoints it; a part without memory has the empty one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """All that a part may read. In tests B and K are checked across the fields.

    Args:
        student_logits: [B, K], the student's scores; the only field with a gradient.
        target_probs: [B, K], what the student is asked to match; rows sum to one (entries may be negative when a
            self-distilled target extrapolates).
        teacher_probs: [B, K], the teacher's answer; rows sum to one.
        label: [B], the given label, or -1 where none is known.
        teacher_accuracy: [B], P(the teacher's top class is the true one), in [0, 1].
        num_candidates: [B], how many of the teacher's top classes hold the truth with high probability, in 1..K.
        transition: [K, K], P(pseudo-label j | true label i); rows sum to one.
        memory: What the part that reads this batch has kept.
    """

    student_logits: Float[Tensor, "B K"]
    target_probs: Float[Tensor, "B K"]
    teacher_probs: Float[Tensor, "B K"]
    label: Int[Tensor, "B"]
    teacher_accuracy: Float[Tensor, "B"]
    num_candidates: Int[Tensor, "B"]
    transition: Float[Tensor, "K K"]
    memory: Memory = field(default_factory=dict)


@runtime_checkable
class Target(Protocol):
    """What the student is asked to match: one distribution per example, without gradient."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]: ...


@runtime_checkable
class Extrapolating(Protocol):
    """A target that mixes distributions and may go beyond them, to negative entries.

    Only a loss that is linear in the target makes one loss of the mixture, and none is bounded below where
    `extrapolates`: the weights of the student must then decay.
    """

    @property
    def extrapolates(self) -> bool: ...

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]: ...


@runtime_checkable
class Weight(Protocol):
    """How much each example counts: one number per example, without gradient."""

    def __call__(self, batch: Batch) -> PerExample: ...


@runtime_checkable
class Loss(Protocol):
    """What is compared with what: one loss per example."""

    def __call__(self, batch: Batch) -> PerExample: ...


@runtime_checkable
class Remembering(Protocol):
    """A part with memory of its own: learned beside the student where it requires a gradient."""

    def start(self, transition: Float[Tensor, "K K"]) -> Memory: ...


@runtime_checkable
class Learning(Remembering, Protocol):
    """A part whose memory is worth keeping beside the student: what it learned of the teacher, such as its mistakes."""

    def learned(self, memory: Memory) -> Mapping[str, Tensor]: ...


@runtime_checkable
class Refreshing(Remembering, Protocol):
    """A part that looks at held-out labelled examples before every epoch but the first.

    `held_out` holds labelled examples that neither the student nor (through cross-fitting) the teacher was trained on,
    under the current student in evaluation mode and without augmentation. Methods with such a part need labels that
    the student does not train on.
    """

    def refresh(self, memory: Memory, held_out: Batch) -> Memory: ...
