"""The second writer of a folder or a file is refused by the first one's name; what a killed one left holds nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from overproof.commands.main import main
from overproof.errors import InputError
from overproof.storage import one_writer
from overproof.storage.one_writer import LOCK, writing, writing_file

HOLD = """
import sys, time
from pathlib import Path
from overproof.storage.one_writer import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout.readline().strip() == "held"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_in_a_sentence_that_names_the_first(tmp_path, holder):
    with pytest.raises(InputError) as refused, writing(tmp_path / "run"):
        raise AssertionError("two writers")
    words = str(refused.value)
    year = time.strftime("%Y-")
    assert f"is being written by process {holder.pid} on {socket.gethostname()} since {year}" in words
    assert words.startswith(str(tmp_path / "run"))
    assert words.endswith("wait until it has ended, or give another --out.")
    with writing(tmp_path / "other"):
        pass


def test_what_a_killed_process_left_is_taken_over(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK).read_text()
    with writing(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "run" / LOCK).exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x"}'])
def test_a_damaged_lock_file_holds_nothing(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    with writing(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_calls_within_each_other_are_one_and_another_thread_is_refused(tmp_path):
    refused = []

    def other():
        try:
            with writing(tmp_path):
                refused.append(False)
        except InputError:
            refused.append(True)

    with writing(tmp_path):
        with writing(tmp_path):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert (tmp_path / LOCK).exists()
    assert refused == [True]


def test_select_and_the_page_of_assess_are_written_by_one_process_at_a_time(tmp_path, capsys, monkeypatch):
    (tmp_path / "answers.csv").write_text("id,a,b\n" + "".join(f"{i},0.{i + 1},0.{9 - i - 1 + 1}\n" for i in range(8)))
    command = ["select", str(tmp_path / "answers.csv"), "--rule", "confident", "--budget", "3"]
    out = tmp_path / "kept.parquet"
    main([*command, "--out", str(out)])
    before = out.read_bytes()
    about = {"pid": os.getppid(), "host": socket.gethostname(), "since": "then"}
    monkeypatch.setattr(one_writer, "fcntl", None)
    monkeypatch.setattr(one_writer, "_GRACE_SECONDS", 0.0)
    (tmp_path / ".kept.parquet.lock").write_text(json.dumps(about))
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--out", str(out)])
    assert stopped.value.code == 2
    assert f"is being written by process {os.getppid()}" in capsys.readouterr().err
    assert out.read_bytes() == before
    # What a killed process left half written is swept by the next one.
    (tmp_path / ".kept.parquet.lock").unlink()
    (tmp_path / ".kept.parquet.x.partial").touch()
    main([*command, "--out", str(out)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "kept.parquet"]


def test_a_folder_in_which_nothing_was_written_is_removed_again(tmp_path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "a"):
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()
    with writing(tmp_path / "a"):
        (tmp_path / "a/kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]


def test_where_there_are_no_locks_the_recorded_process_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(one_writer, "fcntl", None)
    monkeypatch.setattr(one_writer, "_GRACE_SECONDS", 0.0)
    about = {"pid": os.getppid(), "host": socket.gethostname(), "since": "then"}
    (tmp_path / LOCK).write_text(json.dumps(about))
    with pytest.raises(InputError, match=f"process {os.getppid()} on .* since then"), writing(tmp_path):
        pass
    (tmp_path / LOCK).write_text(json.dumps(about | {"pid": 2**22 + 1}))
    with writing(tmp_path):
        pass
    (tmp_path / LOCK).write_text(json.dumps(about | {"pid": 2**22 + 1, "host": "elsewhere"}))
    with pytest.raises(InputError, match="on elsewhere since then"), writing(tmp_path):
        pass


def test_half_written_files_of_a_killed_process_are_swept_by_the_next_writer(tmp_path):
    for name in (".p.csv.abc.partial", ".p.csv.x.y.partial", ".other.csv.abc.partial"):
        (tmp_path / name).touch()
    with writing_file(tmp_path / "p.csv"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".other.csv.abc.partial", ".p.csv.lock"]
    assert [path.name for path in tmp_path.iterdir()] == [".other.csv.abc.partial"]


def test_a_file_is_not_a_folder_that_can_be_locked(tmp_path):
    (tmp_path / "file").touch()
    with writing(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_bytes() == b""
