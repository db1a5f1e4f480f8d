"""Damaged files end in one sentence, or are read as another reader reads them: no traceback and no silent change.

`mutate_readers.py` makes the damage and has the rules; here it runs as a process of its own, which may end or hang.
"""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from overproof.data.readers.arrow_files import open_arrow, open_parquet
from overproof.errors import InputError
from tests.faults import mutate_readers

alike = mutate_readers.alike

FORBIDDEN = ("traceback", "sentence", "silent", "hang", "crash")


def outcomes(number: int, seed: int) -> dict[str, dict[str, int]]:
    script = Path(__file__).parent / "mutate_readers.py"
    command = [sys.executable, str(script), "--number", str(number), "--seed", str(seed), "--show"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    wrong = {name: counts for name, counts in found.items() if any(each in counts for each in FORBIDDEN)}
    assert not wrong, (wrong, done.stderr[-3000:])
    # A traceback that somebody else printed is one too.
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return found


def check(number: int, seed: int) -> None:
    found = outcomes(number, seed)
    assert sum(sum(counts.values()) for counts in found.values()) == number
    assert set(found) == set(mutate_readers.READERS)
    total = sum(map(Counter, found.values()), Counter())
    assert total["refused"] > number / 2
    assert total["read"] > number / 20
    # Nearly every file that is read is compared.
    assert total["alone"] < total["read"] / 10


def test_two_thousand_damaged_files_are_refused_in_a_sentence_or_read_right():
    check(2000, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_hundred_thousand_damaged_files_are_refused_in_a_sentence_or_read_right(seed):
    check(20_000, seed)


def test_what_must_not_be_is_noticed(tmp_path):
    """The rules themselves: readers that do wrong are found out."""

    def lines(folder: Path) -> list[str]:
        return (folder / "a.txt").read_text().splitlines()

    def raising(error: Exception):
        def read(folder: Path) -> None:
            raise error

        return read

    (tmp_path / "a.txt").write_text("one\ntwo\n")
    readers = {
        "traceback": mutate_readers.Reader(lambda folder: [], raising(KeyError("a"))),
        "sentence": mutate_readers.Reader(lambda folder: [], raising(InputError("One line.\nAnother."))),
        "refused": mutate_readers.Reader(lambda folder: [], raising(InputError("One sentence."))),
        "silent": mutate_readers.Reader(lambda folder: [], lambda folder: ["one"], lines),
        "read": mutate_readers.Reader(lambda folder: [], lines, lines),
        "alone": mutate_readers.Reader(lambda folder: [], lines, raising(KeyError("a"))),
    }
    for expected, reader in readers.items():
        assert mutate_readers.outcome(reader, tmp_path, None)[0] == expected
    own = mutate_readers.Reader(lambda folder: [], lines, own=True)
    assert mutate_readers.outcome(own, tmp_path, ["one", "two"])[0] == "read"
    assert mutate_readers.outcome(own, tmp_path, ["one", "three"])[0] == "silent"


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (0.001, 0.002, False),
        (0.001, mutate_readers.second_readers.Near(0.002), True),
        (0.1, mutate_readers.second_readers.Near(0.103), False),
        (1.0, 1, True),
        (True, 1, False),
        ("1", 1, False),
        ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({}, {"a": 1}, False),
    ],
)
def test_only_probabilities_may_differ_a_little(found, expected, same):
    assert alike(found, expected) is same


def another(value):
    """The same with its last number or text changed; of a dictionary the first."""
    if isinstance(value, dict):
        first = next(iter(value))
        return {**value, first: another(value[first])}
    if isinstance(value, list):
        return [*value[:-1], another(value[-1])]
    return value + "x" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("name", [name for name, reader in mutate_readers.READERS.items() if reader.check])
def test_every_comparison_notices_one_other_value(tmp_path, name):
    reader = mutate_readers.READERS[name]
    reader.write(tmp_path)
    found, expected = reader.read(tmp_path), reader.check(tmp_path)
    assert alike(found, expected)
    for part in range(len(found)) if isinstance(found[0] if isinstance(found, list) else None, list) else ():
        assert not alike([*found[:part], another(found[part]), *found[part + 1 :]], expected)
    assert not alike(another(found), expected)


def test_a_column_whose_name_is_no_text_is_a_damaged_file(tmp_path):
    path = tmp_path / "a.feather"
    feather.write_feather(pa.table({"size": [1.0], "odd": [2.0]}), str(path), compression="uncompressed")
    path.write_bytes(path.read_bytes().replace(b"odd\0", b"\x80dd\0"))
    with pytest.raises(InputError, match=r"is not a readable Arrow file \(.*utf-8.*a whole one is needed"):
        open_arrow(path, "File a.feather")


def test_a_name_in_the_metadata_of_a_column_that_is_no_text_is_a_damaged_file(tmp_path):
    """The schema names the column rightly; only what the row group says of it does not."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"size": [1.0], "odd": [2.0]}), path, store_schema=False)
    head, _, tail = path.read_bytes().rpartition(b"odd")
    path.write_bytes(head + b"\x80dd" + tail)
    rows = open_parquet(path, "File a.parquet")
    assert rows.columns == ("size", "odd")
    # Columns are asked for one by one only where all of them together are above the limit.
    assert next(iter(rows.tables(["size"]))).to_pydict() == {"size": [1.0]}
    with pytest.raises(InputError, match=r"is a damaged Parquet file \(.*utf-8.*a whole one is needed"):
        list(replace(rows, max_gb=1e-9).tables(["size"]))
