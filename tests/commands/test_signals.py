"""An interrupted command says so, with the exit code that shells expect, and the same command resumes it."""

import json
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest


@pytest.fixture
def experiment(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    lines = [f"{a:.6f},{b:.6f},{c:.6f},{'no' if a + b > 0 else 'yes'}" for a, b, c in rows]
    (tmp_path / "all.csv").write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    content = {
        "name": "signals",
        "data": {
            "files": {"all": {"path": str(tmp_path / "all.csv"), "label": "y"}},
            "rows": {"labelled": 60, "pool": 200, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
        "student": {"name": "linear"},
        "train": {"epochs": 100_000, "checkpoint_seconds": 3600},
        "methods": ["hard"],
        "seeds": [0],
    }
    (tmp_path / "e.yaml").write_text(json.dumps(content))
    return tmp_path / "e.yaml"


@pytest.mark.parametrize(
    ("sent", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_run_in_one_sentence_and_with_its_code(experiment, sent, code, word):
    folder = experiment.parent / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "overproof", "run", str(experiment), "--out", str(folder), "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    log = folder / "log.txt"
    while not (log.exists() and "is answered" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    assert not list(folder.rglob("checkpoint.pt"))
    assert str(process.pid) in (folder / ".lock").read_text()
    process.send_signal(sent)
    began = time.monotonic()
    printed, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == code, errors
    assert errors.strip() == f"overproof: {word}; run the same command again to resume."
    assert printed == ""
    assert not (folder / "result.json").exists()
    # The state after the step at which the signal came is saved, and nothing else is left.
    assert list(folder.rglob("checkpoint.pt"))
    assert not (folder / ".lock").exists()
    assert not list(folder.rglob("*.partial"))


COMMAND = """
import sys, time, threading, weakref
from overproof.commands import main
from overproof.commands.output import signals
from overproof.errors import InputError
from overproof.processes import deferred_interrupts

def ready():
    print("ready", flush=True)
    time.sleep(60)

class Closes:
    def __del__(self):
        ready()

def command(arguments, standalone_mode):
{body}

main.app, sys.argv = command, ["overproof"]
main.main()
print("went on", flush=True)
"""
"""A command in whose place the body is run; `ready` is where the signal comes."""

LOST = {
    "in a destructor": "Closes()\ntime.sleep(60)",
    "at the end of all in a destructor": "Closes()",
    "caught by a library": "try:\n    ready()\nexcept BaseException:\n    pass\ntime.sleep(60)",
    "made another exception": "try:\n    ready()\nexcept BaseException:\n    raise InputError('no file') from None",
    "made one of the library": "try:\n    ready()\nexcept BaseException:\n    raise RuntimeError('stopped')",
    "while a module is imported": "sys.path.insert(0, {folder!r})\nimport slow_module\nassert slow_module.whole\n"
    "print('imported', flush=True)\ntime.sleep(60)",
    "in a loop that ends of itself": "with deferred_interrupts():\n    try:\n        ready()\n    finally:\n"
    "        print('kept', flush=True)",
}
"""Where a KeyboardInterrupt is lost, or would break something."""


def started(code: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready"
    return process


@pytest.mark.parametrize("place", LOST)
def test_a_signal_is_not_lost(tmp_path, place):
    (tmp_path / "slow_module.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(0.3)\nwhole = True\n")
    body = LOST[place].replace("{folder!r}", repr(str(tmp_path)))
    if "ends of itself" in place:
        body = body.replace("ready()", "print('ready', flush=True)\n        time.sleep(0.3)")
    process = started(COMMAND.format(body=textwrap.indent(body, "    ")))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    printed, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == 130, errors
    assert errors == "overproof: interrupted; run the same command again to resume.\n"
    # A module is imported to its end, and a loop saves what it has.
    assert printed.split() == {"while a module": ["imported"], "in a loop that": ["kept"]}.get(place[:14], [])


def test_what_a_command_closes_on_its_way_out_is_closed():
    """The exception is raised again only where it was lost."""
    body = "try:\n    ready()\nfinally:\n    time.sleep(0.4)\n    print('closed', flush=True)"
    process = started(COMMAND.format(body=textwrap.indent(body, "    ")))
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (143, "closed\n")
    assert errors == "overproof: terminated; run the same command again to resume.\n"


@pytest.mark.parametrize("second", [False, True])
def test_a_process_that_does_not_stop_is_ended_with_the_same_sentence(second):
    """A loop that never asks whether a signal has come: nothing is raised in it; the seconds or a second signal end."""
    options = "signals.SAME_SECONDS = 0.2" if second else "signals.SECONDS = 0.5"
    body = f"{options}\nwith deferred_interrupts():\n    while True:\n        ready()"
    process = started(COMMAND.format(body=textwrap.indent(body, "    ")))
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    if second:
        time.sleep(0.4)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode in (130, 143)
    word = {143: "terminated", 130: "interrupted"}[process.returncode]
    assert errors.strip() == f"overproof: {word}; run the same command again to resume."


def test_a_module_that_takes_long_to_import_is_not_waited_for(tmp_path):
    (tmp_path / "slow_module.py").write_text("import time\nprint('ready', flush=True)\nwhile True: time.sleep(0.01)\n")
    body = f"signals.IMPORT_SECONDS = 0.3\nsys.path.insert(0, {str(tmp_path)!r})\nimport slow_module"
    process = started(COMMAND.format(body=textwrap.indent(body, "    ")))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert (process.returncode, errors) == (130, "overproof: interrupted; run the same command again to resume.\n")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_is_imported_ends_the_command_in_the_same_sentence(sent):
    code = "import os, signal, sys\nimport overproof.__main__ as first\n"
    code += "sys.argv = ['overproof', 'methods']\nheavy = sys.modules.keys() & {'torch', 'numpy', 'pyarrow', 'typer'}\n"
    # As soon as the next module is imported.
    code += "sys.meta_path.insert(0, type('F', (), {'find_spec': lambda *a: (print(sorted(heavy), flush=True), "
    code += f"os.kill(os.getpid(), {int(sent)})) and None}}))\nfirst.start()"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent]
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[sent]
    assert process.stderr == f"overproof: {word}; run the same command again to resume.\n"
    assert process.stdout == "[]\n"


@pytest.fixture
def student(tmp_path):
    from overproof.data import from_arrays
    from overproof.models import build

    built = build("linear", [from_arrays(np.eye(3))], class_names=["no", "yes"], seed=0)
    built.save(tmp_path / "student")
    return tmp_path / "student"


def test_predictions_of_a_killed_process_are_no_result_and_are_swept(student, tmp_path):
    rows = "\n".join(f"{row},{row % 7},{row % 3}" for row in range(400_000))
    (tmp_path / "new.csv").write_text(f"f0,f1,f2\n{rows}\n")
    command = [sys.executable, "-m", "overproof", "predict", str(student), str(tmp_path / "new.csv")]
    command += ["--out", str(tmp_path / "p.csv")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".p.csv.*.partial")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert list(tmp_path.glob(".p.csv.*.partial"))
    assert not (tmp_path / "p.csv").exists()
    (tmp_path / "p.risk.json").write_text("{}")
    (tmp_path / "few.csv").write_text("f0,f1,f2\n1,2,3\n")
    command[5] = str(tmp_path / "few.csv")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 2
    assert sorted(path.name for path in tmp_path.glob("*p.*")) == ["p.csv"]
    assert sorted(path.name for path in tmp_path.glob(".p.*")) == []
