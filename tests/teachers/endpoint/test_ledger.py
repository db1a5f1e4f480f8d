"""The ledger: what is in it was written, a torn end is cut off, and other damage is refused."""

import json

import pytest

from overproof.errors import InputError
from overproof.progress import Silent
from overproof.teachers.endpoint.ledger import NAME, Ledger, read_lines


def written(folder, num):
    with Ledger(folder) as ledger:
        for number in range(num):
            ledger.add({"outcome": "failure", "key": f"k{number}", "used": [1, 0, 0, 0], "why": "é\u2028\ud800"})
    return folder / NAME


def read(folder):
    with Ledger(folder) as ledger:
        return [line["key"] for line in ledger.lines()], ledger.cut


def test_lines_come_back_and_more_are_added(tmp_path):
    written(tmp_path, 2)
    assert read(tmp_path) == (["k0", "k1"], 0)
    written(tmp_path, 1)
    assert read(tmp_path) == (["k0", "k1", "k0"], 0)


def test_wherever_the_last_line_was_torn_the_others_are_read_and_more_are_added(tmp_path):
    path = written(tmp_path, 3)
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for end in range(start, len(whole), 7):
        path.write_bytes(whole[:end])
        assert [line["key"] for line in read_lines(tmp_path)] == ["k0", "k1"]
        assert read(tmp_path) == (["k0", "k1"], end - start)
        assert path.read_bytes() == whole[:start]
    path.write_bytes(whole[:start] + b"\0" * 50)
    assert read(tmp_path) == (["k0", "k1"], 50)
    written(tmp_path, 1)
    assert read(tmp_path)[0] == ["k0", "k1", "k0"]


def test_a_damaged_line_in_the_middle_is_refused_by_its_number(tmp_path):
    path = written(tmp_path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (lines[1].replace(b"k1", b"k7"), b"{}\n", b"\n", lines[1][:-1]):
        path.write_bytes(lines[0] + damaged + lines[2])
        with pytest.raises(InputError, match=r"raw.jsonl, line 2, is damaged .* delete this line"):
            read(tmp_path)


def test_a_line_of_another_format_is_refused(tmp_path):
    from overproof.storage.checked import sealed

    (tmp_path / NAME).write_text(json.dumps(sealed({"format": 2, "outcome": "answer"})) + "\n")
    with pytest.raises(InputError, match="has format 2, and this version reads 1"):
        read(tmp_path)


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path, monkeypatch):
    path = written(tmp_path, 1)
    before = path.read_bytes()
    with Ledger(tmp_path) as ledger:
        list(ledger.lines())
        real = __import__("os").write

        def half(handle, data):
            if len(data) < 40:
                raise OSError(28, "No space left on device")
            return real(handle, bytes(data)[: len(data) // 2])

        monkeypatch.setattr("overproof.teachers.endpoint.ledger.os.write", half)
        with pytest.raises(OSError, match="No space"):
            ledger.add({"outcome": "failure", "key": "k1"})
    assert path.read_bytes() == before


def test_a_torn_ledger_repeats_the_torn_question_alone(server, job):
    made = job(4)
    made.run(Silent())
    path = made.folder / NAME
    path.write_bytes(path.read_bytes()[:-30])
    asked, _, _ = made.run(Silent())
    assert (asked.num_left, len(server.requests)) == (0, 5)
    assert asked.cut > 0
