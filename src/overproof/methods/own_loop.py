"""WD in a training loop of one's own: weights that are refreshed on held-out labels once an epoch."""

from typing import Any

import torch
from torch import Tensor

from overproof.contract import Batch, Memory, PerExample
from overproof.errors import InputError
from overproof.functional import one_hot
from overproof.methods.weights import Debiased


class Weights:
    """The weights of Weighted Distillation for a loop of your own: four arrays in, one weight per example out.

    All weights are one until the first `refresh`, which belongs before every epoch except the first. Multiply them with
    the loss on the teacher's answers, and divide the sum by the number of examples, not by the sum of the weights.

    Args:
        labels: [n], classes 0..K-1 of labelled examples that **neither the student nor the teacher was trained on**.
        teacher_probs: [n, K], the teacher's probabilities on them; rows sum to one.
        soft: Whether the student is trained on the teacher's probabilities; by default on its top class.
        estimate: How weights are estimated.

    Raises:
        InputError: No example; a label outside 0..K-1; as many labels as rows are needed; rows that do not sum to one.

    Example:
        The teacher is wrong on half of the examples it is sure of; where the student is as sure of the right class, the
        weight is small, because the loss on the teacher's class is mostly a loss on a wrong one.

        >>> labels = torch.tensor([0, 1] * 20)
        >>> teacher_probs = torch.tensor([[0.9, 0.1]]).repeat(40, 1)
        >>> weights = Weights(labels, teacher_probs)
        >>> weights(teacher_probs[:2], torch.zeros(2, 2)).tolist()
        [1.0, 1.0]
        >>> student_logits = torch.nn.functional.one_hot(labels, 2) * 4.0
        >>> weights.refresh(student_logits)
        >>> bool((weights(teacher_probs[:2], student_logits[:2]) < 0.1).all())
        True

    Source: Iliopoulos et al. (2022), arXiv 2210.06711, sections 2 and 3; `overproof.methods.weights.Debiased` says what
    differs from the paper.
    """

    def __init__(
        self,
        labels: Tensor,
        teacher_probs: Tensor,
        *,
        soft: bool = False,
        estimate: Debiased | None = None,
    ) -> None:
        _check("teacher_probs", teacher_probs, probs=True)
        if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.is_floating_point():
            raise InputError(f"labels is {_told(labels)}; a tensor of class numbers [n], from 0, is needed.")
        num_classes = teacher_probs.shape[1]
        if len(labels) != len(teacher_probs) or len(labels) == 0:
            raise InputError(
                f"labels has {len(labels)} rows and teacher_probs {len(teacher_probs)}; both need one for each "
                f"held-out example, and there must be one at least."
            )
        if (outside := (labels < 0) | (labels >= num_classes)).any():
            row = int(outside.int().argmax())
            raise InputError(f"labels, row {row}: {int(labels[row])} is no class; allowed are 0 to {num_classes - 1}.")
        self.labels, self.teacher_probs, self.soft = labels, teacher_probs, soft
        self.estimate = estimate or Debiased()
        self.memory: Memory = self.estimate.start(torch.eye(num_classes))

    def __repr__(self) -> str:
        kind = "soft" if self.soft else "hard"
        return f"Weights({len(self.labels)} held-out examples, {self.teacher_probs.shape[1]} classes, {kind} labels)"

    def refresh(self, student_logits: Tensor) -> None:
        """Estimate the weights anew under the current student.

        Args:
            student_logits: [n, K], on the held-out examples, in evaluation mode and without gradient.

        Raises:
            InputError: They are not one row for each held-out example, or not finite.
        """
        _check("student_logits", student_logits)
        if student_logits.shape != self.teacher_probs.shape:
            raise InputError(
                f"student_logits has shape {tuple(student_logits.shape)}; {tuple(self.teacher_probs.shape)}, one row "
                f"for each held-out example, is needed."
            )
        if not student_logits.isfinite().all():
            row = int((~student_logits.isfinite()).any(dim=1).nonzero()[0])
            raise InputError(f"student_logits, row {row}: a score is not finite; the student has diverged.")
        device = student_logits.device
        held_out = self._batch(self.teacher_probs.to(device), student_logits.detach(), self.labels.to(device))
        self.memory = self.estimate.refresh(self.memory, held_out)

    def __call__(self, teacher_probs: Tensor, student_logits: Tensor) -> PerExample:
        """The weights of a batch, [B], without gradient.

        Args:
            teacher_probs: [B, K], the teacher's probabilities on a batch of the pool.
            student_logits: [B, K], the student's scores on it.

        Raises:
            InputError: They have other shapes, or the teacher's rows do not sum to one.
        """
        _check("teacher_probs", teacher_probs, probs=True)
        _check("student_logits", student_logits)
        if teacher_probs.shape != student_logits.shape or teacher_probs.shape[1] != self.teacher_probs.shape[1]:
            raise InputError(
                f"teacher_probs has shape {tuple(teacher_probs.shape)} and student_logits "
                f"{tuple(student_logits.shape)}; both need a row for each example of the batch and "
                f"{self.teacher_probs.shape[1]} columns."
            )
        unknown = torch.full((len(student_logits),), -1, device=student_logits.device)
        memory = {name: value.to(student_logits.device) for name, value in self.memory.items()}
        return self.estimate(self._batch(teacher_probs, student_logits.detach(), unknown, memory))

    def _batch(
        self, teacher_probs: Tensor, student_logits: Tensor, label: Tensor, memory: Memory | None = None
    ) -> Batch:
        ones = student_logits.new_ones(len(student_logits))
        return Batch(
            student_logits=student_logits.float(),
            target_probs=teacher_probs if self.soft else one_hot(teacher_probs),
            teacher_probs=teacher_probs,
            label=label,
            teacher_accuracy=ones,
            num_candidates=torch.full_like(label, student_logits.shape[1]),
            transition=torch.eye(student_logits.shape[1], device=student_logits.device),
            answer_likelihood=teacher_probs,
            class_share=ones,
            memory=memory or {},
        )


def _told(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"of type {type(value).__name__}"
    return f"of type {str(value.dtype).removeprefix('torch.')} and shape {tuple(value.shape)}"


def _check(name: str, value: Any, *, probs: bool = False) -> None:
    if not isinstance(value, Tensor) or value.ndim != 2 or not value.is_floating_point():
        one_hot_hint = "; torch.nn.functional.one_hot(labels, K).float() makes them of hard labels" if probs else ""
        raise InputError(f"{name} is {_told(value)}; a float tensor [rows, classes] is needed{one_hot_hint}.")
    if probs and ((value.sum(dim=1) - 1).abs() > 0.01).any():
        row = int((value.sum(dim=1) - 1).abs().argmax())
        raise InputError(f"{name}, row {row}: the probabilities sum to {float(value[row].sum()):.3g}; 1 is needed.")
