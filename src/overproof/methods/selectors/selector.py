"""The interface of a selector, the confidence that selectors compute, and the counts of classes they keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int
from numpy.typing import NDArray
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.errors import InputError

Array = TypeVar("Array", NDArray[Any], Tensor)


@runtime_checkable
class Selector(Protocol):
    """Pool rows to keep, rising, from the teacher's stored answers."""

    def __call__(self, answers: Answers) -> Int[Tensor, "M"]: ...


def log_confidence(answers: Answers) -> Float32[Tensor, "N"]:
    """The logarithm of the teacher's probability of its likeliest class: minus the noise value of DFND.

    With p the likeliest class's mass and q that of all others it is -log(1 + q/p). That is log p where they sum to one,
    and it keeps answers apart that half precision shows as p = 1: q is stored as finely as it is small.

    Args:
        answers: N rows.

    Example:
        >>> from overproof.answers.predictions import compress
        >>> log_confidence(compress(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))).tolist()
        [-0.6931471824645996, -0.0]
    """
    probs = answers.class_probs.float()
    others = probs[:, 1:].sum(dim=1) + answers.residual.float()
    return -torch.log1p(others / probs[:, 0])


class LogConfidences:
    """`log_confidence` of stored answers, computed as it is read: a column as `overproof.functional.top_k` needs it."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        some = self.answers.take(rows if isinstance(rows, slice) else torch.from_numpy(rows))
        return log_confidence(some).numpy()


def num_rows(budget: int | float, available: int, option: str = "budget") -> int:
    """How many rows a budget means; below one it is a share.

    Args:
        budget: Rows, or the share of those available.
        available: How many there are.
        option: What to call the budget in errors.

    Example:
        >>> num_rows(0.25, 1000), num_rows(300, 1000)
        (250, 300)

    Raises:
        InputError: More than there are, less than one, or no whole number.
    """
    check_budget(budget, option)
    rows = round(budget * available) if budget < 1 else int(budget)
    if rows > available:
        raise InputError(f"{option} is {budget}, but there are only {available} rows to choose from.")
    return rows


def check_budget(budget: int | float, option: str = "budget") -> None:
    """Refuse what can be no budget for any pool.

    Raises:
        InputError: Not positive, or neither a whole number nor a share.
    """
    if not (0 < budget < 1 or (budget >= 1 and budget % 1 == 0)):
        raise InputError(
            f"{option} is {budget}; it must be a whole number of rows, or a share of them between 0 and 1."
        )


def like(rows: NDArray[np.int64], given: Array) -> Array:
    """Row numbers as the kind of array that was given."""
    chosen: Any = torch.from_numpy(rows) if isinstance(given, Tensor) else rows
    return chosen


def counted(pseudo_label: Any, num_classes: int | None = None) -> NDArray[np.int64]:
    """How many rows each class has, read in blocks.

    Args:
        pseudo_label: [N], classes 0..K-1.
        num_classes: K; by default the classes up to the highest there is.

    Raises:
        InputError: A row that is of none of the classes.
    """
    counts = np.zeros(num_classes or 0, np.int64)
    for start in range(0, len(pseudo_label), 2**18):
        block = np.asarray(pseudo_label[start : start + 2**18])
        allowed = f"0..{num_classes - 1}" if num_classes is not None else "0 or more"
        if block.dtype.kind not in "iu":
            raise InputError(f"pseudo_label holds {block.dtype}; it must hold whole numbers, {allowed}.")
        if block.min() < 0 or (num_classes is not None and block.max() >= num_classes):
            row = int(np.argmax((block < 0) | (block >= (num_classes or np.inf))))
            raise InputError(
                f"pseudo_label, row {start + row} (counted from 0) is {block[row]}; a class must be {allowed}."
            )
        found = np.bincount(block, minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    return counts


def same_length(given: Sequence[Any] | Any, score: Any, option: str) -> None:
    """Refuse columns of different lengths.

    Raises:
        InputError: They do not have one row for each other.
    """
    if len(given) != len(score):
        raise InputError(f"{option} has {len(given)} rows and score {len(score)}; there must be as many.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCounts:
    """How many rows of a pool have each class by the teacher's answers, before and after a selection.

    Args:
        names: K class names.
        available: K counts over the pool.
        kept: K counts over what was chosen of it.
    """

    names: tuple[str, ...]
    available: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def vanished(self) -> tuple[str, ...]:
        """Classes that the pool has and the selection has not."""
        triples = zip(self.names, self.available, self.kept, strict=True)
        return tuple(name for name, available, kept in triples if available and not kept)

    def warning(self) -> str:
        """One sentence where classes vanish, else nothing.

        Example:
            >>> ClassCounts(names=("cat", "dog"), available=(7, 93), kept=(0, 10)).warning()
            "1 of 2 classes vanishes: of the teacher's answers 'cat' (7) none is kept."
        """
        if not self.vanished:
            return ""
        available = dict(zip(self.names, self.available, strict=True))
        listed = ", ".join(f"{name!r} ({available[name]})" for name in self.vanished[:5])
        more = " …" if len(self.vanished) > 5 else ""
        verb = "vanishes" if len(self.vanished) == 1 else "vanish"
        vanished = f"{len(self.vanished)} of {len(self.names)} classes {verb}"
        return f"{vanished}: of the teacher's answers {listed}{more} none is kept."


def class_counts(answers: Answers, rows: Int[Tensor, "M"], names: tuple[str, ...]) -> ClassCounts:
    """How many answers name each class, over all rows and over the chosen ones; those that name none are not counted.

    Args:
        answers: N rows of K classes.
        rows: [M], the chosen ones.
        names: K class names.
    """
    label, named = answers.class_indices[:, 0].numpy(), answers.names_class.numpy()
    chosen = rows.numpy()[named[rows.numpy()]]
    available, kept = counted(label[named], len(names)), counted(label[chosen], len(names))
    return ClassCounts(names=names, available=tuple(available.tolist()), kept=tuple(kept.tolist()))
