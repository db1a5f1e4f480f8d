"""The weight of WD, for which the expected loss on the teacher's label is the loss on the true one."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from overproof.claims import NoGradient, OneWithoutNoise
from overproof.contract import Batch, Memory, PerExample
from overproof.functional import debiased_weight, label_distribution, margin, one_hot, soft_cross_entropy
from overproof.noise import QuantileGrid, num_neighbours
from overproof.options import Count, Positive
from overproof.papers import WD_2022
from overproof.registry import register

TINY = 1e-12
"""Nats; keeps a student that is certain, and right, from dividing zero by zero."""


@register("weight", "debiased", paper=WD_2022, claims=(OneWithoutNoise(), NoGradient()))
@dataclass(frozen=True, kw_only=True, slots=True)
class Debiased:
    """True loss over teacher loss among the nearest held-out examples in (teacher margin, student margin).

    Estimated before every epoch except the first, in which every weight is one. Nothing is tuned.

    Args:
        estimator: `ratio` divides the neighbours' mean true loss by their mean teacher loss; `separate` estimates the
            teacher's error and the distortion apart and puts them into 1 / (1 + error * (distortion - 1)), the paper's
            form, which suffers where one neighbour's true loss is almost zero.
        cap: Largest weight, above 0; infinity lifts it.
        neighbours: How many, at least 1; `auto` is half the square root of the held-out examples, at least 5.
        student_covariate: `margin` is the paper's: how sure the student is. `agreement` is how sure it is of the
            teacher's class: its probability less the largest other one, which distinguishes a confident disagreement
            from a confident agreement. The identity E[weight * noisy loss] = E[true loss] holds given any covariate.
        cells: Cells a side of the table the weights are read from, at least 1.

    Source: Iliopoulos et al. (2022), arXiv 2210.06711, sections 2 and 3.
    Differs from the paper: the student's margin is that of the training step itself, not of a pass over the pool after
    the epoch, so it is fresher, costs nothing, and sees augmentation and dropout; `ratio`, the cap at one, and dividing
    the batch's sum by the number of examples rather than by the sum of weights are our reading.
    """

    estimator: Literal["ratio", "separate"] = "ratio"
    cap: Positive = 1.0
    neighbours: Count | Literal["auto"] = "auto"
    student_covariate: Literal["margin", "agreement"] = "margin"
    cells: Count = 32

    def start(self, transition: Float[Tensor, "K K"]) -> Memory:
        """A table of ones."""
        one_cell = QuantileGrid.fit(torch.zeros(1, 2), torch.ones(1, 1), k=1, cells=1)
        return {"offset": one_cell.offset, "table": one_cell.table}

    def refresh(self, memory: Memory, held_out: Batch) -> Memory:
        """The table of weights under the current student."""
        teacher_loss = soft_cross_entropy(held_out.student_logits, held_out.target_probs)
        truth = label_distribution(held_out.label, held_out.teacher_probs)
        true_loss = soft_cross_entropy(held_out.student_logits, truth)
        if self.estimator == "ratio":
            values = torch.stack([true_loss, teacher_loss], dim=1)
        else:
            wrong = one_hot(held_out.teacher_probs).argmax(dim=1) != held_out.label
            distortion = torch.where(wrong, (teacher_loss + TINY) / (true_loss + TINY), 1.0)
            values = torch.stack([wrong.to(distortion), distortion], dim=1)
        wanted = num_neighbours(len(values)) if self.neighbours == "auto" else self.neighbours
        grid = QuantileGrid.fit(self._covariates(held_out), values, k=min(wanted, len(values)), cells=self.cells)
        first, second = grid.table.unbind(dim=1)
        ratio = (first + TINY) / (second + TINY) if self.estimator == "ratio" else debiased_weight(first, second)
        return {"offset": grid.offset, "table": ratio.clamp(max=self.cap).unsqueeze(1)}

    def __call__(self, batch: Batch) -> PerExample:
        grid = QuantileGrid(offset=batch.memory["offset"], table=batch.memory["table"])
        return grid(self._covariates(batch)).squeeze(1).to(batch.student_logits.dtype)

    def prepare(self, batch: Batch) -> Float[Tensor, "B"]:
        """The teacher's margin."""
        return margin(batch.teacher_probs)

    def _covariates(self, batch: Batch) -> Tensor:
        """[B, 2], both in [0, 1]."""
        by_teacher = batch.memory["prepared"] if "prepared" in batch.memory else self.prepare(batch)
        student_probs = batch.student_logits.detach().softmax(dim=1)
        if self.student_covariate == "margin":
            return torch.stack([by_teacher, margin(student_probs)], dim=1)
        teacher_class = one_hot(batch.teacher_probs).bool()
        others = student_probs.masked_fill(teacher_class, 0).amax(dim=1)
        agreement = (student_probs * teacher_class).sum(dim=1) - others
        return torch.stack([by_teacher, (1 + agreement) / 2], dim=1)
