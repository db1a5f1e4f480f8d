"""A teacher's probabilities and the class names of arrays and data frames, as Python gives them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.cells import classes_in_cells
from overproof.answers.words import counted_words, first_of, ranked, readings
from overproof.data import check_classes
from overproof.data.frames import column_names, is_frame, label_array, table_of_frame
from overproof.data.labels import array_labels, given_words, sorted_classes
from overproof.data.wording import counted, listed, reason
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
    if not is_frame(teacher_probs) and np.ndim(teacher_probs) == 1 and answer_array(teacher_probs) is None:
        raise InputError(
            "The teacher's answers are one number a row, which is no class; give the class of each row, or [N, K] "
            "probabilities."
        )
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
        if len(found) < 2 and teacher_probs is None:
            raise InputError(
                f"labels: all are {found[0]!r}, so nothing says what the other classes are; give labels of these too, "
                f"or all classes as class_names=[…]."
                if found
                else "labels: none is known; some examples need a label, the others have None, NaN or -1."
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
        values: An array, tensor or data frame.
        option: What to call it in errors.
        names: The class names; () where the columns are numbered.

    Raises:
        InputError: It is no matrix of floats, or its columns have other names.
    """
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
    if isinstance(values, list | tuple) and not all(
        value is None or isinstance(value, str | int | float) for value in values
    ):
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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GivenAnswers:
    """The answers of a teacher that are given in Python, as probabilities.

    Args:
        probs: [N, K]; where there is no answer they mean nothing.
        silent: [N], where there is none: None, NaN, an empty word or one that is no class; in a matrix a row of NaN.
        instead: What these have in place of an answer, with how often; empty where none is silent.
        remarks: On answers that spell a class otherwise, and on those that list several classes.
    """

    probs: Tensor
    silent: NDArray[np.bool_]
    instead: str = ""
    remarks: tuple[str, ...] = ()

    def lack(self, option: str) -> str:
        """How many rows have no answer, the beginning of a sentence.

        Args:
            option: What the answers are called.

        Example:
            >>> given_answers(["no", None, "maybe"], "answers", ["no", "yes"]).lack("answers")
            "answers: 2 of 3 rows have no answer (None (1), 'maybe' (1))"
        """
        num = int(self.silent.sum())
        return f"{option}: {num} of {len(self.silent)} rows {'has' if num == 1 else 'have'} no answer ({self.instead})"


def given_answers(values: Any, option: str, names: Sequence[str] = ()) -> GivenAnswers:
    """A teacher's answers, read by the rules of files of answers (`overproof.answers.spelling`).

    Args:
        values: [N, K] probabilities, an array, tensor or data frame; or [N] classes, names or indices, each of which
            has probability 1. One that lists several classes, such as `a; b`, gives each the same.
        option: What to call it in errors and remarks.
        names: The class names; () where the columns are numbered.

    Raises:
        InputError: As `probs_matrix`; an index beyond the classes; no answer at all.

    Example:
        >>> found = given_answers(["No.", "yes", "unknown", None, "no; yes"], "answers", ["no", "yes"])
        >>> found.silent.tolist(), found.instead, found.probs[[0, 1, 4]].tolist()
        ([False, False, True, True, False], "None (1), 'unknown' (1)", [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
        >>> found.remarks[0]
        "answers: 1 answer spells a class otherwise and is read as it: 'No.' as 'no' (1)."
    """
    answers = answer_array(values) if names else None
    if answers is None:
        probs = probs_matrix(values, option, names)
        gone = probs.isnan().all(dim=1) if probs.shape[1] else torch.zeros(len(probs), dtype=torch.bool)
        anything = torch.nn.functional.one_hot(torch.tensor(0), max(probs.shape[1], 1)).to(probs)
        probs = torch.where(gone[:, None], anything, probs) if gone.any() else probs
        found = GivenAnswers(probs=probs, silent=gone.cpu().numpy(), instead=f"NaN ({int(gone.sum())})")
    elif answers.dtype.kind in "iu":
        index, _ = array_labels(answers, tuple(names), option)
        probs = torch.nn.functional.one_hot(index.clamp(min=0), len(names)).float()
        silent = (index < 0).numpy()
        found = GivenAnswers(probs=probs, silent=silent, instead=f"-1 ({int(silent.sum())})")
    else:
        found = _in_words(answers.tolist(), option, names)
    if len(found.silent) and found.silent.all():
        classes = f"; the classes are {listed(list(names))}" if names else ""
        raise InputError(
            f"{option}: none of {len(found.silent)} rows has an answer ({found.instead}){classes}; give answers."
        )
    return found


def _in_words(answers: Sequence[Any], option: str, names: Sequence[str]) -> GivenAnswers:
    """Answers that are words, None where there is none."""
    words = ["" if each is None else str(each) for each in answers]
    counts = Counter(words)
    known, none = readings(list(counts), names, {})
    several = {word: each for word, each in classes_in_cells(none, names, {}).items() if any(each)}
    place = {name: number for number, name in enumerate(names)}
    probs, silent = torch.zeros(len(words), len(names)), np.zeros(len(words), bool)
    for row, word in enumerate(words):
        meant = [known[word]] if word in known else [name for name in several.get(word, ()) if name is not None]
        silent[row] = not meant
        probs[row, [place[name] for name in meant or names[:1]]] = 1 / max(len(meant), 1)
    gone = sum(each is None for each in answers)
    odd = Counter({word: num for word, num in counts.items() if word in none - set(several)})
    odd.subtract({"": gone} if gone else {})
    parts = [f"None ({gone})"] * bool(gone) + [counted_words(+odd)] * bool(+odd)
    taken = Counter({(word, name): counts[word] for word, name in known.items() if word != name})
    said = first_of(f"{word!r} as {each!r} ({num})" for (word, each), num in ranked(taken))
    listing = Counter({word: counts[word] for word in several})
    remarks = [
        f"{option}: {counted(taken.total(), 'answer spells', 'answers spell')} a class otherwise and "
        f"{'is' if taken.total() == 1 else 'are'} read as it: {said}."
    ] * bool(taken)
    remarks += [
        f"{option}: {counted(listing.total(), 'answer lists', 'answers list')} several classes, each of which is taken "
        f"for equally likely: "
        f"{counted_words(listing)}."
    ] * bool(listing)
    return GivenAnswers(probs=probs, silent=silent, instead=", ".join(parts), remarks=tuple(remarks))


def _highest(labels: Any) -> int:
    values = labels.cpu().numpy() if isinstance(labels, Tensor) else label_array(labels)
    if values.dtype.kind not in "iub":
        raise InputError("labels are names and the answers of the teacher are indices; give both as names.")
    return int(values.max(initial=0))
