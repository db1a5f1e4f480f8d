"""How often labelled examples count where some repeat others: the one rule of all estimates, intervals and folds.

* An **estimate** is computed from one example of each content, the first; repeats of it add nothing.
* An **interval** counts independent examples: groups, and without groups contents. Where groups have different sizes,
  it counts the effective number of groups, (sum of sizes)² / (sum of squared sizes), which equals their number where
  sizes are equal.
* **Folds** and held-out shares have all examples of a group on one side.

Training itself uses every row that is given. Examples of one content are always in one group, whatever else it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Repeats:
    """Which examples repeat each other, and which depend on each other.

    Args:
        content: [N], a number for each content.
        group: [N], a number for each group, from 0; examples of one content have one group.

    Example:
        Four contents in three groups: the estimate is computed from four examples, the interval from 16 / 6 of them.

        >>> repeats = Repeats.of(["a", "a", "b", "c", "d"], ["p", "p", "p", "q", "r"])
        >>> repeats.once.tolist(), repeats.group.tolist(), round(repeats.num_independent, 3)
        ([0, 2, 3, 4], [0, 0, 0, 1, 2], 2.667)
    """

    content: Int64[Tensor, "N"]
    group: Int64[Tensor, "N"]

    @classmethod
    def of(cls, content: ArrayLike, group: ArrayLike | None = None) -> "Repeats":
        """Examples with these contents [N] (ids, or anything that is equal where they are), and groups [N] if any."""
        numbers = content_groups(content)
        if group is None:
            return cls(content=numbers, group=numbers)
        return cls(content=numbers, group=_connected(numbers.numpy(), content_groups(group).numpy()))

    @classmethod
    def none(cls, num: int) -> "Repeats":
        """Examples that all differ and are independent."""
        return cls(content=torch.arange(num), group=torch.arange(num))

    def __len__(self) -> int:
        return len(self.content)

    @property
    def any(self) -> bool:
        """Whether some examples repeat or depend on each other."""
        return self.num_groups < len(self)

    @property
    def num_groups(self) -> int:
        """Number of groups; without groups, of contents."""
        return len(self.group.unique())

    @property
    def once(self) -> Int64[Tensor, "M"]:
        """[M], ascending: the first example of each content."""
        return torch.from_numpy(np.sort(np.unique(self.content.numpy(), return_index=True)[1]))

    @property
    def num_independent(self) -> float:
        """The number of examples that an interval counts."""
        sizes = torch.bincount(self.group[self.once]).double()
        return float(sizes.sum() ** 2 / sizes.square().sum()) if len(self) else 0.0

    def take(self, rows: Int[Tensor, "M"] | Bool[Tensor, "N"]) -> "Repeats":
        """Those of some examples, by row numbers or a mask."""
        return Repeats(content=content_groups(self.content[rows]), group=content_groups(self.group[rows]))

    def counted(self, rows: Int[Tensor, "B"]) -> Int64[Tensor, "M"]:
        """Of these rows, the first example of each content, in the order given."""
        first = np.unique(self.content[rows].numpy(), return_index=True)[1]
        return rows[torch.from_numpy(np.sort(first))]

    def resampled(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of a bootstrap sample: as many groups as there are, drawn with replacement, with all of their examples.

        The examples must be distinct (`take(once)`).
        """
        if not self.any:
            return generator.integers(len(self), size=len(self))
        group = self.group.numpy()
        members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.unique(group, return_counts=True)[1])[:-1])
        return np.concatenate([members[place] for place in generator.integers(len(members), size=len(members))])


def joined(parts: Sequence[Repeats], groups: Sequence[Tensor | None] = ()) -> Repeats:
    """Several sets in a row, none of whose examples repeats one of another set.

    Args:
        parts: The sets.
        groups: The group of each of their examples, as numbers that are the same in every set; examples of one group
            then depend on each other across sets. Without them, or with None among them, they do so within a set.

    Example:
        >>> joined([Repeats.of([7, 7]), Repeats.of([7])]).content.tolist()
        [0, 0, 1]
    """
    content, group = list[Tensor](), list[Tensor]()
    for each in parts:
        content.append(each.content + sum(len(before) for before in content))
        group.append(each.group + sum(len(before) for before in group))
    given = [each for each in groups if each is not None]
    if given and len(given) == len(parts):
        return Repeats.of(torch.cat(content), torch.cat(given))
    return Repeats(content=content_groups(torch.cat(content)), group=content_groups(torch.cat(group)))


def content_groups(ids: ArrayLike) -> Int64[Tensor, "N"]:
    """The number of every example's content, counted from 0 in the order of first examples: equal ids, one number.

    Args:
        ids: [N], content ids, or anything that is equal where the content is.

    Example:
        >>> content_groups(["b", "a", "b"]).tolist()
        [0, 1, 0]
    """
    values = np.ascontiguousarray(ids)
    # NumPy sorts text of fixed length, but not raw bytes.
    values = values.view(f"S{values.dtype.itemsize}") if values.dtype.kind == "V" else values
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return torch.from_numpy(number[inverse.reshape(-1)])


def standard_error(values: Float[Tensor, "V"], repeats: Repeats | None = None) -> float:
    """The standard error of a mean of values, of which those of one group may depend on each other.

    Args:
        values: [V], at least two.
        repeats: Of the examples; None for independent ones.

    Example:
        >>> round(standard_error(torch.tensor([0.0, 1.0, 0.0, 1.0]).double(), Repeats.of([0, 1, 2, 3])), 4)
        0.2887
        >>> round(standard_error(torch.tensor([0.0, 1.0, 0.0, 1.0]).double(), Repeats.of([0, 1, 0, 1])), 4)
        0.5

    Source: Liang and Zeger (1986), Biometrika 73 (the sandwich estimate, for a mean), times G / (G - 1) for G groups.
    """
    if repeats is None or not repeats.any:
        return values.std().item() / len(values) ** 0.5
    values, group = values[repeats.once], repeats.group[repeats.once]
    totals = torch.zeros(int(group.max()) + 1, dtype=values.dtype).index_add(0, group, values - values.mean())
    num_groups = len(group.unique())
    if num_groups < 2:
        return float("inf")
    return float((totals.square().sum() * num_groups / (num_groups - 1)).sqrt() / len(values))


def _connected(content: NDArray[np.int64], group: NDArray[np.int64]) -> Int64[Tensor, "N"]:
    """Numbers of the finest groups in which equal contents, and equal groups, are together."""
    found = np.arange(len(content))
    while True:
        before = found
        for number in (content, group):
            least = np.full(int(number.max(initial=-1)) + 1, len(content))
            np.minimum.at(least, number, found)
            found = least[number]
        if np.array_equal(before, found):
            return content_groups(found)
