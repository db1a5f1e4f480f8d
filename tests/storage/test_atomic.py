"""Files appear whole; one process at a time fills a folder; a digest is the same wherever it is taken."""

import hashlib
import multiprocessing
import os
import stat
import subprocess
import sys
import time

import pytest

from overproof.seeds import derived_seed, digest, digest_of_file, hasher
from overproof.storage import atomic


def hold(folder, log, seconds):
    with atomic.alone(folder), (folder / log).open("a") as file:
        file.write("in\n")
        file.flush()
        time.sleep(seconds)
        file.write("out\n")


def test_a_second_process_waits_until_the_first_has_done(tmp_path):
    start = multiprocessing.get_context("fork").Process
    processes = [start(target=hold, args=(tmp_path, "log", 0.2)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "log").read_text() == "in\nout\n" * 3


def test_a_killed_process_holds_no_folder(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, "log", 60))
    process.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    process.kill()
    process.join()
    hold(tmp_path, "again", 0)
    assert (tmp_path / "again").read_text() == "in\nout\n"


def test_every_user_can_open_the_lock_and_nothing_else_is_left(tmp_path):
    hold(tmp_path, "log", 0)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "log"}
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o666
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_folder_that_cannot_be_written_is_read_without_a_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with atomic.alone(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    atomic.write_text(tmp_path / "a", "old")

    def fail() -> None:
        with atomic.replacing(tmp_path / "a") as file:
            file.write(b"new")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_storage_is_imported_where_there_is_no_fcntl():
    code = "import sys; sys.modules['fcntl'] = None; import overproof.storage.store"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_digests_and_seeds_are_what_they_have_always_been(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert digest(content) == digest_of_file(tmp_path / "a") == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert digest(b"pool") == "aa377543841b02c606ae599251fb52c3"
    pieces = hasher(b"po", num_bytes=8)
    pieces.update(b"ol")
    assert pieces.hexdigest() == digest(b"pool", num_bytes=8)
    assert derived_seed(0, "order") == 7267664299586512972


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_the_name_after(tmp_path, monkeypatch):
    """The order of calls: all bytes, fsync of the file, rename, fsync of the folder."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(handle):
        status = os.fstat(handle)
        calls.append("fsync of the folder" if stat.S_ISDIR(status.st_mode) else f"fsync of {status.st_size} bytes")
        fsync(handle)

    def recorded_replace(source, target):
        calls.append(f"{os.path.basename(target)} of {os.path.getsize(source)} bytes")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    for write in (
        lambda path: atomic.write_bytes(path, b"x" * 10),
        lambda path: atomic.write_text(path, "x" * 10),
        lambda path: atomic.write_json(path, "x" * 7),
        lambda path: write_in_pieces(path),
    ):
        calls.clear()
        write(tmp_path / "below" / "a")
        assert calls == ["fsync of 10 bytes", "a of 10 bytes", "fsync of the folder"]


def write_in_pieces(path):
    with atomic.replacing(path) as file:
        for _ in range(5):
            file.write(b"xx")
