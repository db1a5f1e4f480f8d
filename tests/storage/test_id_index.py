"""The one look-up of rows by content id."""

import numpy as np
import pytest

from overproof.data.ids import ID
from overproof.storage.id_index import IdIndex


def ids_of(numbers):
    """Ids that differ in the first, in the last or in all of their bytes, some of them ending in zero bytes."""
    return np.frombuffer(b"".join(int(number).to_bytes(16, "big") for number in numbers), ID)


def rows_of(stored, wanted):
    rows, known = IdIndex(stored).find(wanted)
    return [row if found else None for row, found in zip(rows.tolist(), known.tolist(), strict=True)]


def test_rows_are_those_that_a_dictionary_finds():
    generator = np.random.default_rng(0)
    pool = [0, 1, 2**64, 2**127, 2**120 + 1, *(int(each) << 60 for each in generator.integers(0, 50, 200))]
    stored, wanted = generator.permutation(pool)[:150].tolist(), generator.permutation(pool).tolist()
    first = {number: row for row, number in reversed(list(enumerate(stored)))}
    expected = [first.get(number) for number in wanted]
    assert rows_of(ids_of(stored), ids_of(wanted)) == expected
    assert None in expected
    assert len(first) < len(stored)


@pytest.mark.parametrize("step", [1, 2])
def test_views_and_other_types_find_the_same(step):
    ids = ids_of(range(10))[::step]
    assert rows_of(ids, ids) == list(range(len(ids)))
    assert rows_of(ids, np.ascontiguousarray(ids).view("S16")[::-1]) == list(range(len(ids)))[::-1]


def test_an_empty_set_has_no_row():
    assert rows_of(np.empty(0, ID), ids_of([1, 2])) == [None, None]
    assert rows_of(ids_of([1]), np.empty(0, ID)) == []
