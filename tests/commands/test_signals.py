"""An interrupted command says so, with the exit code that shells expect, and the same command resumes it."""

import json
import signal
import subprocess
import sys
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


def test_a_process_that_does_not_stop_is_ended_with_the_same_sentence():
    """A loop that never asks whether a signal has come: nothing is raised in it, whenever the signal comes."""
    code = """
import time
from overproof.commands.output import signals
from overproof.processes import deferred_interrupts
signals.SECONDS = 0.5
with deferred_interrupts():
    signals.stop_on_signals()
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert errors.strip() == "overproof: terminated; run the same command again to resume."


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
