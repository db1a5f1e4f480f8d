"""Bags of n-grams: batches without padding, the same sums and gradients as padded ones."""

import pytest
import torch

from overproof.models import Dense, OnDisk, Placed, Ragged, Unpadded, as_read, join, ngram_bag
from overproof.models.ngram_bag import NgramBag, bags


def ragged(lengths=(3, 0, 5, 1, 9), buckets=40) -> Ragged:
    g, offsets = torch.Generator().manual_seed(0), torch.tensor([0, *lengths]).cumsum(0)
    values = torch.randint(1, buckets, (int(offsets[-1]),), generator=g, dtype=torch.int32)
    return Ragged(values=values, offsets=offsets)


def bag(dim=None, dtype=torch.float64) -> NgramBag:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = NgramBag(40, 3, dim=dim, dropout=0.0)
        made.idf.copy_(torch.rand(40) + 1)
        made.idf[0] = 0
        torch.nn.init.normal_(made.table)
    return made.to(dtype)


@pytest.mark.parametrize("rows", [[4, 0, 2, 2], [1], [1, 1], [3, 4], []])
def test_a_part_holds_the_features_of_its_rows_in_order(rows):
    whole, rows = ragged(), torch.tensor(rows, dtype=torch.int64)
    part, padded = whole.part(rows), whole.take(rows)
    assert len(part) == len(rows)
    assert part.values.tolist() == padded[padded > 0].tolist()
    assert part.offsets.diff().tolist() == (padded > 0).sum(dim=1).tolist()
    owner = part.per_feature(torch.arange(len(rows)))
    assert owner.tolist() == [i for i, row in enumerate(padded) for each in row if each > 0]


@pytest.mark.parametrize("dim", [None, 4])
def test_a_bag_says_the_same_of_padded_texts_and_learns_the_same(dim):
    whole, rows = ragged(), torch.tensor([4, 1, 0, 2])
    padded, unpadded = bag(dim), bag(dim)
    one, other = padded(whole.take(rows)), unpadded(Unpadded(inputs=whole).take(rows))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    for logits in (one, other):
        logits.square().sum().backward()
    for mine, theirs in zip(padded.parameters(), unpadded.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-12)
    # A text without n-grams: the bias alone.
    assert dim is not None or torch.equal(other[1], unpadded.bias)


def test_what_a_bag_says_of_a_text_is_the_same_in_any_company():
    whole, module = ragged((30, 2, 7, 0, 300)), bag(dtype=torch.float32)
    together = module(whole.part(torch.arange(5)))
    assert all(torch.equal(module(whole.part(torch.tensor([row])))[0], together[row]) for row in range(5))


def test_texts_that_are_read_many_times_are_scaled_once_to_the_same_bits(monkeypatch):
    monkeypatch.setattr(ngram_bag, "BLOCK", 2)
    module, rows = bag(dtype=torch.float32), torch.tensor([3, 0, 6, 6, 2])
    whole = join([ragged((30, 2, 7, 0)), Placed(inputs=ragged((5, 300, 4)), place=torch.tensor([2, 0, 1]))])
    once = as_read(module, whole, many_times=True)
    assert torch.equal(module(once.take(rows)), module(as_read(module, whole).take(rows)))
    calls = list[int]()
    monkeypatch.setattr(ngram_bag, "_scale", lambda *given: calls.append(1))
    module(once.take(rows))
    assert not calls
    on_disk = join([ragged((3,)), Placed(inputs=OnDisk(inputs=ragged((5, 4))), place=torch.tensor([0]))])
    assert as_read(module, on_disk, many_times=True).scale is None, "a pass over a disk for a tenth of a step"


def test_only_bags_read_texts_without_padding():
    assert isinstance(as_read(bag(), ragged()), Unpadded)
    pixels = Dense(values=torch.zeros(2, 3))
    assert as_read(torch.nn.Linear(3, 2), pixels) is pixels


@pytest.mark.parametrize("columns", [1, 2, 3, 20])
def test_the_gradient_of_a_table_is_summed_in_the_order_of_the_n_grams(columns):
    """To the last bit: the sum of floats depends on the order."""
    g = torch.Generator().manual_seed(1)
    texts, table = ragged((300, 0, 700, 50), buckets=64), torch.randn(64, columns, generator=g).requires_grad_()
    weight, grad = torch.rand(len(texts.values), generator=g), torch.randn(4, columns, generator=g)
    bags(table, texts, weight).backward(grad)
    rows = texts.per_feature(grad) * weight.unsqueeze(1)
    assert torch.equal(table.grad, torch.zeros(64, columns).index_add_(0, texts.values.long(), rows))


def test_a_batch_holds_what_selection_feature_by_feature_gives():
    whole, rows = ragged(), torch.tensor([4, 1, 0, 4])
    copied = whole.part(rows)
    lengths = copied.offsets.diff().tolist()
    starts = whole.offsets[rows].tolist()
    place = torch.cat([start + torch.arange(length) for start, length in zip(starts, lengths, strict=True)])
    assert torch.equal(copied.values, whole.values[place])
