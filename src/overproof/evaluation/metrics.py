"""How good answers are: the same numbers for a student, for its teacher and for every other row of a table."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY

NUM_BINS = 15
"""Bins of the calibration error, of equal width; the customary number."""


def metrics(
    student_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], teacher_probs: Float[Tensor, "_ _"]
) -> dict[str, float]:
    """What can be said of a student on labelled examples, beside its teacher; give the teacher's twice to judge it.

    `accuracy`: share of rows whose likeliest class is the label. `macro_f1`: mean over the classes that occur in
    `label` of 2 right / (asked + answered). `log_loss`: mean of -log probability of the label, each probability first
    raised to 1e-7, so that one row costs 16.1 nats at most. `ece`: |confidence - accuracy| of the likeliest class in
    15 bins of equal width, each weighted by its share of the rows. `agreement`: share of rows where student and
    teacher name the same class. `accuracy_where_teacher_wrong`: accuracy on the rows whose teacher is wrong; there is
    no such key when the teacher is never wrong. `num_examples`: the rows.

    Args:
        student_probs: [N, K], rows sum to one.
        label: [N], the true classes, in 0..K-1.
        teacher_probs: [N, K], rows sum to one.

    Example:
        Right once in two, and sure of it where it is wrong.

        >>> answers = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
        >>> metrics(answers, torch.tensor([0, 1]), answers)["accuracy"]
        0.5
        >>> metrics(answers, torch.tensor([0, 1]), answers)["ece"]
        0.75

    Raises:
        InputError: No rows, sizes that differ, a label that is unknown (-1) or not a class, or a student that does
            not answer with numbers.

    Source: Guo et al. (2017), arXiv 1706.04599, section 2 (calibration error).
    """
    _check(student_probs, label, teacher_probs)
    probs = student_probs.double()
    confidence, answer = probs.max(dim=1)
    right, teacher_right = correct(student_probs, label), correct(teacher_probs, label)
    result = {
        "accuracy": _mean(right),
        "macro_f1": _macro_f1(answer, label, probs.shape[1]),
        "log_loss": _mean(-probs.gather(1, label.long().unsqueeze(1)).clamp(min=SMALLEST_PROBABILITY).log()),
        "ece": _calibration_error(confidence, right),
        "agreement": _mean(answer == teacher_probs.argmax(dim=1)),
    }
    if not teacher_right.all():
        result["accuracy_where_teacher_wrong"] = _mean(right[~teacher_right])
    result["num_examples"] = len(label)
    return result


def correct(probs: Float[Tensor, "N K"], label: Int[Tensor, "N"]) -> Bool[Tensor, "N"]:
    """True where the likeliest class is the label (the first one where several tie): what pairs two rows of a table.

    Example:
        >>> correct(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([0, 1])).tolist()
        [True, False]
    """
    return probs.argmax(dim=1) == label


def confidence_bins(confidence: Float[Tensor, "N"]) -> Int[Tensor, "N"]:
    """The bin of the calibration error that each confidence is in: bin b holds (b / 15, (b + 1) / 15], bin 0 also 0.

    Example:
        >>> confidence_bins(torch.tensor([0.0, 0.5, 1.0])).tolist()
        [0, 7, 14]
    """
    return (confidence * NUM_BINS).ceil().long().sub(1).clamp(0, NUM_BINS - 1)


def _check(student_probs: Tensor, label: Tensor, teacher_probs: Tensor) -> None:
    num, num_classes = student_probs.shape
    if teacher_probs.shape != student_probs.shape:
        raise InputError(
            f"The student answers for {num} rows and {num_classes} classes and the teacher for "
            f"{len(teacher_probs)} rows and {teacher_probs.shape[1]} classes: they must be the same."
        )
    if len(label) != num:
        raise InputError(f"There are {len(label)} labels for {num} rows of answers: each row needs one.")
    if num == 0:
        raise InputError("There are no rows to evaluate: at least one is needed.")
    outside = (label < 0) | (label >= num_classes)
    if outside.any():
        row = int(outside.int().argmax())
        found = "no label (-1)" if label[row] == -1 else f"label {int(label[row])}"
        raise InputError(
            f"Row {row} (counting from 0) has {found}, and evaluation needs one in 0..{num_classes - 1} on every row."
        )
    broken = ~student_probs.isfinite().all(dim=1)
    if broken.any():
        raise InputError(
            f"The student's answer for row {int(broken.int().argmax())} (counting from 0) is not a number: its "
            "training diverged, and a lower learning rate may help."
        )


def _mean(values: Tensor) -> float:
    return values.double().mean().item()


def _macro_f1(answer: Tensor, label: Tensor, num_classes: int) -> float:
    asked = torch.bincount(label, minlength=num_classes)
    answered = torch.bincount(answer, minlength=num_classes)
    hits = torch.bincount(label[answer == label], minlength=num_classes)
    return _mean((2 * hits / (asked + answered).clamp(min=1).double())[asked > 0])


def _calibration_error(confidence: Tensor, right: Tensor) -> float:
    bins = confidence_bins(confidence)
    gap = torch.zeros(NUM_BINS, dtype=torch.float64).index_add_(0, bins.cpu(), (confidence - right.double()).cpu())
    return gap.abs().sum().item() / len(right)
