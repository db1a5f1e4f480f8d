"""Answers given in Python of which some are missing: rows that say nothing are left out, labels are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.arrays import answer_array, lacks_answer
from overproof.data import Examples, from_arrays
from overproof.data.frames import check_same_rows, gaps_in, label_array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnsweredRows:
    """Arguments of `overproof.teachers.from_arrays.given_arrays` without rows that say nothing.

    Args:
        pool: As there; so are the next three.
        answers: With any class where there is none.
        labels: Of the rows that are left.
        group: Likewise.
        silent: [N], where there is no answer; None for nowhere.
        kept: [N], which of the given rows these are; None for all.
        remarks: On the answers that are missing.
    """

    pool: Any
    answers: Any
    labels: Any
    group: Any
    silent: NDArray[np.bool_] | None = None
    kept: NDArray[np.int64] | None = None
    remarks: tuple[str, ...] = ()


def answered_rows(pool: Any, answers: Any, labels: Any, group: Any) -> AnsweredRows:
    """Examples, answers, labels and groups without the rows that have neither an answer nor a label.

    Args:
        pool: N examples.
        answers: Theirs, of any form.
        labels: [N]; None where none is known.
        group: [N] or None.
    """
    given = answer_array(answers)
    num = -1 if given is None else len(given)
    unchanged = AnsweredRows(pool=pool, answers=answers, labels=labels, group=group)
    words = None if labels is None else label_array(labels.numpy() if isinstance(labels, Tensor) else labels)
    if given is None or (words is not None and len(words) != num):
        # Other lengths are refused where they are compared.
        return unchanged
    silent = lacks_answer(given)
    if not silent.any() or silent.all():
        return unchanged
    check_same_rows(pool, labels, "pool", "labels")
    examples = pool if isinstance(pool, Examples) else from_arrays(pool, origin="pool", missing=gaps_in(pool))
    if len(examples) != num:
        return unchanged
    known = np.zeros(num, bool) if words is None else ~lacks_answer(words)
    kept = np.flatnonzero(known | ~silent)
    labelled = int((known & silent).sum())
    said = [f"{num - len(kept)} without a label are left out"] if len(kept) < num else []
    said += [_keep(labelled, int((known & ~silent).sum()))] if labelled else []
    return AnsweredRows(
        pool=examples.take(kept),
        answers=_filled(given, silent)[kept],
        labels=None if words is None else words[kept],
        group=None if group is None else np.asarray(group, object)[kept].tolist(),
        silent=silent[kept],
        kept=kept,
        remarks=(f"teacher_probs has no answer (None) in {int(silent.sum())} of {num} rows; {'; '.join(said)}.",),
    )


def _keep(num: int, others: int) -> str:
    return (
        f"{num} keep their label, which the student is trained on, and the teacher's errors are estimated on the "
        f"other {others} with a label"
    )


def _filled(answers: NDArray[Any], silent: NDArray[np.bool_]) -> NDArray[Any]:
    """Answers with any class where there is none: that row is marked, and nobody reads it."""
    filled = answers.copy()
    filled[silent] = answers[~silent][0]
    return filled


def labelled_answers(values: Any) -> tuple[Any, NDArray[np.bool_] | None, tuple[str, ...]]:
    """Answers to labelled examples, where there is none, and a remark on these.

    Args:
        values: Of any form.
    """
    given = answer_array(values)
    silent = None if given is None else lacks_answer(given)
    if given is None or silent is None or not silent.any() or silent.all():
        return values, None, ()
    said = _keep(int(silent.sum()), int((~silent).sum()))
    remark = f"labelled_teacher_probs has no answer (None) in {int(silent.sum())} of {len(given)} rows; {said}."
    return _filled(given, silent), silent, (remark,)
