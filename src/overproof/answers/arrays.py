"""A teacher's probabilities and the class names of arrays and data frames, as Python gives them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.data import check_classes
from overproof.data.frames import column_names, is_frame, label_array, table_of_frame
from overproof.data.labels import array_labels, given_words, sorted_classes
from overproof.data.wording import at_row, reason
from overproof.errors import InputError


def class_names_of(teacher_probs: Any, labels: Any, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """Class names as given, as the columns of `teacher_probs`, or as the labels have them; () for numbered columns.

    Args:
        teacher_probs: None where the teacher is a classifier.
        labels: Of the labelled examples.
        class_names: As given.

    Raises:
        InputError: Labels are names, and nothing shows which column is which class.
    """
    if class_names is not None:
        return tuple(class_names)
    if (named := column_names(teacher_probs)) is not None:
        return named
    if teacher_probs is not None and (answers := answer_array(teacher_probs)) is not None:
        if answers.dtype.kind in "iu":
            highest = max(int(answers.max(initial=0)), _highest(labels))
            return tuple(str(index) for index in range(highest + 1))
        teacher_probs = None
    values = labels.numpy() if isinstance(labels, Tensor) else label_array(labels)
    if values.dtype.kind in "UO" and all(value is None or isinstance(value, str) for value in values.tolist()):
        found = sorted_classes(
            sorted({word for word in given_words(values.tolist(), (), "labels") if word is not None})
        )
        if teacher_probs is not None:
            raise InputError(
                f"labels are names, and nothing shows which column of teacher_probs is which class; give class_names, "
                f"in the order of the columns: class_names={found[:10]}."
            )
        return tuple(found)
    if teacher_probs is not None:
        return ()
    if values.dtype.kind not in "iub":
        raise InputError("labels must be class indices 0..K-1 or class names, one for each labelled example.")
    return tuple(str(index) for index in range(int(values.max(initial=0)) + 1))


def probs_matrix(values: Any, option: str, names: Sequence[str] = ()) -> Tensor:
    """[N, K] probabilities; the columns of a frame are matched with the class names by name.

    Args:
        values: An array, tensor or data frame; or [N] answers, class names or indices, each of which has probability 1.
        option: What to call it in errors.
        names: The class names; () where the columns are numbered.

    Raises:
        InputError: It is no matrix of floats, or its columns have other names; an answer is missing or no class.
    """
    if (answers := answer_array(values)) is not None and names:
        index, _ = array_labels(answers, tuple(names), option)
        if (unanswered := (index < 0).nonzero()[:, 0]).numel():
            raise InputError(
                f"{option} has no answer in {len(unanswered)} of {len(index)} rows, first in "
                f"{at_row(int(unanswered[0]))}; leave these rows out of pool and labels too."
            )
        return torch.nn.functional.one_hot(index, len(names)).float()
    if (named := column_names(values)) is not None and names:
        check_classes(sorted(names), sorted(named), option)
        table = table_of_frame(values, option).select(list(names))
        try:
            values = np.stack([column.to_numpy().astype(np.float64) for column in table.columns], axis=1)
        except (TypeError, ValueError) as error:
            raise InputError(f"{option} must hold numbers only: {reason(error)}.") from None
    if not isinstance(values, Tensor) and (given := np.asarray(values)).dtype.kind not in "fiub":
        raise InputError(f"{option} is an array of {given.dtype}; it must hold probabilities as numbers.")
    # A copy, because arrays of frames may be read-only.
    matrix = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    if matrix.ndim != 2 or not matrix.is_floating_point():
        raise InputError(
            f"{option} is an array of {matrix.dtype} with shape {tuple(matrix.shape)}; it must hold probabilities, "
            f"one row an example and one column a class."
        )
    return matrix


def answer_array(values: Any) -> NDArray[Any] | None:
    """[N] answers as names (None where there is none) or indices (-1); None where values are no such list.

    Args:
        values: A teacher's answers, as Python gives them.
    """
    if is_frame(values) or hasattr(values, "predict_proba") or len(getattr(values, "shape", (0,))) != 1:
        return None
    if isinstance(values, list | tuple) and not all(value is None or isinstance(value, str | int) for value in values):
        return None
    found = values.cpu().numpy() if isinstance(values, Tensor) else label_array(values)
    return found if found.ndim == 1 and found.dtype.kind in "iuUO" else None


def lacks_answer(answers: NDArray[Any]) -> NDArray[np.bool_]:
    """[N], where there is no answer.

    Args:
        answers: [N], as of `answer_array`.

    Example:
        >>> lacks_answer(np.array(["no", None, " "], object)).tolist(), lacks_answer(np.array([0, -1])).tolist()
        ([False, True, True], [False, True])
    """
    if answers.dtype.kind in "iu":
        return answers < 0
    return np.array([each is None or (isinstance(each, str) and not each.strip()) for each in answers.tolist()], bool)


def _highest(labels: Any) -> int:
    values = labels.cpu().numpy() if isinstance(labels, Tensor) else label_array(labels)
    if values.dtype.kind not in "iub":
        raise InputError("labels are names and the answers of the teacher are indices; give both as names.")
    return int(values.max(initial=0))
