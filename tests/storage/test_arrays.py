"""Arrays on disk: whole or not there, gone on with after a kill, the same bytes either way."""

import json

import numpy as np
import pytest

from overproof.storage import arrays as array_files


def blocks_from(data, lengths, size=3):
    """Blocks of `size` rows, from a given one on."""

    def blocks(done):
        for start in range(done * size, len(data), size):
            yield {"values": data[start : start + size], "lengths": lengths[start : start + size]}

    return blocks


@pytest.fixture
def data():
    return np.arange(44, dtype=np.float32).reshape(11, 4), np.arange(11)


def test_what_is_written_is_mapped_back(data, tmp_path):
    arrays = array_files.fill(tmp_path / "a", "key", blocks_from(*data))
    assert np.array_equal(arrays["values"], data[0])
    assert np.array_equal(arrays["lengths"], data[1])
    assert arrays["values"].dtype == np.float32
    assert isinstance(arrays["values"], np.memmap)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["lengths.bin", "manifest.json", "values.bin"]
    array_files.release(arrays)
    assert np.array_equal(arrays["values"], data[0])


def test_a_second_call_writes_nothing_and_another_key_replaces(data, tmp_path):
    array_files.fill(tmp_path / "a", "key", blocks_from(*data))

    def never(done):
        raise AssertionError("asked again")

    assert len(array_files.fill(tmp_path / "a", "key", never)["values"]) == 11
    assert array_files.opened(tmp_path / "a", "other") is None
    other = array_files.fill(tmp_path / "a", "other", blocks_from(data[0][:2], data[1][:2]))
    assert len(other["values"]) == 2


@pytest.mark.parametrize("torn", [0, 7])
def test_a_killed_call_goes_on_from_what_was_safe(data, tmp_path, monkeypatch, torn):
    """The second block was noted, the third half written: it is made again, and nothing before it."""
    monkeypatch.setattr(array_files, "SECONDS_BETWEEN_NOTES", 0.0)
    array_files.fill(tmp_path / "whole", "key", blocks_from(*data))
    asked = []

    def killed(done):
        for index, block in enumerate(blocks_from(*data)(done)):
            if index == 2:
                raise KeyboardInterrupt
            yield block

    with pytest.raises(KeyboardInterrupt):
        array_files.fill(tmp_path / "a", "key", killed)
    with (tmp_path / "a/values.bin").open("ab") as file:
        file.write(b"x" * torn)
    assert json.loads((tmp_path / "a/progress.json").read_text())["blocks"] == 2

    def rest(done):
        asked.append(done)
        return blocks_from(*data)(done)

    array_files.fill(tmp_path / "a", "key", rest)
    assert asked == [2]
    for name in ("values.bin", "lengths.bin", "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("damage", ["short", "gone", "manifest"])
def test_what_is_not_whole_is_made_again(data, tmp_path, damage):
    array_files.fill(tmp_path / "a", "key", blocks_from(*data))
    values = tmp_path / "a/values.bin"
    if damage == "short":
        values.write_bytes(values.read_bytes()[:-1])
    elif damage == "gone":
        values.unlink()
    else:
        (tmp_path / "a/manifest.json").write_text("{")
    assert array_files.opened(tmp_path / "a", "key") is None
    assert np.array_equal(array_files.fill(tmp_path / "a", "key", blocks_from(*data))["values"], data[0])


def test_an_array_without_rows_is_an_array(tmp_path):
    arrays = array_files.fill(tmp_path / "a", "key", lambda done: [{"bytes": np.empty(0, np.uint8)}])
    assert arrays["bytes"].shape == (0,)
