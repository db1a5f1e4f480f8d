"""How good answers are: the same numbers for a student, for its teacher and for every other row of a table."""

import torch
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri
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


def accuracy_interval(num_right: int, num: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for an accuracy: the accuracies p whose own sampling error z sqrt(p (1 - p) / num) reaches it.

    Args:
        num_right: In 0..num.
        num: Independent test examples, at least 1.
        level: In (0, 1).

    Returns:
        The ends, within [0, 1].

    Example:
        Never right in four: between 0 and z^2 / (4 + z^2) with z = 1.96.

        >>> low, high = accuracy_interval(0, 4)
        >>> low, round(high, 3)
        (0.0, 0.49)

    Raises:
        InputError: Counts that are not so.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    if not 0 <= num_right <= num or num < 1:
        raise InputError(f"{num_right} right of {num} is not an accuracy: 0 <= right <= number and number >= 1.")
    z2 = float(ndtri((1 + level) / 2)) ** 2
    middle = (num_right + z2 / 2) / (num + z2)
    half = (z2 * (num_right * (num - num_right) / num + z2 / 4)) ** 0.5 / (num + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_difference(
    first: Bool[Tensor, "N"], second: Bool[Tensor, "N"], *, level: float = 0.95
) -> tuple[float, float, float]:
    """How much more often the second of two is right on the same examples, with the interval of Agresti and Min.

    The difference is (b - c) / N, b being the examples that only the second has right and c those that only the first
    has. Its interval is Wald's after one half was added to each of the four cells, so that two that never differ do not
    get an interval of no width.

    Args:
        first: [N], whether the first is right (`correct`).
        second: [N], whether the second is.
        level: In (0, 1).

    Returns:
        The difference and the ends of its interval, in [-1, 1].

    Example:
        >>> same = torch.tensor([True, False, True])
        >>> [round(each, 2) for each in paired_difference(same, same)]
        [0.0, -0.39, 0.39]

    Source: Agresti and Min (2005), Simple improved confidence intervals for comparing matched proportions, Statistics
    in Medicine 24.
    """
    num = len(first)
    won, lost = int((second & ~first).sum()), int((first & ~second).sum())
    middle = (won - lost) / (num + 2)
    half = float(ndtri((1 + level) / 2)) * ((won + lost + 1 - (won - lost) ** 2 / (num + 2)) ** 0.5) / (num + 2)
    return (won - lost) / num, max(-1.0, middle - half), min(1.0, middle + half)


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
    # Bin b holds the confidences in (b/15, (b+1)/15].
    bins = (confidence * NUM_BINS).ceil().long().sub(1).clamp(0, NUM_BINS - 1)
    gap = torch.zeros(NUM_BINS, dtype=torch.float64).index_add_(0, bins.cpu(), (confidence - right.double()).cpu())
    return gap.abs().sum().item() / len(right)
