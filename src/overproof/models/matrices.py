"""Encoded examples as one matrix for scikit-learn, and counts of their features."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor

from overproof.models.inputs import Inputs, Ragged, part_of


def num_with_feature(inputs: Inputs, num_features: int) -> Int64[Tensor, "V"]:
    """Number of examples with each feature, for sets of features; 0 for padding.

    Args:
        inputs: Sets of features, read in blocks if they are not in memory.
        num_features: V, larger than every feature.

    Example:
        >>> inputs = Ragged(values=torch.tensor([1, 1, 2], dtype=torch.int32), offsets=torch.tensor([0, 1, 3]))
        >>> num_with_feature(inputs, 4).tolist()
        [0, 2, 1, 0]
    """
    if isinstance(inputs, Ragged):
        return torch.bincount(inputs.values, minlength=num_features)
    counts = torch.zeros(num_features, dtype=torch.int64)
    for start in range(0, len(inputs), 4096):
        rows = torch.arange(start, min(start + 4096, len(inputs)))
        counts += torch.bincount(part_of(inputs, rows).values, minlength=num_features)
    return counts


def as_matrix(inputs: Inputs, rows: Int[Tensor, "B"]) -> Any:
    """Some examples as one matrix, for scikit-learn estimators.

    Args:
        inputs: Encoded examples.
        rows: [B], their rows.

    Returns:
        A float32 array [B, D], flattened, bytes scaled to [0, 1]; for sets of features a scipy sparse matrix of inverse
        document frequencies (over all of `inputs`), with rows of length one.

    Example:
        >>> two = Ragged(values=torch.tensor([1, 2], dtype=torch.int32), offsets=torch.tensor([0, 1, 2]))
        >>> as_matrix(two, torch.tensor([1])).toarray().tolist()
        [[0.0, 0.0, 1.0]]
    """
    from scipy.sparse import csr_array

    values = inputs.take(rows)
    # Only sets of features are 64-bit integers.
    if values.dtype != torch.int64:
        flat = values.flatten(1).float().numpy()
        return flat / 255 if values.dtype == torch.uint8 else flat
    width = 1 + max((int(inputs.take(some).max()) for some in torch.arange(len(inputs)).split(4096)), default=0)
    num_with = num_with_feature(inputs, width).numpy()
    idf = (np.log((1 + len(inputs)) / (1 + num_with)) + 1).astype(np.float32)
    features = values.numpy()
    counts = (features > 0).sum(axis=1)
    columns = features[features > 0]
    data = idf[columns]
    where = np.repeat(np.arange(len(rows)), counts)
    length = np.sqrt(np.bincount(where, data.astype(np.float64) ** 2, minlength=len(rows))).astype(np.float32)
    return csr_array((data / length[where], columns, np.concatenate([[0], counts.cumsum()])), shape=(len(rows), width))
