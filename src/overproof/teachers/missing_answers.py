"""Answers given in Python of which some are missing: rows that say nothing are left out, labels are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.arrays import GivenAnswers, lacks_answer
from overproof.data import Examples, from_arrays
from overproof.data.frames import gaps_in, label_array
from overproof.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnsweredRows:
    """Arguments of `overproof.teachers.from_arrays.given_arrays` without rows that say nothing.

    Args:
        pool: As there; so are labels and group.
        probs: [M, K], the answers to the rows that are left; where there is none they mean nothing.
        labels: Of the rows that are left.
        group: Likewise.
        silent: [M], where there is no answer.
        kept: [M], which of the given rows these are; None for all.
        remarks: On the answers.
    """

    pool: Any
    probs: Tensor
    labels: Any
    group: Any
    silent: NDArray[np.bool_]
    kept: NDArray[np.int64] | None = None
    remarks: tuple[str, ...] = ()


def answered_rows(pool: Any, answers: GivenAnswers, labels: Any, group: Any) -> AnsweredRows:
    """Examples, answers, labels and groups without the rows that have neither an answer nor a label.

    Args:
        pool: N examples.
        answers: [N], theirs.
        labels: [N]; None where none is known.
        group: [N] or None.

    Raises:
        InputError: No row without a label has an answer.
    """
    silent, num = answers.silent, len(answers.silent)
    unchanged = AnsweredRows(
        pool=pool, probs=answers.probs, labels=labels, group=group, silent=silent, remarks=answers.remarks
    )
    words = None if labels is None else label_array(labels.numpy() if isinstance(labels, Tensor) else labels)
    if not silent.any() or (words is not None and len(words) != num):
        # Other lengths are refused where they are compared.
        return unchanged
    examples = pool if isinstance(pool, Examples) else from_arrays(pool, origin="pool", missing=gaps_in(pool))
    if len(examples) != num:
        return unchanged
    known = np.zeros(num, bool) if words is None else ~lacks_answer(words)
    if silent[~known].all() and not known.all():
        raise InputError(
            f"teacher_probs answers none of the {int((~known).sum())} rows without a label, but has {answers.instead}; "
            f"the student learns from answers to these."
        )
    kept = np.flatnonzero(known | ~silent)
    labelled = int((known & silent).sum())
    said = [f"{num - len(kept)} without a label are left out"] if len(kept) < num else []
    said += [_keep(labelled, int((known & ~silent).sum()))] if labelled else []
    return AnsweredRows(
        pool=examples.take(kept),
        probs=answers.probs[kept],
        labels=None if words is None else words[kept],
        group=None if group is None else np.asarray(group, object)[kept].tolist(),
        silent=silent[kept],
        kept=kept,
        remarks=(_no_answer("teacher_probs", answers, said), *answers.remarks),
    )


def _keep(num: int, others: int) -> str:
    return (
        f"{num} keep their label, which the student is trained on, and the teacher's errors are estimated on the "
        f"other {others} with a label"
    )


def _no_answer(option: str, answers: GivenAnswers, said: list[str]) -> str:
    return f"{answers.lack(option)}; {'; '.join(said)}."


def remarks_on_labelled(answers: GivenAnswers) -> tuple[str, ...]:
    """Remarks on answers to labelled examples, which keep their label where there is none.

    Args:
        answers: `labelled_teacher_probs`, as they were read.
    """
    silent = int(answers.silent.sum())
    said = [_keep(silent, len(answers.silent) - silent)]
    return (*([_no_answer("labelled_teacher_probs", answers, said)] if silent else []), *answers.remarks)
