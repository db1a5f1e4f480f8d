"""Cross-fitting: out-of-sample scores on the training data, each example scored by a model that was fitted without it.

The only place where labelled rows are cut into folds (`folds`) and where models are fitted fold by fold (`FoldModels`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from overproof.errors import InputError

Model = TypeVar("Model")


def folds(
    label: Int[Tensor, "N"], num_folds: int, seed: int, group: Int[Tensor, "N"] | None = None
) -> Int64[Tensor, "N"]:
    """The fold of every example, in 0..num_folds-1: within a class, and over all, fold sizes differ by one at most.

    Examples of one group are in one fold; sizes are then counted in groups, each with the class of its first example.
    A class with fewer examples than folds is in as many folds as it has examples; `FoldModels.mean` says how the others
    are predicted then.

    Args:
        label: [N], classes to stratify by.
        num_folds: At least 2, at most N.
        seed: Seeds NumPy's PCG64; the same label and seed give the same folds.
        group: [N], as in `overproof.functional.repeats`: examples that no model may be fitted and judged on at once,
            such as repeated content. Without it, every example is a group.

    Example:
        >>> folds(torch.tensor([0, 0, 1, 1]), 2, seed=0).reshape(2, 2).sum(dim=1).tolist()
        [1, 1]

    Raises:
        InputError: Fewer than 2 folds, or fewer examples or groups than folds.
    """
    if group is not None:
        first = _first_of_each(group)
        if len(first) < len(group):
            if num_folds <= len(label) and len(first) < num_folds:
                raise InputError(
                    f"{len(label)} labelled examples have {len(first)} different contents (or groups, where they are "
                    f"given), fewer than the {num_folds} folds; use fewer folds or label more."
                )
            return folds(label[first], num_folds, seed)[group]
    if num_folds < 2:
        raise InputError(f"folds is {num_folds}; it must be at least 2.")
    if len(label) < num_folds:
        raise InputError(
            f"{len(label)} labelled examples are fewer than the {num_folds} folds; use fewer folds or label more."
        )
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(label))
    by_class = shuffled[np.argsort(label.numpy()[shuffled], kind="stable")]
    fold = np.empty(len(label), np.int64)
    # Dealt out class after class without a fresh start, so that the remainders of small classes spread as well.
    fold[by_class] = np.arange(len(label)) % num_folds
    return torch.from_numpy(fold)


def _first_of_each(group: Int[Tensor, "N"]) -> Int64[Tensor, "G"]:
    return torch.from_numpy(np.unique(group.numpy(), return_index=True)[1])


def rows_without(fold: Int[Tensor, "N"], number: int) -> Int64[Tensor, "M"]:
    """The rows that the model of a fold is fitted on: those of all other folds, in ascending order.

    Example:
        >>> rows_without(torch.tensor([0, 1, 0, 1]), 0).tolist()
        [1, 3]
    """
    return (fold != number).nonzero()[:, 0]


def rows_within(fold: Int[Tensor, "N"], number: int) -> Int64[Tensor, "M"]:
    """The rows of a fold, which its model has not seen, in ascending order.

    Example:
        >>> rows_within(torch.tensor([0, 1, 0, 1]), 0).tolist()
        [0, 2]
    """
    return (fold == number).nonzero()[:, 0]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldModels(Generic[Model]):
    """One model for each fold, fitted on all other folds when it is first used.

    Args:
        fold: [N], the fold of every example (`folds`).
        fit: Takes the number of a fold and the rows to fit on (`rows_without`), and returns the fold's model.

    Example:
        The "model" of a fold is the mean of the rows that it was fitted on.

        >>> models = FoldModels(fold=torch.tensor([0, 1, 0, 1]), fit=lambda number, rows: rows.double().mean())
        >>> models.out_of_fold(lambda mean, rows: mean.expand(len(rows), 1)).squeeze(1).tolist()
        [2.0, 1.0, 2.0, 1.0]
        >>> models.mean(lambda mean: mean).item()
        1.5
    """

    fold: Int[Tensor, "N"]
    fit: Callable[[int, Tensor], Model]
    _fitted: dict[int, Model] = field(default_factory=dict)

    def __getitem__(self, number: int) -> Model:
        """The model of a fold."""
        if number not in self._fitted:
            self._fitted[number] = self.fit(number, rows_without(self.fold, number))
        return self._fitted[number]

    def out_of_fold(
        self, score: Callable[[Model, Tensor], Tensor], rows: Int[Tensor, "M"] | None = None
    ) -> Float[Tensor, "M K"]:
        """Score rows, each by the model that was fitted without its fold.

        Args:
            score: Takes a model and rows of its fold, and returns their scores, [rows, K].
            rows: [M], which rows to score; None scores all.

        Returns:
            [M, K], in the order of `rows`.
        """
        rows = torch.arange(len(self.fold)) if rows is None else rows
        fold, parts, places = self.fold[rows], [], []
        for number in fold.unique().tolist():
            place = rows_within(fold, number)
            parts.append(score(self[number], rows[place]))
            places.append(place)
        return torch.cat(parts)[torch.cat(places).argsort()]

    def mean(self, score: Callable[[Model], Tensor], label: Int[Tensor, "N"] | None = None) -> Tensor:
        """The mean over all models of their scores on other examples, such as a pool that no model has seen.

        A class that some models have not seen, because all its examples are in their folds, gets the mean over the
        models that have seen it; the rows are then divided by their sum.

        Args:
            score: Takes a model, and returns its scores, [M, K] where labels are given.
            label: [N], the classes of the examples that the models are fitted on; None takes all classes as seen.

        Example:
            The only example of class 1 is in fold 0, whose model gives it probability 0.

            >>> models = FoldModels(fold=torch.tensor([0, 0, 1, 1]), fit=lambda number, rows: number)
            >>> answer = lambda number: torch.tensor([[1.0, 0.0], [0.5, 0.5]])[number].unsqueeze(0)
            >>> models.mean(answer, torch.tensor([0, 1, 0, 0])).tolist()
            [[0.6000000238418579, 0.4000000059604645]]
        """
        numbers = self.fold.unique().tolist()
        scores = torch.stack([score(self[number]) for number in numbers])
        if label is None:
            return scores.mean(dim=0)
        seen = torch.stack(
            [
                torch.bincount(label[rows_without(self.fold, number)], minlength=scores.shape[2]) > 0
                for number in numbers
            ]
        )
        # A class without any example is left to the models.
        seen[:, ~seen.any(dim=0)] = True
        if len(numbers) == 1 or bool(seen.all()):
            return scores.mean(dim=0)
        seen = seen.to(scores.device)
        mean = (scores * seen.unsqueeze(1)).sum(dim=0) / seen.sum(dim=0)
        return mean / mean.sum(dim=1, keepdim=True)


def out_of_fold(fit: Callable[[Tensor], Callable[[Tensor], Tensor]], fold: Int[Tensor, "N"]) -> Float[Tensor, "N K"]:
    """Score every example by the model fitted without its fold: `FoldModels` where the models are needed only once.

    Args:
        fit: Takes the rows to train on (ascending row numbers) and returns a function from rows to their probabilities,
            [rows, K].
        fold: [N], the fold of every example (`folds`).

    Returns:
        [N, K], in the order of the examples.

    Example:
        Each example is "scored" by the mean of the rows its model saw.

        >>> fit = lambda rows: lambda held_out: rows.double().mean().expand(len(held_out), 1)
        >>> out_of_fold(fit, torch.tensor([0, 1, 0, 1])).squeeze(1).tolist()
        [2.0, 1.0, 2.0, 1.0]
    """
    return FoldModels(fold=fold, fit=lambda _, rows: fit(rows)).out_of_fold(lambda predict, rows: predict(rows))


def answers_by_role(
    held_out: Float[Tensor, "V K"],
    label: Mapping[str, Int[Tensor, "_"]],
    roles: Iterable[str],
    answer: Callable[[str], Tensor],
) -> dict[str, Tensor]:
    """Answers by set: out of fold on the sets with labels, by a model of all labels on the others.

    Args:
        held_out: The answers out of fold on the V examples with labels, set after set.
        label: The labels of these sets.
        roles: All sets.
        answer: The answers to a set without labels.

    Example:
        >>> held_out, label = torch.tensor([[1.0], [2.0]]), {"labelled": torch.tensor([0, 1])}
        >>> found = answers_by_role(held_out, label, ("pool", "labelled"), lambda role: torch.zeros(1, 1))
        >>> {role: each.tolist() for role, each in found.items()}
        {'pool': [[0.0]], 'labelled': [[1.0], [2.0]]}
    """
    judged = dict(zip(label, held_out.split([len(each) for each in label.values()]), strict=True))
    return {role: judged[role] if role in judged else answer(role) for role in roles}


def held_out_rows(
    label: Int[Tensor, "N"], share: float, seed: int, group: Int[Tensor, "N"] | None = None
) -> Bool[Tensor, "N"]:
    """Which examples to hold out: `share * N` of them, rounded up, and within each class its share to within one.

    One example of every class stays, so that fewer are held out where a class has one example only. (Where every class
    has one, one is held out nevertheless.)

    Args:
        label: [N], classes to stratify by; at least 2 examples.
        share: Between 0 and 1; at least one example is held out and one is not.
        seed: Seeds NumPy's PCG64; the same label, share and seed give the same rows.
        group: [N], as for `folds`: all examples of a group are held out, or none; shares are then of groups.

    Example:
        >>> held_out = held_out_rows(torch.tensor([0] * 10 + [1] * 20), 0.3, seed=0)
        >>> int(held_out[:10].sum()), int(held_out[10:].sum())
        (3, 6)

    Raises:
        InputError: Fewer than 2 examples.
    """
    if group is not None and len(first := _first_of_each(group)) < len(group):
        return held_out_rows(label[first], share, seed)[group]
    num = len(label)
    if num < 2:
        raise InputError(f"Holding labelled examples out of training needs at least 2 of them; there are {num}.")
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(num)
    by_class = shuffled[np.argsort(label.numpy()[shuffled], kind="stable")]
    # Spread evenly over the examples in the order of their classes: a share of 1/k is the first of k folds. A product
    # that is whole but for its rounding error is not rounded up.
    counts = np.minimum(np.ceil(np.arange(num + 1) * share - 1e-9), num - 1)
    held_out = np.empty(num, bool)
    held_out[by_class] = np.diff(counts) == 1
    classes, place = np.unique(label.numpy(), return_inverse=True)
    left = np.bincount(place[~held_out], minlength=len(classes))
    spared = held_out.copy()
    for lost in np.flatnonzero(left == 0):
        spared[np.flatnonzero(place == lost)[0]] = False
    if not spared.any():
        # The first of a class of two or more; without such a class there is no better choice than the first draw.
        several = np.flatnonzero(np.bincount(place)[place] > 1)
        if len(several) == 0:
            return torch.from_numpy(held_out)
        spared[by_class[np.isin(by_class, several)][0]] = True
    return torch.from_numpy(spared)
