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
        "train": {"epochs": 100_000},
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
    while not (folder / "students").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(sent)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert errors.strip() == f"overproof: {word}; run the same command again to resume."
    assert printed == ""
    assert not (folder / "result.json").exists()
