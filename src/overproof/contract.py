"""The interface of a method's parts: the `Batch` they read, and the protocols of targets, weights and losses.

B  examples in a batch     N  examples in a data set     K  classes

A method is composed of parts: a *target* (the distribution the student is trained to match), a *weight* (how much each
example counts) and a *loss* (the comparison of student and target). Every part reads one `Batch` and returns one row or
one number per example; nothing is averaged here. No field is None: a perfect teacher has accuracy one and the identity
as transition.

transition[i, j] = P(pseudo-label j | true label i), so rows sum to one (the convention of Patrini et al., 2017;
cleanlab's `noise_matrix` is its transpose).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

PerExample = Float[Tensor, "B"]

Memory = Mapping[str, Tensor]
"""State of a part between steps, by name. Tensors that require a gradient are trained together with the student; the
others change only in `refresh`. It is saved in checkpoints; a part without state has an empty one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Everything a part may read. In tests the shapes are checked across the fields.

    Args:
        student_logits: [B, K], the student's scores; the only field with a gradient.
        target_probs: [B, K], the distribution the student is trained to match; rows sum to one (entries may be
            negative when a self-distilled target extrapolates).
        teacher_probs: [B, K], the teacher's predictions; rows sum to one.
        label: [B], the given label, or -1 where it is unknown.
        teacher_accuracy: [B], P(the pseudo-label is the true class), in [0, 1].
        num_candidates: [B], how many of the teacher's most likely classes contain the true one with high probability,
            in 1..K.
        transition: [K, K], P(pseudo-label j | true label i); rows sum to one.
        answer_likelihood: [B, K], P(the teacher's answer to this example | its true class is k), in [0, 1]; rows need
            not sum to one.
        class_share: [B], the share of the data set's examples of its side with the same class, in (0, 1]: the given
            label of a labelled example, the pseudo-label of a pool example.
        side_share: The share of the batch's examples that are on the side of these (labelled, or pool), in (0, 1]; 1
            for a batch of both.
        memory: The state of the part that reads this batch.
    """

    student_logits: Float[Tensor, "B K"]
    target_probs: Float[Tensor, "B K"]
    teacher_probs: Float[Tensor, "B K"]
    label: Int[Tensor, "B"]
    teacher_accuracy: Float[Tensor, "B"]
    num_candidates: Int[Tensor, "B"]
    transition: Float[Tensor, "K K"]
    answer_likelihood: Float[Tensor, "B K"]
    class_share: Float[Tensor, "B"]
    side_share: float = 1.0
    memory: Memory = field(default_factory=dict)


class DeferredBatch(Batch):
    """A `Batch` whose other fields are made when they are first read: a method reads a few of them in every step."""

    __slots__ = ("_make",)

    @classmethod
    def of(cls, make: Callable[["DeferredBatch", str], Any], **known: Any) -> "DeferredBatch":
        """The batch.

        Args:
            make: Returns a field of the batch by its name.
            known: Fields that are made already.

        Example:
            >>> batch = DeferredBatch.of(lambda batch, name: f"the {name}", label="a label")
            >>> batch.label, batch.transition
            ('a label', 'the transition')
        """
        batch: DeferredBatch = object.__new__(cls)
        object.__setattr__(batch, "_make", make)
        for name, value in known.items():
            object.__setattr__(batch, name, value)
        return batch

    def __getattr__(self, name: str) -> Any:
        # Called for a field without a value only.
        if name not in _FIELDS:
            raise AttributeError(f"a batch has no field {name!r}")
        value = self._make(self, name)
        object.__setattr__(self, name, value)
        return value


_FIELDS = frozenset(each.name for each in fields(Batch))


def changed(batch: Batch, **known: Any) -> Batch:
    """A copy of a batch with other fields, which leaves deferred ones deferred.

    Args:
        batch: Any.
        known: The other fields.

    Example:
        >>> changed(DeferredBatch.of(lambda batch, name: name), label="a label").transition
        'transition'
    """
    if isinstance(batch, DeferredBatch):
        return DeferredBatch.of(lambda _, name: getattr(batch, name), **known)
    return replace(batch, **known)


@runtime_checkable
class Target(Protocol):
    """The distribution the student is trained to match, one per example, without gradient."""

    def __call__(self, batch: Batch) -> Float[Tensor, "B K"]: ...


@runtime_checkable
class Extrapolating(Protocol):
    """A target that mixes distributions and may extrapolate beyond them, to negative entries.

    It needs a loss that is linear in the target. Where `extrapolates`, no such loss is bounded below, so the student
    needs weight decay.
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
    """The comparison of student and target: one loss per example."""

    def __call__(self, batch: Batch) -> PerExample: ...


@runtime_checkable
class Remembering(Protocol):
    """A part with state, which is trained together with the student where it requires a gradient."""

    def start(self, transition: Float[Tensor, "K K"]) -> Memory: ...


@runtime_checkable
class Learning(Remembering, Protocol):
    """A part whose state is saved with the student: what it learned about the teacher, such as a transition matrix."""

    def learned(self, memory: Memory) -> Mapping[str, Tensor]: ...


@runtime_checkable
class Refreshing(Remembering, Protocol):
    """A part that is updated on held-out labelled examples before every epoch except the first.

    `held_out` contains labelled examples that neither the student nor (through cross-fitting) the teacher was trained
    on, with the current student's logits in evaluation mode and without augmentation. Methods with such a part need
    labels that the student does not train on.
    """

    def refresh(self, memory: Memory, held_out: Batch) -> Memory: ...


@runtime_checkable
class Preparing(Protocol):
    """A weight or loss of which something depends on what is stored of an example alone: it is made before the steps.

    A step finds it as `batch.memory["prepared"]`; where that is missing the part computes it itself.
    """

    def prepare(self, batch: Batch) -> Float[Tensor, "B ..."]: ...
