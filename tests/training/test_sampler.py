"""Batches are functions of seed and step."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from overproof.seeds import derived_seed
from overproof.training.least_trusted import lowest
from overproof.training.sampler import Shuffled


@given(num_rows=st.integers(1, 40), start=st.integers(0, 200), count=st.integers(0, 100))
def test_a_stream_may_be_entered_anywhere(num_rows, start, count):
    stream = Shuffled(num_rows, seed=3)
    assert torch.equal(stream.take(0, start + count)[start:], stream.take(start, count))


@given(num_rows=st.integers(1, 40), cycle=st.integers(0, 5))
def test_every_cycle_holds_every_row_once(num_rows, cycle):
    rows = Shuffled(num_rows, seed=1).take(cycle * num_rows, num_rows)
    assert sorted(rows.tolist()) == list(range(num_rows))


def test_seeds_and_cycles_differ():
    first, second = Shuffled(50, seed=0), Shuffled(50, seed=1)
    assert not torch.equal(first.take(0, 50), second.take(0, 50))
    assert not torch.equal(first.take(0, 50), first.take(50, 50))


def test_no_rows_give_no_rows():
    assert len(Shuffled(0, seed=0).take(0, 10)) == 0


def test_rows_of_a_cycle_are_those_of_the_permutation():
    """Which decides the bytes of every student."""
    drawn = torch.randperm(50, generator=torch.Generator().manual_seed(derived_seed(3, 1)))
    found = Shuffled(50, 3).take(50, 50)
    assert torch.equal(found, drawn)
    assert found.dtype == torch.int64


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40), st.integers(1, 15))
def test_the_lowest_rows_are_those_of_a_full_sort(pairs, num):
    value, second = torch.tensor(pairs, dtype=torch.float32).unbind(dim=1)
    assert lowest(value, second, num) == np.lexsort((second.numpy(), value.numpy()))[:num].tolist()
