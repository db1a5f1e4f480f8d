"""Labelled examples, pool and teacher of `overproof.distill`, checked against each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.arrays import GivenAnswers, class_names_of, given_answers
from overproof.answers.order import check_order
from overproof.answers.predictions import compress
from overproof.data import Examples, from_arrays, grouped
from overproof.data.classes import check_class_names
from overproof.data.frames import check_same_rows, frame_without, gaps_in, is_frame, table_of_frame
from overproof.data.wording import listed, nearest
from overproof.errors import InputError
from overproof.teachers.brought.given_classifier import GivenRows, cross_fitted_estimator, pool_without_halves
from overproof.teachers.missing_answers import answered_rows, remarks_on_labelled

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
        pool_rows: [N], which rows of a pool that was given apart have an answer; None for all.
        num_pool: How many rows that had.
        refitted: Makes the same of some of the labelled examples, by row numbers, where the teacher is trained on them
            here; None for answers that do not depend on them.
    """

    labelled: Examples
    pool: Examples
    labelled_probs: Tensor
    silent: Tensor
    pool_probs: Tensor
    without_half: tuple[Tensor, ...] = ()
    remarks: tuple[str, ...] = ()
    pool_rows: Tensor | None = None
    num_pool: int = 0
    refitted: "Callable[[Tensor], GivenArrays] | None" = None

    def of_labelled(self, rows: Tensor) -> "GivenArrays":
        """The same with some of the labelled examples, by row numbers: no answer to the pool then knows the others.

        Raises:
            InputError: The teacher cannot be fitted on so few.
        """
        if self.refitted is not None:
            return self.refitted(rows)
        labelled, probs, silent = self.labelled.take(rows), self.labelled_probs[rows], self.silent[rows]
        return replace(self, labelled=labelled, labelled_probs=probs, silent=silent)


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
    for given_as, option in ((teacher_probs, "teacher_probs"), (labelled_teacher_probs, "labelled_teacher_probs")):
        if isinstance(given_as, str):
            raise InputError(
                f"{option} is the text {given_as!r}; give the answers themselves. If they are a column of a frame, "
                f"give {option}=frame[{given_as!r}], and the frame without it, since all its other columns are inputs."
            )
    crossed = teacher_probs if isinstance(teacher_probs, CrossFittedAnswers) else None
    teacher_probs = teacher_probs if crossed is None else crossed.probs
    remarks: tuple[str, ...] = ()
    silent: NDArray[np.bool_] | None = None
    answered_pool: NDArray[np.int64] | None = None
    num_pool = len(pool) if hasattr(pool, "__len__") else 0
    classifier = teacher_probs if hasattr(teacher_probs, "predict_proba") else None
    frames = [frame_without(each, labels if isinstance(labels, str) else None) for each in (labelled, pool)]
    _check_which(classifier, labelled, labels, labelled_teacher_probs)
    # A frame without its column of labels is no longer one of pandas.
    for first, second, words in (
        (labelled, labels, ("labelled", "labels")),
        (labelled, labelled_teacher_probs, ("labelled", "labelled_teacher_probs")),
        (pool, teacher_probs, ("pool", "teacher_probs")),
        (pool if labelled is None else None, labels, ("pool", "labels")),
    ):
        check_same_rows(first, second, *words)
    if labelled is None:
        pool, labels = without_labels(pool, labels, "pool")
    else:
        labelled, labels = without_labels(labelled, labels, "labelled")
    names = class_names_of(None if classifier is not None else teacher_probs, labels, class_names)
    own: GivenAnswers | None = None
    given: Tensor | None = None
    if crossed is not None:
        given = crossed.probs
    elif classifier is None:
        answers = given_answers(teacher_probs, "teacher_probs", names)
        if answers.silent.any():
            # An error then names the row as it was given.
            compress(answers.probs, source="teacher_probs")
        if labelled is None:
            both = answered_rows(pool, answers, labels, labelled_group)
            labels, labelled_group, silent = both.labels, both.group, both.silent
        else:
            both = answered_rows(pool, answers, None, None)
            own = given_answers(labelled_teacher_probs, "labelled_teacher_probs", names)
            silent, answered_pool = own.silent, both.kept
        pool, given = both.pool, both.probs
        remarks = (*both.remarks, *(() if own is None else remarks_on_labelled(own)))
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
        labelled_probs = None if given is None else given[known]
        given = None if given is None else given[~known]
    else:
        labelled_probs = None if own is None else own.probs
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
        return _taught(classifier, *asked, seed=seed, halves=halves)
    assert labelled_probs is not None, "given with those of the pool"
    pool_probs = given
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
    if crossed is None:
        check_order(
            labelled_probs[~missing].argmax(dim=1).numpy(),
            labelled_examples.label[~missing].numpy(),
            names,
            names,
            "labelled_teacher_probs",
            remedy="Put the columns of both arrays of probabilities into the order of class_names.",
        )
    return GivenArrays(
        labelled=labelled_examples,
        pool=pool_examples,
        labelled_probs=labelled_probs,
        silent=missing,
        pool_probs=pool_probs,
        without_half=() if crossed is None else crossed.without_half,
        remarks=remarks,
        pool_rows=None if answered_pool is None else torch.from_numpy(answered_pool),
        num_pool=num_pool,
    )


def _taught(classifier: Any, labelled: GivenRows, pool: GivenRows, *, seed: int, halves: bool) -> GivenArrays:
    """The answers of a classifier, which is cross-fitted on the labelled examples unless it is fitted already."""
    labelled_probs, pool_probs = cross_fitted_estimator(classifier, labelled, pool, num_folds=NUM_FOLDS, seed=seed)
    fitted = hasattr(classifier, "classes_")
    return GivenArrays(
        labelled=labelled.examples,
        pool=pool.examples,
        labelled_probs=labelled_probs,
        silent=torch.zeros(len(labelled_probs), dtype=torch.bool),
        pool_probs=pool_probs,
        without_half=pool_without_halves(classifier, labelled, pool, seed=seed) if halves and not fitted else (),
        refitted=None
        if fitted
        else lambda rows: _taught(classifier, labelled.take(rows), pool, seed=seed, halves=halves),
    )


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


def known_examples(inputs: Any, labels: Any, names: Sequence[str] | None, origin: str, option: str) -> Examples:
    """Examples whose every label is known.

    Args:
        inputs: As for `overproof.self_distill`, whose errors call them `origin`.
        labels: Theirs, whose errors call them `option`.
        names: The classes; None takes those that occur.
        origin: What the examples are called.
        option: What the labels are called.

    Raises:
        InputError: There is no example, or one without a label.
    """
    inputs, labels = without_labels(inputs, labels, origin)
    check_same_rows(inputs, labels, origin, option)
    allowed: Any = gaps_in(inputs)
    if isinstance(inputs, Examples):
        inputs, allowed = inputs.inputs, "allow"
    examples = from_arrays(inputs, labels, class_names=names, origin=origin, missing=allowed)
    if len(examples) == 0:
        raise InputError(f"{origin} holds no example; at least one is needed.")
    if (examples.label < 0).any():
        row = int((examples.label < 0).int().argmax())
        raise InputError(f"{option}, row {row}: the label is unknown; every example needs one.")
    check_class_names(examples.class_names, option)
    if len(examples.class_names) < 2 or (names is None and len(examples.label.unique()) < 2):
        raise InputError(f"{option} holds one class only; there must be two at least.")
    return examples


def pool_weights(weights: Any, given: GivenArrays, apart: bool) -> Tensor:
    """The weights of pool examples.

    Args:
        weights: `pool_weight` of `overproof.distill`.
        given: With the pool.
        apart: Whether labelled examples are given apart from it.

    Raises:
        InputError: They are not one positive number an example, or labelled examples are rows of the pool.
    """
    if not apart:
        raise InputError("pool_weight is about a pool without labels; give the labelled examples as `labelled`.")
    try:
        weight = torch.as_tensor(weights, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        raise InputError("pool_weight must hold numbers, one for each pool example.") from None
    num = len(given.pool) if given.pool_rows is None else given.num_pool
    if weight.shape != (num,) or not bool((weight.isfinite() & (weight > 0)).all()):
        raise InputError(
            f"pool_weight has shape {tuple(weight.shape)}, or holds a number that is not positive and finite; one for "
            f"each of {num} pool examples is needed."
        )
    return weight if given.pool_rows is None else weight[given.pool_rows]


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
