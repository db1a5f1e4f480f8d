"""Teacher answers in half precision: the likeliest classes, their probabilities, and the mass of all others.

For up to 32 classes all probabilities are stored, beyond that the ten largest. The mass of the other classes is stored
as one number, `residual`, and spread over them evenly when the row is read: it is never renormalised away.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Float32, Int, Int16, Int64
from numpy.typing import NDArray
from torch import Tensor

from overproof.errors import InputError
from overproof.functional.top_k import words_of

MAX_ALL_KEPT = 32
"""Up to so many classes, all probabilities are stored."""

NUM_KEPT = 10
"""Beyond that, so many of the likeliest."""

_ROWS_COMPRESSED = 2**16
"""Rows at a time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answers:
    """A teacher's answers to N examples, aligned with them row by row. k of K classes are kept.

    A teacher's probability p comes back from `probs` as q. Rounding to half precision moves a value v by at most
    r(v) = max(v / 2^11, 2^-25), and single precision adds 2^-24 of it where the residual is divided:

    * a kept class: |q - p| <= r(p);
    * any other: p and q, the mean of the others, both lie between 0 and the smallest kept one m, so
      |q - p| <= m + r(m); summed over the others, |q - p| is at most twice their mass, and its rounding;
    * the row: |sum q - sum p| <= sum p / 2^11 + (k + 1) / 2^25. Nothing is divided by the sum: it stays what it is.

    A row without any mass says that the teacher has no answer to the example (`without`).

    Args:
        class_indices: [N, k], the likeliest classes, by falling probability; of those equal in single precision the
            lower index first.
        class_probs: [N, k], their probabilities.
        margin: [N], likeliest minus second, in [0, 1], rounded once (and not the difference of rounded parts).
        residual: [N], the mass of the classes that are not kept; 0 where all are.
        num_classes: K.
        id_word: [N], 64 bits of each example's id, or the row numbers where no ids are known. They decide between equal
            answers, so that what is chosen does not depend on the order of the rows.
    """

    class_indices: Int16[Tensor, "N k"]
    class_probs: Float16[Tensor, "N k"]
    margin: Float16[Tensor, "N"]
    residual: Float16[Tensor, "N"]
    num_classes: int
    id_word: Int64[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.margin)

    @property
    def pseudo_label(self) -> Int64[Tensor, "N"]:
        """The likeliest class of every row; of equal ones the lowest index."""
        return self.class_indices[:, 0].long()

    @property
    def answered(self) -> Bool[Tensor, "N"]:
        """[N], false where the teacher has no answer: no class has any mass."""
        return self.class_probs[:, 0] > 0

    @property
    def names_class(self) -> Bool[Tensor, "N"]:
        """[N], false where no class is likelier than another: no answer, or one that gives all the same probability.

        Example:
            >>> compress(torch.tensor([[0.5, 0.5], [0.25, 0.75]])).names_class.tolist()
            [False, True]
        """
        num_others = self.num_classes - self.class_probs.shape[1]

        def names(probs: Tensor, residual: Tensor) -> Tensor:
            most, least = probs[:, 0].float(), probs[:, -1].float()
            # The mass of the others is rounded apart from that of the kept ones, by these parts at most.
            rounded = residual.float() / max(num_others, 1) + most / 2**10 + 2**-24
            return (most > least) | ((most > 0) & (rounded < most) & (num_others > 0))

        blocks = zip(self.class_probs.split(_ROWS_COMPRESSED), self.residual.split(_ROWS_COMPRESSED), strict=True)
        return torch.cat([names(probs, residual) for probs, residual in blocks])

    def without(self, rows: Bool[Tensor, "N"]) -> "Answers":
        """The same, with no answer to some rows: `probs` gives every class the same probability there.

        Args:
            rows: [N], true where the teacher has none.

        Example:
            >>> answers = compress(torch.tensor([[0.75, 0.25], [0.0, 1.0]])).without(torch.tensor([True, False]))
            >>> answers.answered.tolist(), answers.probs().tolist(), answers.margin.tolist()
            ([False, True], [[0.5, 0.5], [0.0, 1.0]], [0.0, 1.0])
        """
        return replace(
            self,
            class_probs=self.class_probs.masked_fill(rows[:, None], 0),
            margin=self.margin.masked_fill(rows, 0),
            residual=self.residual.masked_fill(rows, 0),
        )

    def identified(self, ids: Any) -> "Answers":
        """The same answers as those of the examples with these ids [N]: content ids, whole numbers or texts."""
        return replace(self, id_word=word_tensor(ids))

    def with_probs(self, probs: Float[Tensor, "N K"]) -> "Answers":
        """Answers with other probabilities for the same examples, compressed by `compress`."""
        return replace(compress(probs), id_word=self.id_word)

    def put(self, answers: "Answers") -> "Answers":
        """The same with other answers to the rows that have one.

        Args:
            answers: As many as there are such rows, in their order, with as many classes kept.
        """
        rows = self.answered.nonzero()[:, 0]
        return replace(
            self,
            class_indices=self.class_indices.index_copy(0, rows, answers.class_indices),
            class_probs=self.class_probs.index_copy(0, rows, answers.class_probs),
            margin=self.margin.index_copy(0, rows, answers.margin),
            residual=self.residual.index_copy(0, rows, answers.residual),
        )

    def take(self, rows: Int[Tensor, "B"] | slice) -> "Answers":
        """The answers of some rows, in the order given; of a slice nothing is copied."""
        return Answers(
            class_indices=self.class_indices[rows],
            class_probs=self.class_probs[rows],
            margin=self.margin[rows],
            residual=self.residual[rows],
            num_classes=self.num_classes,
            id_word=self.id_word[rows],
        )

    def probs(self, rows: Int[Tensor, "B"] | None = None) -> Float32[Tensor, "B K"]:
        """The probability of every class: the kept ones in their places, the residual evenly on the others.

        Args:
            rows: [B], which rows, in which order; None for all N (as B).

        Example:
            One of three classes is kept; the other two share a quarter.

            >>> compress(torch.tensor([[0.25, 0.75, 0.0]]), num_kept=1).probs()
            tensor([[0.1250, 0.7500, 0.1250]])
        """
        parts = (self.class_indices, self.class_probs, self.residual)
        indices, kept, residual = parts if rows is None else (part[rows] for part in parts)
        num_others = self.num_classes - indices.shape[1]
        share = residual.float() / max(num_others, 1)
        dense = share[:, None].repeat(1, self.num_classes).scatter_(1, indices.long(), kept.float())
        silent = kept[:, 0] == 0
        return dense.masked_fill_(silent[:, None], 1 / self.num_classes) if silent.any() else dense


def compress(
    teacher_probs: Float[Tensor, "N K"],
    num_kept: int | None = None,
    *,
    source: str = "teacher_probs",
    row_numbers: NDArray[np.int64] | None = None,
) -> Answers:
    """Keep the likeliest classes of every row in half precision.

    Args:
        teacher_probs: [N, K], finite, not negative; rows sum to one within .001 and are kept as they are.
        num_kept: k, in 1..K. By default all of up to 32 classes, and 10 of more.
        source: What to call the array in errors.
        row_numbers: [N], what to call its rows in errors; by default 0..N-1.

    Example:
        >>> answers = compress(torch.tensor([[0.125, 0.625, 0.25]]))
        >>> answers.class_indices.tolist(), answers.margin.item(), answers.residual.item()
        ([[1, 2, 0]], 0.375, 0.0)

    Raises:
        InputError: A row is not a distribution, or `num_kept` does not fit.
    """
    K = teacher_probs.shape[1]
    if not 2 <= K <= 32767:
        raise InputError(f"{source} has {K} columns; there must be one for each of 2 to 32767 classes.")
    k = (K if K <= MAX_ALL_KEPT else NUM_KEPT) if num_kept is None else num_kept
    if not 1 <= k <= K:
        raise InputError(f"num_kept is {k}; it must lie in 1..{K}, the number of classes.")
    numbers = np.arange(len(teacher_probs)) if row_numbers is None else row_numbers
    # In blocks: intermediate results take ten times the memory of the answers.
    starts = range(0, max(len(teacher_probs), 1), _ROWS_COMPRESSED)
    blocks = [slice(start, start + _ROWS_COMPRESSED) for start in starts]
    parts = [_compressed(teacher_probs[rows], k, source, numbers[rows]) for rows in blocks]
    class_indices, class_probs, margin, residual = (
        torch.from_numpy(np.concatenate(each)) for each in zip(*parts, strict=True)
    )
    return Answers(
        class_indices=class_indices,
        class_probs=class_probs,
        margin=margin,
        residual=residual,
        num_classes=K,
        id_word=torch.arange(len(teacher_probs)),
    )


def _compressed(
    teacher_probs: Tensor, k: int, source: str, row_numbers: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Class indices, their probabilities, margin and residual."""
    K = teacher_probs.shape[1]
    probs = teacher_probs.detach().cpu().double().numpy()
    refuse_bad_rows(probs, source, row_numbers)
    # The bits of a positive float sort as the float does: with the class below them, equal ones fall in class order.
    bits = (torch.from_numpy(probs).float() + 0.0).view(torch.int32).long()
    ranked = (bits * 2**32 + torch.arange(K - 1, -1, -1)).topk(max(k, 2), dim=1).values
    class_indices = (K - 1 - ranked % 2**32).numpy()
    top = np.take_along_axis(probs, class_indices, axis=1)
    residual = np.maximum(probs.sum(axis=1) - top[:, :k].sum(axis=1), 0.0) if k < K else np.zeros(len(probs))
    margin = np.maximum(top[:, 0] - top[:, 1], 0.0)
    kept = class_indices[:, :k].astype(np.int16), top[:, :k].astype(np.float16)
    return *kept, margin.astype(np.float16), residual.astype(np.float16)


def refuse_bad_rows(probs: NDArray[np.float64], source: str, row_numbers: NDArray[np.int64]) -> None:
    """Reject rows that are no distributions.

    Args:
        probs: [N, K].
        source: What to call the array in errors.
        row_numbers: [N], what to call its rows in errors.

    Raises:
        InputError: A number is negative or not finite, or a row does not sum to one within .001.
    """
    total = probs.sum(axis=1)
    # Written so that NaN fails it.
    good = (probs.min(axis=1, initial=np.inf) >= 0) & (np.abs(total - 1) <= 1e-3)
    if good.all():
        return
    row = int(np.argmin(good))
    where = f"{source}, row {row_numbers[row]} (counted from 0)"
    wrong = np.flatnonzero(~np.isfinite(probs[row]) | (probs[row] < 0))
    if len(wrong):
        value = probs[row, wrong[0]]
        raise InputError(f"{where}: class {wrong[0]} has probability {value:g}; it must be a number from 0 to 1.")
    raise InputError(f"{where}: the probabilities sum to {total[row]:.6g}; they must sum to 1 (within 0.001).")


def word_tensor(ids: Any) -> Int64[Tensor, "N"]:
    """`overproof.functional.top_k.words_of` as a tensor; copied only where the ids must not be written to.

    Args:
        ids: [N], content ids, whole numbers or texts.
    """
    words = words_of(ids)
    return torch.from_numpy(words if words.flags.writeable else words.copy())
