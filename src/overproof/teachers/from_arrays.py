"""Labelled examples, pool and teacher of `overproof.distill`, checked against each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.arrays import answer_array, class_names_of, lacks_answer, probs_matrix
from overproof.answers.order import check_order
from overproof.answers.predictions import compress
from overproof.data import Examples, from_arrays, grouped
from overproof.data.classes import check_class_names
from overproof.data.frames import check_same_rows, frame_without, gaps_in, is_frame, label_array, table_of_frame
from overproof.data.wording import listed, nearest
from overproof.errors import InputError
from overproof.teachers.brought.given_classifier import GivenRows, cross_fitted_estimator, pool_without_halves

NUM_FOLDS = 5
"""Folds in which a classifier that is given unfitted is cross-fitted."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GivenArrays:
    """Examples and the teacher's probabilities on them.

    Args:
        labelled: n examples with known labels.
        pool: N examples.
        labelled_probs: [n, K], out of sample.
        silent: [n], where there is no answer to a labelled example; the probabilities there mean nothing.
        pool_probs: [N, K].
        without_half: [N, K] for each half of the labelled examples, by a teacher that was fitted without it; empty for
            a teacher that was not trained on them.
        remarks: What is to be known of them.
    """

    labelled: Examples
    pool: Examples
    labelled_probs: Tensor
    silent: Tensor
    pool_probs: Tensor
    without_half: tuple[Tensor, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Answered:
    """Arguments of `given_arrays` without rows that say nothing.

    Args:
        pool: As there; so are the next three.
        answers: With any class where there is none.
        labels: Of the rows that are left.
        group: Likewise.
        silent: [N], where there is no answer; None for nowhere.
        remarks: On the answers that are missing.
    """

    pool: Any
    answers: Any
    labels: Any
    group: Any
    silent: NDArray[np.bool_] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CrossFittedAnswers:
    """Answers of a teacher that was trained on the labelled examples, each by a fit that had not seen the example.

    They are given to `overproof.distill` as `teacher_probs`, where labelled examples and pool are one set.

    Args:
        probs: [N, K], on all examples.
        without_half: [M, K] for each half of the labelled examples, on those without a label, by a fit without that
            half (`cross_fitting.folds` with two folds and the seed of the training); for a search.
    """

    probs: Tensor
    without_half: tuple[Tensor, ...] = ()


def given_arrays(
    pool: Any,
    teacher_probs: Any,
    labelled: Any,
    labels: Any,
    labelled_teacher_probs: Any,
    *,
    class_names: Sequence[str] | None,
    labelled_group: Any,
    seed: int,
    halves: bool = False,
) -> GivenArrays:
    """Labelled examples, pool, and the teacher's probabilities on each, checked against each other.

    Args:
        pool: As for `overproof.distill`; so are the next six.
        teacher_probs: The teacher's answers on the pool, or a classifier.
        labelled: Labelled examples; None where they are in the pool.
        labels: Their labels.
        labelled_teacher_probs: The teacher's answers on them.
        class_names: The classes.
        labelled_group: The groups of the labelled examples.
        seed: Draws the folds of a classifier that is not fitted.
        halves: Whether its answers on the pool without each half of the labelled examples are needed.

    Raises:
        InputError: Arrays that do not fit together, named with their shapes.
    """
    crossed = teacher_probs if isinstance(teacher_probs, CrossFittedAnswers) else None
    teacher_probs = teacher_probs if crossed is None else crossed.probs
    remarks: tuple[str, ...] = ()
    silent: NDArray[np.bool_] | None = None
    if crossed is None and not hasattr(teacher_probs, "predict_proba"):
        if labelled is None:
            pool, labels = without_labels(pool, labels, "pool")
            both = _answered(pool, teacher_probs, labels, labelled_group)
            labels, labelled_group, silent = both.labels, both.group, both.silent
        else:
            both = _answered(pool, teacher_probs, None, None)
            labelled_teacher_probs, silent, remarks = _labelled_answers(labelled_teacher_probs)
        pool, teacher_probs, remarks = both.pool, both.answers, (*both.remarks, *remarks)
    classifier = teacher_probs if hasattr(teacher_probs, "predict_proba") else None
    frames = [frame_without(each, labels if isinstance(labels, str) else None) for each in (labelled, pool)]
    _check_which(classifier, labelled, labels, labelled_teacher_probs)
    if labelled is None:
        pool, labels = without_labels(pool, labels, "pool")
    else:
        labelled, labels = without_labels(labelled, labels, "labelled")
    for first, second, words in (
        (labelled, labels, ("labelled", "labels")),
        (labelled, labelled_teacher_probs, ("labelled", "labelled_teacher_probs")),
        (pool, teacher_probs, ("pool", "teacher_probs")),
        (pool if labelled is None else None, labels, ("pool", "labels")),
    ):
        check_same_rows(first, second, *words)
    names = class_names_of(None if classifier is not None else teacher_probs, labels, class_names)
    given = probs_matrix(teacher_probs, "teacher_probs", names) if classifier is None else None
    num_classes = len(names) if given is None else given.shape[1]
    names = names or tuple(str(index) for index in range(num_classes))
    if len(names) != num_classes:
        raise InputError(f"class_names holds {len(names)} names; there are {num_classes} columns in teacher_probs.")
    check_class_names(names, "class_names")
    if labelled is None:
        everyone = _examples(pool, labels, names, "pool")
        if labelled_group is not None:
            everyone = grouped(everyone, labelled_group, "labelled_group")
        known = everyone.label >= 0
        _check_both(known)
        if given is not None and len(given) != len(everyone):
            raise InputError(
                f"teacher_probs has {len(given)} rows for {len(everyone)} examples in pool; each needs one."
            )
        silent = None if silent is None else silent[known.numpy()]
        if given is not None:
            # An error then names the row as it was given.
            compress(given, source="teacher_probs")
        labelled_examples = replace(everyone.take(known), origin="labelled")
        pool_examples = replace(everyone.take(~known), origin="pool")
        labelled_teacher_probs = None if given is None else given[known]
        given = None if given is None else given[~known]
    else:
        pool_examples = _examples(pool, None, names, "pool")
        labelled_examples = _examples(labelled, labels, names, "labelled")
        if labelled_group is not None:
            labelled_examples = grouped(labelled_examples, labelled_group, "labelled_group")
        if (labelled_examples.label < 0).any():
            row = int((labelled_examples.label < 0).int().argmax())
            raise InputError(
                f"labels, row {row}: the label is unknown; every labelled example needs one of 0..{num_classes - 1}. "
                f"(Rows with and without a label in one frame: leave out `labelled`.)"
            )
    if labelled is None and frames[1] is not None:
        both_rows = GivenRows(everyone, frames[1])
        frames = [both_rows.take(each).frame for each in (known, ~known)]
    asked = [GivenRows(*each) for each in zip((labelled_examples, pool_examples), frames, strict=True)]
    if given is None:
        labelled_probs, pool_probs = cross_fitted_estimator(classifier, *asked, num_folds=NUM_FOLDS, seed=seed)
    else:
        pool_probs, labelled_probs = given, probs_matrix(labelled_teacher_probs, "labelled_teacher_probs", names)
    if labelled_probs.shape[1] != num_classes:
        raise InputError(
            f"labelled_teacher_probs has {labelled_probs.shape[1]} columns and teacher_probs {num_classes}; both need "
            f"one for each class."
        )
    for probs, examples, option in (
        (pool_probs, pool_examples, "teacher_probs"),
        (labelled_probs, labelled_examples, "labelled_teacher_probs"),
    ):
        if len(probs) != len(examples):
            raise InputError(
                f"{option} has {len(probs)} rows for {len(examples)} {examples.origin} examples; each needs one."
            )
    missing = torch.zeros(len(labelled_examples), dtype=torch.bool) if silent is None else torch.from_numpy(silent)
    if missing.all():
        raise InputError(
            f"{'teacher_probs' if labelled is None else 'labelled_teacher_probs'} answers none of the {len(missing)} "
            f"labelled examples, which show where the teacher errs; give some of these answers."
        )
    if given is not None and crossed is None:
        check_order(
            labelled_probs[~missing].argmax(dim=1).numpy(),
            labelled_examples.label[~missing].numpy(),
            names,
            names,
            "labelled_teacher_probs",
            remedy="Put the columns of both arrays of probabilities into the order of class_names.",
        )
    without_half: tuple[Tensor, ...] = () if crossed is None else crossed.without_half
    if halves and classifier is not None and not hasattr(classifier, "classes_"):
        without_half = pool_without_halves(classifier, *asked, seed=seed)
    return GivenArrays(
        labelled=labelled_examples,
        pool=pool_examples,
        labelled_probs=labelled_probs,
        silent=missing,
        pool_probs=pool_probs,
        without_half=without_half,
        remarks=remarks,
    )


def _answered(pool: Any, answers: Any, labels: Any, group: Any) -> _Answered:
    """Examples, answers, labels and groups without the rows that have neither an answer nor a label.

    Args:
        pool: N examples.
        answers: Theirs, of any form.
        labels: [N]; None where none is known.
        group: [N] or None.
    """
    given = answer_array(answers)
    num = -1 if given is None else len(given)
    unchanged = _Answered(pool=pool, answers=answers, labels=labels, group=group)
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
    return _Answered(
        pool=examples.take(kept),
        answers=_filled(given, silent)[kept],
        labels=None if words is None else words[kept],
        group=None if group is None else np.asarray(group, object)[kept].tolist(),
        silent=silent[kept],
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


def _labelled_answers(values: Any) -> tuple[Any, NDArray[np.bool_] | None, tuple[str, ...]]:
    """Answers to labelled examples, where there is none, and a remark on these."""
    given = answer_array(values)
    silent = None if given is None else lacks_answer(given)
    if given is None or silent is None or not silent.any() or silent.all():
        return values, None, ()
    said = _keep(int(silent.sum()), int((~silent).sum()))
    remark = f"labelled_teacher_probs has no answer (None) in {int(silent.sum())} of {len(given)} rows; {said}."
    return _filled(given, silent), silent, (remark,)


def without_labels(inputs: Any, labels: Any, origin: str) -> tuple[Any, Any]:
    """Inputs and labels; where the labels are named as a column of the frame, without that column and with its values.

    Args:
        inputs: Examples.
        labels: Labels, or the name of a column.
        origin: What to call the examples in errors.

    Raises:
        InputError: There is no such column.
    """
    if not isinstance(labels, str):
        return inputs, labels
    if not is_frame(inputs):
        raise InputError(f"labels is {labels!r}, the name of a column, but {origin} is no data frame; give the labels.")
    table = table_of_frame(inputs, origin)
    if labels not in table.column_names:
        raise InputError(
            f"labels is {labels!r}; {origin} has no such column{nearest(labels, table.column_names)}, but "
            f"{listed(table.column_names)}."
        )
    return table.drop_columns([labels]), table.column(labels)


def _check_which(classifier: Any, labelled: Any, labels: Any, labelled_teacher_probs: Any) -> None:
    """Check that the arguments are those of one of the two forms."""
    if labels is None:
        raise InputError("labels is None; give the labels of the labelled examples.")
    if labelled is None:
        if labelled_teacher_probs is not None:
            raise InputError(
                "labelled_teacher_probs goes with labelled; without it, teacher_probs has a row for every example, "
                "labelled or not."
            )
    elif (classifier is None) is (labelled_teacher_probs is None):
        raise InputError(
            "labelled_teacher_probs is needed where teacher_probs is an array, and left out where it is a classifier."
        )


def _check_both(known: Tensor) -> None:
    """Check that some labels are known and some are not."""
    if not known.any():
        raise InputError("labels: none is known; some examples need a label, the others have None, NaN or -1.")
    if known.all():
        raise InputError(
            "labels: all are known, so there is no pool; unlabelled examples have None, NaN or -1 as their label."
        )


def _examples(values: Any, labels: Any, names: tuple[str, ...], origin: str) -> Examples:
    if isinstance(values, Examples) and labels is None:
        return values
    if isinstance(values, Examples):
        # Its inputs are checked; missing values in them are allowed.
        return from_arrays(values.inputs, labels, class_names=names, origin=origin, missing="allow")
    return from_arrays(values, labels, class_names=names, origin=origin, missing=gaps_in(values))
