"""Rows of a data set whose labels are numbers of rows: the one thing that the Trainer hands on to a loss function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

LABELS = ("label", "labels", "label_ids")
"""What the Trainer and its collators call labels."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CodedRows(torch.utils.data.Dataset[Mapping[str, Any]]):
    """Some rows of a data set, whose `label` is K plus the number of the row.

    Classes are 0..K-1, so that a loss function tells rows of the training set from labels of an evaluation set. The
    Trainer keeps a column `label` of every model (`labels` only where `forward` takes them), and the collators of
    transformers call it `labels`.

    Args:
        rows: The data set: maps a row number to a mapping, as those of `datasets` do.
        place: [M], its rows that are used.
        num_classes: K.
    """

    rows: Any
    place: Int[Tensor, "M"]
    num_classes: int

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        row = int(self.place[number])
        found = {name: value for name, value in self.rows[row].items() if name not in LABELS}
        return {**found, "label": self.num_classes + row}


def column_of(rows: Any, name: str) -> list[Any]:
    """A column of a data set.

    Args:
        rows: The data set; one of `datasets` has its columns, of any other each row is read.
        name: The column.

    Raises:
        KeyError: There is none of that name.
    """
    if hasattr(rows, "column_names"):
        return list(rows[name])
    return [rows[row][name] for row in range(len(rows))]
