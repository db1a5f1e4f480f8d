"""Cross-fitting: a teacher trained on the labels is F teachers, so that no label is answered by one that saw it.

Statistics of a teacher on the examples it was trained on say that it is never wrong. So each labelled example is scored
by the teacher that did not see it, everything else by the mean of them all, and no label is spent on finding out how
good the teacher is.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from overproof.answers.predictions import Answers, answer
from overproof.cross_fitting import folds
from overproof.data import Examples
from overproof.seeds import derived_seed, digest
from overproof.storage.keys import ANSWERS, canonical_json
from overproof.storage.shard import StoreKey
from overproof.storage.store import Progress
from overproof.teachers.keys import as_kept
from overproof.teachers.scorers import Predictor, Trainable


def cross_fitted(
    teacher: Trainable,
    labelled: Examples,
    others: Mapping[str, Examples],
    *,
    num_folds: int,
    seed: int,
    folder: Path,
    apart: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Answers]:
    """Answers for every role, each labelled example's from the teacher that never saw it.

    Args:
        teacher: Fitted `num_folds` times, on all folds but one; only when an answer is missing.
        labelled: N examples with known labels, at least `num_folds` of them.
        others: More examples by role, answered by the mean of all fits.
        num_folds: F; 1 is a single teacher fitted on all of them, whose answers there are in sample.
        seed: Decides the folds and every fit.
        folder: Answers are kept in `folder/ROLE`; a finished store is read and nobody is asked.
        apart: Roles among `others` that every fit answers by itself as well, as role "ROLE-without-fold-NUMBER".
        progress: Told (rows done, rows in all) for each role in turn.

    Returns:
        Answers by role, "labelled" among them, aligned with the examples.

    Raises:
        InputError: Fewer labelled examples than folds, or a store that belongs to other examples.
    """
    num_classes = len(labelled.class_names)
    fold = folds(labelled.label, num_folds, seed) if num_folds > 1 else torch.zeros_like(labelled.label)
    fitted: dict[int, Predictor] = {}

    def predictor(number: int) -> Predictor:
        if number not in fitted:
            fitted[number] = teacher.fit(
                labelled.take(fold != number) if num_folds > 1 else labelled,
                num_classes=num_classes,
                seed=derived_seed(seed, "teacher", number),
                folder=folder / f"fold-{number}",
            )
        return fitted[number]

    def ask_out_of_fold(rows: slice) -> Tensor:
        some, their_fold = labelled.take(torch.arange(rows.start, rows.stop)), fold[rows]
        probs = torch.zeros(len(some), num_classes)
        for number in their_fold.unique().tolist():
            mine = their_fold == number
            probs[mine] = predictor(number)(some.take(mine)).float()
        return probs

    def ask_everybody(role: str) -> Callable[[slice], Tensor]:
        def ask(rows: slice) -> Tensor:
            some = others[role].take(torch.arange(rows.start, rows.stop))
            return torch.stack([predictor(number)(some).float() for number in range(num_folds)]).mean(dim=0)

        return ask

    def ask_one(number: int, role: str) -> Callable[[slice], Tensor]:
        return lambda rows: predictor(number)(others[role].take(torch.arange(rows.start, rows.stop))).float()

    trained_on = digest(labelled.label.numpy().tobytes())
    fitting = {"folds": num_folds, "seed": seed, "labelled": labelled.digest(), "labels": trained_on}
    key_words = canonical_json({"teacher": teacher.fingerprint, **fitting})
    answers = {}
    asks = {"labelled": ask_out_of_fold, **{role: ask_everybody(role) for role in others}}
    asked = {"labelled": labelled, **others}
    for role, number in itertools.product(apart, range(num_folds)):
        name, examples = f"{role}-without-fold-{number}", others[role]
        asks[name], asked[name] = ask_one(number, role), examples
    for role, examples in asked.items():
        key = StoreKey(teacher=key_words, data=examples.digest(), transform=role, code=ANSWERS)
        key = as_kept(folder / role, key)
        answers[role] = answer(
            folder / role,
            examples.ids,
            key,
            labelled.class_names,
            asks[role],
            source=examples.origin,
            progress=progress,
            mmap=examples.mapped is not None,
        )
    return answers
