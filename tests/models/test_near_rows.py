"""A row that a student was made from is recognised in another precision, and a new row is not taken for one."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import build
from overproof.models.encoders import PlainTable
from overproof.models.saved.digits import rounding_of
from overproof.models.saved.near_rows import COARSEST, fitted_grid, recognised, words_around
from overproof.models.saved.seen_rows import SeenRows


def table(rows):
    return pa.table({f"c{i}": column for i, column in enumerate(rows.T)})


def with_digits(rows, digits):
    return np.array([float(f"%.{digits}g" % value) for value in rows.ravel()]).reshape(rows.shape)


def trained(rows):
    return build("linear", [from_arrays(table(rows))], class_names=["a", "b"], seed=0).trained_on(table(rows))


COPIES = {
    "float32": lambda rows: rows.astype(np.float32),
    "float16": lambda rows: rows.astype(np.float16).astype(np.float32),
    "six digits": lambda rows: with_digits(rows, 6),
    "four digits": lambda rows: with_digits(rows, 4),
}
DRAWN = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: np.exp(2 * rng.normal(size=shape)),
    "heavy tails": lambda rng, shape: rng.standard_cauchy(shape),
    "mostly zero": lambda rng, shape: np.where(rng.random(shape) < 0.5, 0, rng.normal(size=shape)),
}


@pytest.mark.parametrize("num_columns", [3, 16, 100])
@pytest.mark.parametrize("drawn", DRAWN)
def test_a_copy_with_fewer_digits_is_found_and_a_new_row_is_not(drawn, num_columns):
    num = 1000
    rows = DRAWN[drawn](np.random.default_rng(num_columns), (2 * num, num_columns))
    # In few columns half of which are zero, rows are alike in all of them.
    rows = np.concatenate([rows, np.random.default_rng(1).normal(size=(2 * num, 3))], axis=1)
    student = trained(rows[:num])
    for name, copy in COPIES.items():
        with np.errstate(over="ignore"):
            copied = copy(rows[:num])
        if np.isfinite(copied).all():
            assert student.has_seen(table(copied)).all(), name
            # With a hundred columns more of them may be near an edge than are tried, and digits be few by chance.
            assert student.seen.unsure(student.encoder, from_arrays(table(copied[:50]))).num <= 5, name
    assert student.has_seen(table(rows[num:])).sum() <= 1


def test_whole_numbers_and_few_values_are_found_where_they_are_the_same():
    rng = np.random.default_rng(0)
    for highest, num_columns in ((3, 3), (16, 3), (1000, 2), (10**7, 4)):
        rows = rng.integers(0, highest, (1600, num_columns))
        student = trained(rows[:800])
        known = {tuple(row) for row in rows[:800].tolist()}
        same = np.array([tuple(row) in known for row in rows[800:].tolist()])
        found = student.has_seen(table(rows[800:].astype(float)))
        assert found[same].all()
        assert (found & ~same).mean() <= 0.005
        assert student.seen.unsure(student.encoder, from_arrays(table(rows[800:]))).num == 0


def test_gaps_have_no_digits():
    rng = np.random.default_rng(0)

    def with_gaps(num, digits, share=0.3):
        rows = np.round(rng.normal(size=(num, 3)), digits)
        rows[rng.random(num) < share, 1] = np.nan
        return pa.table({f"c{i}": pa.array(column, from_pandas=True) for i, column in enumerate(rows.T)})

    parts = from_arrays(with_gaps(1000, 2), missing="allow")
    student = build("linear", [parts], class_names=["a", "b"], seed=0).trained_on(parts)

    def unsure(table):
        return student.seen.unsure(student.encoder, from_arrays(table, missing="allow"))

    assert student.seen.lists[0].grid.rounding[1][0] == 2
    assert unsure(with_gaps(300, 2)).num == 0
    # Other digits are told as before, in every row with a value.
    rounded = with_gaps(300, 1)
    assert unsure(rounded).num == 300
    # Few values in many rows may have few digits by chance.
    few = rounded.set_column(1, "c1", pa.array([0.5, 1.0] + [None] * 298))
    assert (
        list(
            unsure(
                few.set_column(0, "c0", with_gaps(300, 2)["c0"]).set_column(2, "c2", with_gaps(300, 2)["c2"])
            ).columns
        )
        == []
    )


def test_the_edges_of_cells_do_not_hide_a_copy():
    """Every number is moved by as much as is promised, one way or the other: whatever its cell, it is found."""
    rng = np.random.default_rng(0)
    encoder = PlainTable(columns=tuple("abcde"))
    rows = rng.normal(size=(3000, 5))
    grid = fitted_grid(encoder, rows, len(rows))
    assert grid.precision == COARSEST
    moved = rows * (1 + grid.precision * rng.choice([-1, 1], rows.shape))
    own = {int(word) for word in words_around(b"", grid, encoder, rows)[1]}
    owner, words = words_around(b"", grid, encoder, moved)
    plain = grid.placed(encoder, rows).cells, grid.placed(encoder, moved).cells
    assert 0.1 < (plain[0] != plain[1]).any(axis=1).mean() < 0.9
    assert set(owner[[int(word) in own for word in words]].tolist()) == set(range(3000))
    # With a hundred columns, at most ten edges a row are tried: what is surely recognised says so.
    wide = rng.normal(size=(300, 5))
    assert recognised(grid, encoder, wide).min() > 0.9 * grid.precision


def test_where_digits_are_too_few_it_is_said_and_one_column_needs_more():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 3))
    student = trained(rows)
    assert student.seen.lists[0].grid.precision == COARSEST

    def unsure(of):
        return student.seen.unsure(student.encoder, from_arrays(table(of)))

    assert (unsure(rows).num, unsure(rng.normal(size=(100, 3))).columns) == (0, {})
    rounded = rows[:100].copy()
    rounded[:, 1] = np.round(rounded[:, 1], 1)
    assert unsure(rounded).num > 90
    assert list(unsure(rounded).columns) == ["c1"]
    assert unsure(rounded).columns["c1"][0] == 1
    # Two hundred thousandths of a column's width are as near as a copy: one column tells six digits, not four.
    one = trained(rows[:, :1])
    assert one.seen.lists[0].grid.precision < 1e-4
    assert one.has_seen(table(with_digits(rows[:, :1], 6))).all()
    assert one.has_seen(table(rng.normal(size=(1000, 1)))).mean() <= 0.01
    said = one.seen.unsure(one.encoder, from_arrays(table(with_digits(rows[:, :1], 4))))
    assert said.num > 900
    # Trained on rounded numbers: the same numbers with all digits would not be recognised either.
    coarse = trained(np.round(rows, 1))
    assert coarse.seen.unsure(coarse.encoder, from_arrays(table(rows))).num > 900
    assert coarse.seen.unsure(coarse.encoder, from_arrays(table(np.round(rng.normal(size=(90, 3)), 1)))).num == 0


def test_near_rows_that_are_not_copies_make_cells_narrower():
    """Readings of one sensor a second: a row differs from the one before in its fourth digit."""
    steps = np.random.default_rng(0).normal(size=(4000, 2)) * 0.001
    walk = 5 + np.cumsum(steps, axis=0)
    student = trained(walk[::2])
    assert student.has_seen(table(walk[::2].astype(np.float32))).all()
    assert student.has_seen(table(walk[1::2])).mean() < 0.02


def test_a_list_of_an_earlier_version_matches_the_same_numbers_only(tmp_path):
    rows = np.random.default_rng(0).normal(size=(50, 3))
    student = trained(rows)
    listed = student.seen.lists[0]
    about = {"key": listed.key.hex(), "role": "training rows", "num_rows": 50, "encoder": {}}
    old = SeenRows(data=as_file({"format": 1, "lists": [about], "unknown": []}, listed.words))
    assert old.has(student.encoder, from_arrays(table(rows))).all()
    assert not old.has(student.encoder, from_arrays(table(with_digits(rows, 6)))).any()
    assert old.unsure(student.encoder, from_arrays(table(rows))).exact_only
    assert not student.seen.unsure(student.encoder, from_arrays(table(rows))).exact_only
    # A later student that was made with it says so too.
    again = old.inherited(student.encoder, "its teacher's")
    assert (again[0].exact_only, again[0].grid) == (True, None)


def as_file(about, words):
    sink = io.BytesIO()
    written = pa.table({"hash": words}).replace_schema_metadata({b"overproof": json.dumps(about)})
    pq.write_table(written, sink, write_page_checksum=True)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": [10**9, 0, 0]}, "no small whole number"),
        ({"middles": ["a", 0, 0]}, "no small whole number"),
        ({"steps": [0]}, "a precision that no version writes"),
        ({"precision": 0.5}, "a precision that no version writes"),
        ({"precision": float("nan")}, "a precision that no version writes"),
        ({"rounding": 3}, "damaged"),
        ({"steps": [0, 0], "middles": [0, 0], "rounding": [[1, 1], [1, 1]]}, "its grid has 2 columns"),
    ],
)
def test_a_damaged_grid_is_refused(change, words):
    rows = np.random.default_rng(0).normal(size=(50, 3))
    student = trained(rows)
    stored = pq.read_table(io.BytesIO(student.seen.data))
    about = json.loads(stored.schema.metadata[b"overproof"])
    about["grids"][0].update(change)
    damaged = SeenRows(data=as_file(about, stored["hash"].to_numpy()), origin="seen.parquet")
    with pytest.raises(InputError, match=f"seen.parquet is damaged.*{words}|{words}"):
        damaged.has(student.encoder, from_arrays(table(rows)))


def test_the_digits_of_a_column():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    exact = np.zeros(100)
    assert rounding_of(np.round(values * 50, 2), exact)[0] == 2
    assert rounding_of(with_digits(values, 3), exact)[1] == 3
    assert rounding_of(rng.integers(0, 1000, 100) * 100.0, exact)[0] == -2
    assert rounding_of(values, exact) == (None, None)
    # Numbers that are known to a hundredth do not tell.
    assert rounding_of(np.round(values, 2), exact + 0.01)[0] is None or rounding_of(values, exact + 0.01) == (
        None,
        None,
    )
