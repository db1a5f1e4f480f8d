"""What one row of a table said on the test, counted: whom it mistakes for whom, how sure it is, where it differs."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.evaluation.metrics import NUM_BINS, confidence_bins

MAX_MATRIX = 30
"""Up to so many classes all confusions are kept, beyond that the largest."""

NUM_PAIRS = 20
"""How many of the largest confusions are named."""

NUM_DISAGREEMENTS = 12
"""How many of the examples that student and teacher disagree on are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """One row on one seed's test.

    Args:
        method: As in the table.
        seed: The run's.
        confusion: [K][K], how many examples of class i were named j; empty beyond 30 classes.
        pairs: (class, named class, how many), the 20 commonest mistakes.
        reliability: For each of the 15 bins of confidence of the calibration error that is not empty: its number, how
            many examples, their mean confidence, and how many were right.
        disagreements: The 12 examples on which the answer is furthest from the teacher's (total variation) and names
            another class: row of the test, class, what the teacher and the student name and how sure they are.
    """

    method: str
    seed: int
    confusion: list[list[int]]
    pairs: list[tuple[int, int, int]]
    reliability: list[tuple[int, int, float, int]]
    disagreements: list[dict[str, Any]]


def tally(
    method: str,
    seed: int,
    student_probs: Float[Tensor, "_ K"],
    label: Int[Tensor, "_"],
    teacher_probs: Float[Tensor, "_ K"],
) -> Tally:
    """Count what can be shown of a row's answers on the test.

    Args:
        method: Its name.
        seed: The run's.
        student_probs: [N, K], rows sum to one.
        label: [N], the true classes.
        teacher_probs: [N, K].

    Example:
        >>> sure = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
        >>> told = tally("slam", 0, sure, torch.tensor([0, 0]), torch.tensor([[0.6, 0.4], [1.0, 0.0]]))
        >>> told.confusion, told.pairs
        ([[1, 1], [0, 0]], [(0, 1, 1)])
        >>> [each["row"] for each in told.disagreements]
        [1]
    """
    num_classes = student_probs.shape[1]
    confidence, named = student_probs.double().max(dim=1)
    counts = torch.bincount(label.long() * num_classes + named, minlength=num_classes**2).view(num_classes, -1)
    wrong = counts.clone().fill_diagonal_(0).flatten()
    order = wrong.sort(descending=True, stable=True).indices[:NUM_PAIRS]
    return Tally(
        method=method,
        seed=seed,
        confusion=counts.tolist() if num_classes <= MAX_MATRIX else [],
        pairs=[(*divmod(at, num_classes), int(wrong[at])) for at in order.tolist() if wrong[at] > 0],
        reliability=_reliability(confidence, named == label),
        disagreements=_disagreements(student_probs.double(), label, teacher_probs.double()),
    )


def _reliability(confidence: Tensor, right: Tensor) -> list[tuple[int, int, float, int]]:
    bins = confidence_bins(confidence)
    found = []
    for number in range(NUM_BINS):
        inside = bins == number
        if inside.any():
            found.append(
                (number, int(inside.sum()), round(confidence[inside].mean().item(), 4), int(right[inside].sum()))
            )
    return found


def _disagreements(student_probs: Tensor, label: Tensor, teacher_probs: Tensor) -> list[dict[str, Any]]:
    student, teacher = student_probs.argmax(dim=1), teacher_probs.argmax(dim=1)
    distance = (student_probs - teacher_probs).abs().sum(dim=1) / 2
    distance[student == teacher] = -1
    rows = distance.sort(descending=True, stable=True).indices[:NUM_DISAGREEMENTS]
    return [
        {
            "row": row,
            "label": int(label[row]),
            "teacher": int(teacher[row]),
            "teacher_prob": round(teacher_probs[row].max().item(), 4),
            "student": int(student[row]),
            "student_prob": round(student_probs[row].max().item(), 4),
        }
        for row in rows.tolist()
        if distance[row] >= 0
    ]
