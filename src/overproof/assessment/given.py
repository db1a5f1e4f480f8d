"""The arrays of `overproof.assess`, checked against each other before anything is estimated from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from overproof.answers.arrays import class_names_of, given_answers
from overproof.answers.order import check_order
from overproof.answers.predictions import refuse_bad_rows
from overproof.data.classes import check_class_names
from overproof.data.frames import check_same_rows
from overproof.data.labels import array_labels
from overproof.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedArrays:
    """Labels and answers that fit together, without the rows that the teacher does not answer.

    Args:
        labels: [n], indices.
        labelled_probs: [n, K].
        pool_probs: [M, K].
        class_names: K names.
        kept: [n], which of the labelled rows these are.
        remarks: On rows without an answer, and on answers that spell a class otherwise.
    """

    labels: Tensor
    labelled_probs: Tensor
    pool_probs: Tensor
    class_names: tuple[str, ...]
    kept: Tensor
    remarks: tuple[str, ...]


def checked_arrays(
    labels: Any, labelled_teacher_probs: Any, pool_teacher_probs: Any, class_names: Sequence[str] | None
) -> CheckedArrays:
    """Labels as indices, the two matrices of probabilities, and the class names.

    Args:
        labels: As for `assess`; so are the others.
        labelled_teacher_probs: [V, K].
        pool_teacher_probs: [N, K].
        class_names: K names.

    Raises:
        InputError: Arrays that do not fit together, rows that are no distributions, a label that is unknown, or columns
            in another order than that of the classes.
    """
    names = class_names_of(labelled_teacher_probs, labels, class_names)
    given = given_answers(labelled_teacher_probs, "labelled_teacher_probs", names)
    given_pool = given_answers(pool_teacher_probs, "pool_teacher_probs", names)
    own, pool = given.probs, given_pool.probs
    names = names or tuple(str(index) for index in range(own.shape[1]))
    check_class_names(names, "class_names")
    for probs, option in ((own, "labelled_teacher_probs"), (pool, "pool_teacher_probs")):
        if probs.shape[1] != len(names):
            raise InputError(f"{option} has {probs.shape[1]} columns for {len(names)} classes; each class needs one.")
        refuse_bad_rows(probs.detach().cpu().double().numpy(), option, np.arange(len(probs)))
    check_same_rows(labels, labelled_teacher_probs, "labels", "labelled_teacher_probs")
    index, _ = array_labels(labels, names, "labels")
    if len(index) != len(own):
        raise InputError(f"labelled_teacher_probs has {len(own)} rows for {len(index)} labels; each needs one.")
    if (index < 0).any():
        row = int((index < 0).int().argmax())
        raise InputError(f"labels, row {row}: the label is unknown; leave this row out of both arrays.")
    kept, answered = (torch.from_numpy(~each.silent).nonzero()[:, 0] for each in (given, given_pool))
    index, own, pool = index[kept], own[kept], pool[answered]
    check_order(
        own.argmax(dim=1).cpu().numpy(),
        index.numpy(),
        names,
        names,
        "labelled_teacher_probs",
        remedy="Put the columns of both arrays of probabilities into the order of class_names.",
    )
    remarks = list[str]()
    for each, option in ((given, "labelled_teacher_probs"), (given_pool, "pool_teacher_probs")):
        if num := int(each.silent.sum()):
            remarks.append(f"{each.lack(option)}; {'it is' if num == 1 else 'they are'} left out.")
        remarks += each.remarks
    return CheckedArrays(
        labels=index, labelled_probs=own, pool_probs=pool, class_names=names, kept=kept, remarks=tuple(remarks)
    )
