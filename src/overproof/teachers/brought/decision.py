"""The class that a model predicts, and the largest of its scores: which counts where a threshold was tuned."""

from typing import Literal

import numpy as np

from overproof.data import Examples
from overproof.data.wording import listed
from overproof.errors import InputError

Decision = Literal["", "probabilities", "predict"]
"""Of the option `decision`."""


def shown(row: np.ndarray) -> str:
    """A row of scores for a message.

    Example:
        >>> shown(np.array([0.5, 1 / 3]))
        '0.5, 0.333'
    """
    values = [f"{value:.3g}" for value in np.asarray(row, np.float64).ravel()]
    return ", ".join(values[:4]) + (", …" if len(values) > 4 else "")


def which(examples: Examples, row: int) -> str:
    """An example for a message: by its id, where the data have one.

    Args:
        examples: Among these.
        row: Its place there, which says nothing of its place in a file.
    """
    if examples.keys is None:
        return f"an example of {examples.origin}"
    return f"the example with id {str(examples.keys[row].as_py())!r} of {examples.origin}"


def check_decision(
    decision: Decision, predicted: np.ndarray, scores: np.ndarray, names: tuple[str, ...], who: str, examples: Examples
) -> np.ndarray | None:
    """Whether the class that a model predicts is that of its largest score; refused where no option says which counts.

    Args:
        decision: The option: "" for none, `probabilities` or `predict`.
        predicted: [n], the predicted classes, by name or number.
        scores: [n, K], in the order of `names`.
        names: K class names.
        who: What to call the teacher in errors.
        examples: n examples, for errors.

    Returns:
        [n], the column of each predicted class, where the option is `predict`; None where the scores count, or where
        the predictions are not named like the classes.

    Raises:
        InputError: They differ, and no option says which counts.
    """
    if decision == "probabilities":
        return None
    words = [str(each) for each in np.asarray(predicted).ravel().tolist()]
    if len(words) != len(scores):
        return None
    numbers = set(map(str, range(len(names))))
    if not (set(words) <= set(names) or set(words) <= numbers):
        if decision == "predict":
            raise InputError(
                f"{who} predicts {listed(sorted(set(words) - set(names)), limit=3)}, which is none of its classes "
                f"{listed(names)}; leave out 'teacher.options.decision'."
            )
        return None
    if set(words) <= set(names):
        column = np.array([names.index(word) for word in words], np.int64)
        if not decision and set(words) <= numbers != set(names):
            # Whether names or places are meant cannot be told.
            return None
    else:
        column = np.array([int(word) for word in words], np.int64)
    if decision == "predict":
        return column
    rows = np.arange(len(scores))
    largest = scores.max(axis=1)
    other = scores[rows, column] < largest - 1e-6 * np.maximum(1, np.abs(largest))
    if other.any():
        row = int(other.nonzero()[0][0])
        raise InputError(
            f"{who} predicts another class than that of its largest score in {int(other.sum())} of {len(scores)} rows "
            f"(such as {which(examples, row)}: {names[column[row]]!r}, with {shown(scores[row])}); say which is the "
            f"answer: 'teacher.options.decision: predict' (the predicted class, with probability 1) or 'decision: "
            f"probabilities'."
        )
    return None
