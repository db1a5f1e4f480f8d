"""Classification metrics of a student or teacher: accuracy, macro F1, log-loss, calibration error, agreement."""

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY, names_none

NUM_BINS = 15
"""Number of bins of the calibration error, of equal width."""

_AT_A_TIME = 2**16
"""Rows whose log-odds are computed at once."""


def metrics(
    student_probs: Float[Tensor, "_ _"],
    label: Int[Tensor, "_"],
    teacher_probs: Float[Tensor, "_ _"] | None,
    *,
    guesses: bool = False,
) -> dict[str, float]:
    """Metrics of a student on labelled examples; pass the teacher's probabilities twice for those of the teacher.

    `accuracy`: share of rows whose predicted (likeliest) class is the label. `macro_f1`: mean over the classes that
    occur in `label` of 2 hits / (labels + predictions). `log_loss`: mean of -log probability of the label, each
    probability first clamped to at least 1e-7, so that one row contributes 16.1 nats at most. `ece`: |confidence -
    accuracy| of the predicted class in 15 bins of equal width, each weighted by its share of the rows. `agreement`:
    share of rows where student and teacher predict the same class. `accuracy_where_teacher_wrong`: accuracy on the rows
    where the teacher is wrong; the key is missing where it is never wrong. Both are about the rows where the teacher
    names a class; `num_no_class` is the number of the others, where there are any. `num_examples`: number of rows.

    A row of the teacher that gives all classes the same probability names none (`overproof.functional.names_none`). In
    the metrics of the teacher it counts as a guess: 1/K of a right answer and of a prediction of each class.

    Args:
        student_probs: [N, K], rows sum to one.
        label: [N], the true classes, in 0..K-1.
        teacher_probs: [N, K], rows sum to one; None where the teacher has no answers here, which leaves out what
            compares with it.
        guesses: Whether these are the metrics of a teacher. The first class is the prediction of a student whose
            probabilities are all the same, as it is when it is deployed.

    Example:
        One of two is right, and the wrong one has confidence 1.

        >>> probs = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
        >>> metrics(probs, torch.tensor([0, 1]), probs)["accuracy"]
        0.5
        >>> metrics(probs, torch.tensor([0, 1]), probs)["ece"]
        0.75

        Of the teacher the first is a guess.

        >>> metrics(probs, torch.tensor([0, 1]), probs, guesses=True)["accuracy"]
        0.25

    Raises:
        InputError: No rows, sizes that differ, a label that is unknown (-1) or not a class, or student probabilities
            that are not finite.

    Source: Guo et al. (2017), arXiv 1706.04599, section 2 (calibration error).
    """
    _check(student_probs, label, student_probs if teacher_probs is None else teacher_probs)
    probs = student_probs.double()
    confidence, predicted = probs.max(dim=1)
    right = correct(student_probs, label, guesses=guesses)
    result = {
        "accuracy": _mean(right),
        "macro_f1": _macro_f1(predicted, label, names_none(probs) & guesses, probs.shape[1]),
        "log_loss": _mean(-probs.gather(1, label.long().unsqueeze(1)).clamp(min=SMALLEST_PROBABILITY).log()),
        "ece": _calibration_error(confidence, right),
    }
    if teacher_probs is not None:
        named = ~names_none(teacher_probs)
        if named.any():
            result["agreement"] = _mean((predicted == teacher_probs.argmax(dim=1))[named])
        teacher_wrong = named & ~correct(teacher_probs, label)
        if teacher_wrong.any():
            result["accuracy_where_teacher_wrong"] = _mean(right[teacher_wrong])
        if not named.all():
            result["num_no_class"] = int((~named).sum())
    result["num_examples"] = len(label)
    return result


def correct(
    probs: Float[Tensor, "N K"], label: Int[Tensor, "N"], *, guesses: bool = False
) -> Bool[Tensor, "N"] | Float64[Tensor, "N"]:
    """True where the likeliest class, of tied ones the first, is the label; used to pair rows of a table by example.

    Args:
        probs: [N, K].
        label: [N].
        guesses: Whether a row with all classes alike counts 1/K, as often as a guess is right. Where there is such a
            row, numbers from 0 to 1 are returned.

    Example:
        >>> correct(torch.tensor([[0.9, 0.1], [0.5, 0.5]]), torch.tensor([0, 1])).tolist()
        [True, False]
        >>> correct(torch.tensor([[0.9, 0.1], [0.5, 0.5]]), torch.tensor([0, 1]), guesses=True).tolist()
        [1.0, 0.5]
    """
    right = probs.argmax(dim=1) == label
    if not guesses or not (none := names_none(probs)).any():
        return right
    return right.double().masked_fill(none, 1 / probs.shape[1])


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
            f"The student's probabilities have {num} rows and {num_classes} classes, those of the teacher "
            f"{len(teacher_probs)} rows and {teacher_probs.shape[1]} classes; they must be the same."
        )
    if len(label) != num:
        raise InputError(f"There are {len(label)} labels for {num} rows of probabilities; each row needs one.")
    if num == 0:
        raise InputError("There are no rows to evaluate; at least one is needed.")
    outside = (label < 0) | (label >= num_classes)
    if outside.any():
        row = int(outside.int().argmax())
        found = "no label (-1)" if label[row] == -1 else f"label {int(label[row])}"
        raise InputError(
            f"Row {row} (counting from 0) has {found}; evaluation needs a label in 0..{num_classes - 1} on every row."
        )
    broken = ~student_probs.isfinite().all(dim=1)
    if broken.any():
        raise InputError(
            f"The student's probabilities of row {int(broken.int().argmax())} (counting from 0) are not finite: its "
            "training diverged; a lower learning rate may help."
        )


def _mean(values: Tensor) -> float:
    return values.double().mean().item()


def _macro_f1(predicted: Tensor, label: Tensor, guessed: Tensor, num_classes: int) -> float:
    labels = torch.bincount(label, minlength=num_classes)
    predictions = torch.bincount(predicted[~guessed], minlength=num_classes)
    hits = torch.bincount(label[(predicted == label) & ~guessed], minlength=num_classes)
    if guessed.any():
        predictions = predictions + guessed.sum() / num_classes
        hits = hits + torch.bincount(label[guessed], minlength=num_classes) / num_classes
    return _mean((2 * hits / (labels + predictions).clamp(min=1).double())[labels > 0])


def _calibration_error(confidence: Tensor, right: Tensor) -> float:
    bins = confidence_bins(confidence)
    gap = torch.zeros(NUM_BINS, dtype=torch.float64).index_add_(0, bins.cpu(), (confidence - right.double()).cpu())
    return gap.abs().sum().item() / len(right)


def deviation_slope(
    student_logits: Float[Tensor, "N K"], named: Int[Tensor, "N"], confidence: Float[Tensor, "N"]
) -> float | None:
    """How the student's log-odds of the teacher's class rise with the teacher's own: the slope of least squares.

    Above 1 the student exaggerates the teacher's confidence, below 1 it evens it out; 1 is a copy.

    Args:
        student_logits: [N, K].
        named: [N], the teacher's likeliest class.
        confidence: [N], its probability of that class. Examples where it is 0 or 1 have no log-odds and do not count.

    Returns:
        None with fewer than 30 examples that count, or where all of them have the same confidence.

    Example:
        A student with twice the log-odds of its teacher.

        >>> confidence = torch.linspace(0.5, 0.9, 40)
        >>> odds = confidence.logit()
        >>> logits = torch.stack([2 * odds, torch.zeros(40)], dim=1)
        >>> round(deviation_slope(logits, torch.zeros(40, dtype=torch.int64), confidence), 4)
        2.0

    Source: Nagarajan et al. (2023), arXiv 2301.12923.
    """
    known = (confidence > 0) & (confidence < 1)
    if int(known.sum()) < 30:
        return None
    student, spread = torch.empty(2, int(known.sum()), dtype=torch.float64)
    # Of very many rows their probabilities and logits would take several times the memory of these two numbers.
    start = 0
    for logits, own, prob, some in zip(
        *(each.split(_AT_A_TIME) for each in (student_logits, named, confidence, known)), strict=True
    ):
        stop = start + int(some.sum())
        student[start:stop] = _log_odds(logits[some].double(), own[some].long().unsqueeze(1))
        spread[start:stop] = prob[some].double().logit()
        start = stop
    spread -= spread.mean()
    if spread.square().mean().sqrt().item() < 1e-3:
        return None
    return ((spread * student).sum() / spread.square().sum()).item()


def _log_odds(logits: Float[Tensor, "N K"], own: Int[Tensor, "N 1"]) -> Float[Tensor, "N"]:
    """Of one class against all others."""
    return logits.gather(1, own).squeeze(1) - logits.scatter(1, own, -torch.inf).logsumexp(dim=1)
