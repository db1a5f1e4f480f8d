"""Cross-fitting: a teacher trained on the labels is F teachers, each trained on all folds but one.

On its own training examples a teacher is hardly ever wrong. So each labelled example is scored by the teacher that did
not see it, all other examples by the mean of all F, and no labels need to be held out to estimate the teacher's errors.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from overproof.answers.ask import answer
from overproof.answers.predictions import Answers
from overproof.cross_fitting import FoldModels, folds
from overproof.data import Examples, repeats_in
from overproof.seeds import derived_seed, digest
from overproof.storage.keys import ANSWERS, canonical_json
from overproof.storage.shard import StoreKey
from overproof.storage.store import RowsDone
from overproof.teachers.keys import as_kept
from overproof.teachers.scorers import Predictor, Trainable, check_two_classes, of_one_class, without_classes

Ask = Callable[[slice], Tensor]
"""Rows of some examples to their probabilities."""


def cross_fitted(
    teacher: Trainable,
    labelled: Examples,
    others: Mapping[str, Examples],
    *,
    num_folds: int,
    seed: int,
    folder: Path,
    apart: Sequence[str] = (),
    halves: Sequence[str] = (),
    progress: RowsDone | None = None,
) -> dict[str, Answers]:
    """Answers for every role, each labelled example's from the teacher that never saw it.

    A class whose examples are all in one fold is unknown to the teacher without that fold: it gets probability 0 from
    it, and on the other roles the mean over the teachers that have seen it (`FoldModels.mean`). A teacher without that
    fold that is left with one class only gives it probability 1. A teacher that answers classes without a label itself
    (`answers_unseen_classes`) is taken as it is.

    Args:
        teacher: Fitted `num_folds` times, on all folds but one; only when an answer is missing.
        labelled: N examples with known labels, at least `num_folds` of them.
        others: More examples by role, answered by the mean of all fits.
        num_folds: F; 1 is a single teacher fitted on all of them, whose answers there are in sample.
        seed: Decides the folds and every fit.
        folder: Answers are stored in `folder/ROLE`; a finished store is read, and nothing is fitted for it.
        apart: Roles among `others` that every fit answers by itself as well, as role "ROLE-without-fold-NUMBER".
        halves: Roles among `others` that are also answered by two more fits, each on one of two folds of the labelled
            examples, as role "ROLE-without-half-NUMBER": for students that are judged on the other half.
        progress: Called with (rows done, rows in all) for each role in turn.

    Returns:
        Answers by role, "labelled" among them, aligned with the examples.

    Raises:
        InputError: Fewer labelled examples than folds, labelled examples of one class only, or a store that belongs to
            other examples.
    """
    check_two_classes(labelled)
    models = _models(teacher, labelled, num_folds, seed, folder)
    seen_by = None if _answers_unseen(teacher) else labelled.label
    asks, parts = {"labelled": _by_held_out(models, labelled)}, {"labelled": labelled}
    for role, examples in others.items():
        asks[role], parts[role] = _by_mean(models, seen_by, examples), examples
    for role, number in itertools.product(apart, range(num_folds)):
        name, examples = f"{role}-without-fold-{number}", others[role]
        asks[name], parts[name] = _by_one(models, number, examples), examples
    words = dict.fromkeys(parts, _words(teacher, labelled, models.fold, seed))
    if halves:
        # The same folds as those of students that are judged in two.
        by_half = models if num_folds == 2 else _models(teacher, labelled, 2, seed, folder / "halves")
        for role, number in itertools.product(halves, range(2)):
            name, examples = f"{role}-without-half-{number}", others[role]
            asks[name], parts[name] = _by_one(by_half, number, examples), examples
            words[name] = _words(teacher, labelled, by_half.fold, seed)
    return {
        role: answer(
            folder / role,
            examples.ids,
            as_kept(folder / role, StoreKey(teacher=words[role], data=examples.digest(), transform=role, code=ANSWERS)),
            labelled.class_names,
            asks[role],
            source=examples.origin,
            progress=progress,
            mmap=examples.mapped is not None,
        )
        for role, examples in parts.items()
    }


def _models(teacher: Trainable, labelled: Examples, num_folds: int, seed: int, folder: Path) -> FoldModels[Predictor]:
    """One fit for each fold; a single one on all labelled examples where there are no folds."""

    num_classes, keeps = len(labelled.class_names), _answers_unseen(teacher)

    def fit(number: int, rows: Tensor) -> Predictor:
        some = labelled.take(rows) if num_folds > 1 else labelled
        seen = some.label.unique()
        if len(seen) == 1 and not keeps:
            return of_one_class(int(seen), num_classes)
        predict = teacher.fit(
            some, num_classes=num_classes, seed=derived_seed(seed, "teacher", number), folder=folder / f"fold-{number}"
        )
        unseen = [each for each in labelled.label.unique().tolist() if each not in seen and not keeps]
        return without_classes(predict, unseen) if unseen else predict

    if num_folds == 1:
        return FoldModels(fold=torch.zeros_like(labelled.label), fit=fit)
    return FoldModels(fold=folds(labelled.label, num_folds, seed, repeats_in(labelled).group), fit=fit)


def _answers_unseen(teacher: Trainable) -> bool:
    """Whether a teacher knows classes of which it was shown no example."""
    return bool(getattr(teacher, "answers_unseen_classes", False))


def _words(teacher: Trainable, labelled: Examples, fold: Tensor, seed: int) -> str:
    """What all answers follow from, besides the examples of their role."""
    labels, num_folds = digest(labelled.label.numpy().tobytes()), int(fold.max()) + 1
    fitting: dict[str, object] = {"folds": num_folds, "seed": seed, "labelled": labelled.digest(), "labels": labels}
    repeats = repeats_in(labelled)
    if (num_contents := len(repeats.once)) < len(labelled):
        # Stores made when folds were by row hold other answers to repeated examples.
        fitting["contents"] = num_contents
    if labelled.group is not None:
        fitting["groups"] = digest(repeats.group.numpy().tobytes())
    in_one = any(len(fold[labelled.label == each].unique()) == 1 for each in labelled.label.unique())
    if num_folds > 1 and in_one and not _answers_unseen(teacher):
        # Stores made when the mean was over models that had not seen a class hold other answers.
        fitting["unseen"] = "mean over the fits that saw the class"
    return canonical_json({"teacher": teacher.fingerprint, **fitting})


def _by_held_out(models: FoldModels[Predictor], labelled: Examples) -> Ask:
    """Each labelled example by the fit that has not seen it."""
    return lambda rows: models.out_of_fold(
        lambda predict, held_out: predict(labelled.take(held_out)).float(), torch.arange(rows.start, rows.stop)
    )


def _by_mean(models: FoldModels[Predictor], label: Tensor | None, examples: Examples) -> Ask:
    """Every example by the mean of all fits."""

    def ask(rows: slice) -> Tensor:
        some = examples.take(torch.arange(rows.start, rows.stop))
        return models.mean(lambda predict: predict(some).float(), label)

    return ask


def _by_one(models: FoldModels[Predictor], number: int, examples: Examples) -> Ask:
    """Every example by the fit without one fold."""
    return lambda rows: models[number](examples.take(torch.arange(rows.start, rows.stop))).float()
