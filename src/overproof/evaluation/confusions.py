"""Count a row's test predictions: confusion matrix, calibration bins, largest disagreements with the teacher."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.evaluation.metrics import NUM_BINS, confidence_bins
from overproof.functional import names_none

MAX_MATRIX = 30
"""Largest number of classes with a full confusion matrix; beyond it only the largest confusions are kept."""

NUM_PAIRS = 20
"""Number of the largest confusions that are kept."""

NUM_DISAGREEMENTS = 12
"""Number of the largest disagreements with the teacher that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Counts of the test predictions of one row of the table with one seed (`tallies.json`).

    Args:
        method: The row's name.
        seed: The seed.
        confusion: [K][K], number of examples of class i predicted as j; empty beyond 30 classes.
        pairs: (true class, predicted class, number of examples), the 20 most frequent errors.
        reliability: For each of the 15 bins of the calibration error that is not empty: its number, how many examples,
            their mean confidence, and how many are right.
        disagreements: The 12 examples whose predicted class differs from the teacher's and whose probabilities are
            furthest from the teacher's (total variation): row of the test, true class, and the predicted classes and
            their probabilities by teacher and student. None of them is one where the teacher names no class.
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
    teacher_probs: Float[Tensor, "_ K"] | None,
    rows: Int[Tensor, "_"] | None = None,
) -> Tally:
    """Count the predictions of a row on the test, by class, by confidence and against the teacher.

    Args:
        method: The row's name.
        seed: The seed.
        student_probs: [N, K], rows sum to one.
        label: [N], the true classes.
        teacher_probs: [N, K]; None where the teacher has no answers here.
        rows: [N], the row of the test that each is; None where these are 0 to N - 1.

    Example:
        >>> student, teacher = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([[0.6, 0.4], [1.0, 0.0]])
        >>> found = tally("slam", 0, student, torch.tensor([0, 0]), teacher)
        >>> found.confusion, found.pairs
        ([[1, 1], [0, 0]], [(0, 1, 1)])
        >>> [each["row"] for each in found.disagreements]
        [1]
    """
    num_classes = student_probs.shape[1]
    confidence, predicted = student_probs.double().max(dim=1)
    counts = torch.bincount(label.long() * num_classes + predicted, minlength=num_classes**2).view(num_classes, -1)
    wrong = counts.clone().fill_diagonal_(0).flatten()
    order = wrong.sort(descending=True, stable=True).indices[:NUM_PAIRS]
    return Tally(
        method=method,
        seed=seed,
        confusion=counts.tolist() if num_classes <= MAX_MATRIX else [],
        pairs=[(*divmod(at, num_classes), int(wrong[at])) for at in order.tolist() if wrong[at] > 0],
        reliability=_reliability(confidence, predicted == label),
        disagreements=[
            {**each, "row": each["row"] if rows is None else int(rows[each["row"]])}
            for each in _disagreements(student_probs, label, teacher_probs)
        ],
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


def _disagreements(student_probs: Tensor, label: Tensor, teacher_probs: Tensor | None) -> list[dict[str, Any]]:
    if teacher_probs is None:
        return []
    student_probs, teacher_probs = student_probs.double(), teacher_probs.double()
    student, teacher = student_probs.argmax(dim=1), teacher_probs.argmax(dim=1)
    distance = (student_probs - teacher_probs).abs().sum(dim=1) / 2
    distance[(student == teacher) | names_none(teacher_probs)] = -1
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
