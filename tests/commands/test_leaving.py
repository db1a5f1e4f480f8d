"""A command ends without taking Python apart: a library that cannot bear it would abort the process (exit code 134)."""

import os
import subprocess
import sys

import pytest

ABORTS = """if True:
    import ctypes, sys
    # Called when Python is taken apart.
    ctypes.pythonapi.Py_AtExit(ctypes.CDLL(None).abort)
    import overproof.__main__ as ours
    import overproof.commands.main as commands
    def fails():
        raise {error}
    if {error!r}:
        commands.main = fails
    sys.argv = ["overproof", *{words}]
    {end}
"""


def ended(words, error="", end="ours.start()", **options):
    code = ABORTS.format(words=words, error=error, end=end)
    # What is written is kept until the end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run([sys.executable, "-c", code], text=True, timeout=300, env=env, **options)


def test_taking_python_apart_would_abort():
    assert ended([], end="pass", capture_output=True).returncode == -6


@pytest.mark.parametrize(
    ("words", "error", "code", "said"),
    [
        (["--version"], "", 0, ""),
        (["predict", "nowhere", "nothing.csv", "--out", "a.csv"], "", 2, "nowhere/student.json cannot be read"),
        ([], "RuntimeError('a fault of ours')", 1, "RuntimeError: a fault of ours"),
        ([], "SystemExit('a sentence')", 1, "a sentence"),
        ([], "SystemExit(None)", 0, ""),
    ],
)
def test_no_end_of_a_command_takes_python_apart(words, error, code, said):
    done = ended(words, error, capture_output=True)
    assert (done.returncode, said in done.stderr) == (code, True)


WRITES = "commands.main = lambda: sys.stdout.write('x'); ours.start()"


def test_an_output_that_nobody_reads_or_that_cannot_be_written_is_no_success():
    read, write = os.pipe()
    os.close(read)
    done = ended([], end=WRITES, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (120, "")
    with open("/dev/full", "w") as full:
        done = ended([], end=WRITES, stdout=full, stderr=subprocess.PIPE)
    sentence = "overproof: the output cannot be written (No space left on device).\n"
    assert (done.returncode, done.stderr) == (120, sentence)
