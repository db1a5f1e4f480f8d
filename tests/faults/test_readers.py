"""Damaged files end in one sentence, or are read as another reader reads them: no traceback and no silent change.

`mutate_readers.py` makes the damage and has the rules; here it runs as a process of its own, which may end or hang.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import mutate_readers

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


def test_two_thousand_damaged_files_are_refused_in_a_sentence_or_read_right():
    check(2000, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_hundred_thousand_damaged_files_are_refused_in_a_sentence_or_read_right(seed):
    check(20_000, seed)


def test_what_must_not_be_is_noticed(tmp_path):
    """The rules themselves: readers that do wrong are found out."""
    from overproof.errors import InputError

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
    }
    for expected, reader in readers.items():
        assert mutate_readers.outcome(reader, tmp_path, None)[0] == expected
    own = mutate_readers.Reader(lambda folder: [], lines, own=True)
    assert mutate_readers.outcome(own, tmp_path, ["one", "two"])[0] == "read"
    assert mutate_readers.outcome(own, tmp_path, ["one", "three"])[0] == "silent"
