"""The n-gram student: a bag of hashed n-grams, weighted by inverse document frequency."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from overproof.models.inputs import Batches, Inputs, Ragged, Unpadded, is_on_disk, part_of
from overproof.models.matrices import num_with_feature

SCALE = 30.0
"""Norm of the weight vector of every text. It sets the unit of the table, so that usual learning rates and weight
decays fit: a rate of 0.05 has the effect of 45 at norm 1."""

BLOCK = 4096
"""Texts whose weights are scaled at a time."""

LEAST_SQUARE = 1e-12
"""Minimum of the squared norm of a text's weights, so that a text without known n-grams gets the bias alone."""


class NgramBag(nn.Module):
    """Logits of a set of n-grams: the weighted sum of their rows in a table, plus a bias (and optionally a layer).

    The weight of an n-gram is its inverse document frequency (idf), scaled so that the weights of a text have Euclidean
    norm 30.

    Args:
        buckets: Rows of the table; row 0 is padding and has weight 0.
        num_classes: K.
        dim: Columns of the table, followed by ReLU and a linear map to K; None sums directly to K logits.
        dropout: Dropout rate of the hidden units.
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
            # Zeros here and in the head would be a saddle point; the hidden units of a text start near N(0, 1).
            nn.init.normal_(self.table, std=1 / SCALE)
            self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, num_classes))

    def forward(self, ngrams: Int64[Tensor, "B L"] | Ragged) -> Float[Tensor, "B K"]:
        """Logits.

        Args:
            ngrams: Buckets of B texts; or rows padded with 0, for other training loops and for export: slower, with
                standard operations, and the same up to rounding.
        """
        if isinstance(ngrams, Ragged):
            bag = bags(self.table, ngrams, weights(self.idf, ngrams))
        else:
            weight = self.idf[ngrams]
            length = weight.square().sum(dim=1, keepdim=True).clamp_min(LEAST_SQUARE).sqrt()
            bag = torch.bmm((weight * (SCALE / length)).unsqueeze(1), self.table[ngrams]).squeeze(1)
        logits: Tensor = self.head(bag + self.bias)
        return logits


def as_read(module: nn.Module, inputs: Inputs, *, many_times: bool = False) -> Batches:
    """Inputs in the form that a module reads: without padding for a bag of n-grams, otherwise unchanged.

    Args:
        module: Of a student.
        inputs: Encoded examples.
        many_times: Whether each is read several times, as in training: what does not change is then computed once.
    """
    if not isinstance(module, NgramBag):
        return inputs
    scale = _scales(module.idf, inputs) if many_times and not is_on_disk(inputs) else None
    return Unpadded(inputs=inputs, scale=scale)


def weights(idf: Float[Tensor, "V"], texts: Ragged) -> Float[Tensor, "T"]:
    """The weight of each n-gram: its idf, scaled to Euclidean norm 30 in each text.

    Args:
        idf: [V], of each bucket.
        texts: B texts with T n-grams in total.
    """
    scale = _scale(idf.square().unsqueeze(1), texts) if texts.scale is None else texts.scale
    return idf.index_select(0, texts.values) * texts.per_feature(scale)


def _scale(square: Tensor, texts: Ragged) -> Tensor:
    """[B], by what the idf of each text's n-grams is multiplied, from the squares of the idf [V, 1]."""
    return SCALE / _sums(square, texts, None)[:, 0].clamp_min_(LEAST_SQUARE).sqrt_()


def _scales(idf: Tensor, inputs: Inputs) -> Tensor:
    """The same of many texts, block by block."""
    square, rows = idf.detach().cpu().square().unsqueeze(1), torch.arange(len(inputs))
    blocks = [_scale(square, part_of(inputs, part)) for part in rows.split(BLOCK)]
    return torch.cat(blocks) if blocks else square.new_zeros(0)


def bags(table: Float[Tensor, "V C"], texts: Ragged, weight: Float[Tensor, "T"]) -> Float[Tensor, "B C"]:
    """The weighted sum of each text's rows of a table, in the order of its n-grams; zero for a text without any.

    Example:
        >>> texts = Ragged(values=torch.tensor([1, 2], dtype=torch.int32), offsets=torch.tensor([0, 2, 2]))
        >>> bags(torch.tensor([[0.0], [1.0], [10.0]]), texts, torch.tensor([2.0, 3.0]))
        tensor([[32.],
                [ 0.]])
    """
    bag: Tensor = _Bags.apply(table, texts, weight)
    return bag


class _Bags(torch.autograd.Function):
    """PyTorch's embedding bag in the forward pass. Its backward pass sorts the buckets, which dominates the time;
    SciPy's product with a sparse matrix adds n-gram by n-gram in order, in a third of the time of `index_add_`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, texts: Ragged, weight: Tensor) -> Tensor:
        ctx.texts, ctx.weight, ctx.buckets = texts, weight, len(table)
        return _sums(table, texts, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        texts, weight, buckets = ctx.texts, ctx.weight, ctx.buckets
        if not grad.is_cuda:
            from scipy.sparse import csc_array

            parts = (weight.numpy(), texts.values.numpy(), texts.offsets.numpy())
            return torch.from_numpy(csc_array(parts, shape=(buckets, len(texts))) @ grad.numpy()), None, None
        # On a GPU index_add_ is not deterministic; index_put_ sorts, so that the same seed gives the same bytes.
        rows = texts.per_feature(grad).mul_(weight.unsqueeze(1))
        whole = grad.new_zeros(buckets, grad.shape[1])
        return whole.index_put_((texts.values.long(),), rows, accumulate=True), None, None


def _sums(table: Tensor, texts: Ragged, weight: Tensor | None) -> Tensor:
    return F.embedding_bag(
        texts.values,
        table,
        texts.offsets.to(texts.values.dtype),
        mode="sum",
        per_sample_weights=weight,
        include_last_offset=True,
    )


def inverse_document_frequency(parts: Iterable[Inputs], buckets: int) -> Float[Tensor, "V"]:
    """log((1 + N) / (1 + texts with it)) + 1 for every bucket; 0 for one in no text, and for padding.

    Args:
        parts: N texts in total, each a set of buckets; one part is held at a time.
        buckets: V.

    Example:
        Two of three texts have n-gram 1 and none n-gram 2: log(4 / 3) + 1.

        >>> from overproof.models.inputs import Ragged
        >>> inputs = Ragged(values=torch.tensor([1, 1], dtype=torch.int32), offsets=torch.tensor([0, 1, 2, 2]))
        >>> inverse_document_frequency([inputs], buckets=3)
        tensor([0.0000, 1.2877, 0.0000])

    Source: Spärck Jones (1972), smoothed as in scikit-learn.
    """
    counts, total = torch.zeros(buckets, dtype=torch.int64), 0
    for part in parts:
        counts += num_with_feature(part, buckets)
        total += len(part)
    num_texts = counts.double()
    idf = torch.log((1 + total) / (1 + num_texts)) + 1
    return torch.where(num_texts > 0, idf, 0.0).float()
