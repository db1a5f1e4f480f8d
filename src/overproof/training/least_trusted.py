"""The pool examples with the least weight in a training, or the lowest estimated teacher accuracy."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from overproof.methods.composition import Memories, Method
from overproof.models import Inputs
from overproof.noise import NoiseEstimate
from overproof.training.examples import SETTLED_ROWS, AnsweredExamples

NUM_LEAST = 12
"""Number of examples that are listed."""

NUM_BINS = 20
"""Bins of the teacher's estimated accuracy, of equal width."""


def least_trusted(
    method: Method,
    inputs: Inputs,
    pool: AnsweredExamples,
    student_logits: Float[Tensor, "N K"],
    noise: NoiseEstimate,
    memories: Memories,
) -> dict[str, Any]:
    """Summarise the weights of pool examples in a training, and list the examples with the least.

    Args:
        method: The method.
        inputs: Encoded examples.
        pool: [N], the selected examples.
        student_logits: [N, K], the trained student's, in evaluation mode.
        noise: The estimate of the teacher's errors.
        memories: The memory of the method's parts at the end of training.

    Returns:
        An empty dictionary if all weights and all accuracies are equal. Else `by`, "weight" or
        "teacher accuracy"; `least`, the rows among the N with the smallest values, of equal ones those whose
        pseudo-label has the lowest probability by the student; and `accuracy_counts`, how many examples are in each of
        20 bins of estimated teacher accuracy, where it varies.
    """
    if len(pool) == 0:
        return {}
    rows, weights, agreements = pool.rows(inputs, noise), [], []
    for part in torch.arange(len(pool)).split(SETTLED_ROWS):
        batch = rows.batch(part, student_logits[part], rows.teacher_probs.take(part), noise.transition)
        memory = {path: {name: value.detach().cpu() for name, value in each.items()} for path, each in memories.items()}
        _, weight = method.pool.terms(batch, memory, "pool")
        weights.append(weight)
        chosen = pool.answers.class_indices[part, :1].long()
        agreements.append(student_logits[part].softmax(dim=1).gather(1, chosen)[:, 0])
    weight, accuracy, agreement = torch.cat(weights), rows.teacher_accuracy, torch.cat(agreements)
    found: dict[str, Any] = {}
    by, value = "weight", weight
    if weight.min() == weight.max():
        by, value = "teacher accuracy", accuracy
    if accuracy.min() < accuracy.max():
        bins = (accuracy.double() * NUM_BINS).long().clamp(0, NUM_BINS - 1)
        found["accuracy_counts"] = torch.bincount(bins, minlength=NUM_BINS).tolist()
    if value.min() < value.max():
        order = lowest(value, agreement, NUM_LEAST)
        found["by"] = by
        found["least"] = [
            {
                "row": row,
                "teacher": int(pool.answers.class_indices[row, 0]),
                "value": round(float(value[row]), 4),
                "student_prob": round(float(agreement[row]), 4),
            }
            for row in order
        ]
    return found


def lowest(value: Float[Tensor, "N"], among_equal: Float[Tensor, "N"], num: int) -> list[int]:
    """The rows with the lowest values, of equal ones those with the lowest second number, then the first.

    Args:
        value: [N], at least one.
        among_equal: [N].
        num: How many rows.

    Example:
        >>> lowest(torch.tensor([1.0, 0.0, 1.0, 2.0]), torch.tensor([0.5, 0.9, 0.1, 0.0]), 2)
        [1, 2]
    """
    # Few rows are sorted, whatever the number of all.
    few = (value <= value.kthvalue(min(num, len(value))).values).nonzero()[:, 0]
    order = np.lexsort((among_equal[few].numpy(), value[few].numpy()))[:num]
    return few[torch.from_numpy(order)].tolist()
