"""The n-gram student: a bag of hashed n-grams, weighted by how rare they are."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from overproof.models.inputs import Inputs, num_with_feature

SCALE = 30.0
"""Length of every text's weight vector. It only sets the unit of the table, such that learning rates and weight decays
that are usual elsewhere are right here too: 0.05 does what 45 would at length 1."""

LEAST_SQUARE = 1e-12
"""What the squared length of a text's weights is raised to, so that one without a known n-gram gets the bias alone."""


class NgramBag(nn.Module):
    """Logits of a set of n-grams: the weighted sum of their rows in a table, plus a bias (and a layer, if asked for).

    An n-gram's weight is its idf, and the weights of a text have Euclidean length 30: tf-idf without the tf.

    Args:
        buckets: Rows of the table; row 0 is padding and has weight 0.
        num_classes: K.
        dim: Columns of the table, followed by ReLU and a linear map to K; None sums straight to K logits.
        dropout: Share of the hidden units silenced in training.
    """

    idf: Tensor

    def __init__(self, buckets: int, num_classes: int, *, dim: int | None, dropout: float) -> None:
        super().__init__()
        self.register_buffer("idf", torch.zeros(buckets))
        columns = num_classes if dim is None else dim
        self.table = nn.Parameter(torch.zeros(buckets, columns))
        self.bias = nn.Parameter(torch.zeros(columns))
        self.head: nn.Module = nn.Identity()
        if dim is not None:
            # Zeros here and in the head would be a saddle; a text's hidden units start near N(0, 1).
            nn.init.normal_(self.table, std=1 / SCALE)
            self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, num_classes))

    def forward(self, ngrams: Int64[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        """Logits.

        Args:
            ngrams: Buckets, each row padded with 0.
        """
        weight = _rows(self.idf, ngrams)
        length = weight.square().sum(dim=1, keepdim=True).clamp_min(LEAST_SQUARE).sqrt()
        weight = weight * (SCALE / length)
        bag: Tensor = torch.bmm(weight.unsqueeze(1), _rows(self.table, ngrams)).squeeze(1)
        logits: Tensor = self.head(bag + self.bias)
        return logits


def _rows(table: Tensor, ngrams: Int64[Tensor, "B L"]) -> Tensor:
    """What indexing gives, bit for bit, gradient and all; on a CPU a training step then takes a third of the time."""
    if table.is_cuda:
        return F.embedding(ngrams, table) if table.ndim == 2 else table[ngrams]
    return table.index_select(0, ngrams.reshape(-1)).reshape(*ngrams.shape, *table.shape[1:])


def inverse_document_frequency(parts: Sequence[Inputs], buckets: int) -> Float[Tensor, "V"]:
    """log((1 + N) / (1 + texts with it)) + 1 for every bucket; 0 for one in no text, and for padding.

    Args:
        parts: N texts in all, each a set of buckets.
        buckets: V.

    Example:
        Of three texts two hold n-gram 1 and none n-gram 2: log(4 / 3) + 1.

        >>> from overproof.models.inputs import Ragged
        >>> inputs = Ragged(values=torch.tensor([1, 1], dtype=torch.int32), offsets=torch.tensor([0, 1, 2, 2]))
        >>> inverse_document_frequency([inputs], buckets=3)
        tensor([0.0000, 1.2877, 0.0000])

    Source: Spärck Jones (1972), smoothed as in scikit-learn.
    """
    num_texts = torch.stack([num_with_feature(part, buckets) for part in parts]).sum(dim=0).double()
    idf = torch.log((1 + sum(len(part) for part in parts)) / (1 + num_texts)) + 1
    return torch.where(num_texts > 0, idf, 0.0).float()
