"""A signal while a command imports its libraries: its exit code and one sentence, or the work done and code 0."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from overproof.data import from_arrays
from overproof.models import build

CODES = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}

STARTED = """
import sys
import overproof.__main__ as first
first.end_at_once()
print("ready", flush=True)
sys.argv = ["overproof", *sys.argv[1:]]
first.start()
"""
"""The command as a shell starts it: nothing is imported before the handlers are there."""


@pytest.fixture(scope="module")
def predicting(tmp_path_factory) -> list[str]:
    """Arguments of a command that imports most libraries."""
    folder = tmp_path_factory.mktemp("student")
    build("linear", [from_arrays(np.eye(3))], class_names=["no", "yes"], seed=0).save(folder / "student")
    (folder / "new.csv").write_text("f0,f1,f2\n" + "1,2,3\n" * 200_000)
    return ["predict", str(folder / "student"), str(folder / "new.csv"), "--out", str(folder / "p.csv"), "--quiet"]


def check(arguments: list[str], sent: signal.Signals, after: float) -> bool:
    """Send a signal after so many seconds, and check the end; whether it came in time."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    process.send_signal(sent)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    code, word = CODES[sent]
    written = Path(arguments[arguments.index("--out") + 1])
    if process.returncode == 0:
        # It came when the work was done.
        assert errors == ""
        assert written.exists()
        written.unlink()
        return False
    assert process.returncode == code, (after, errors)
    assert errors == f"overproof: {word}; run the same command again to resume.\n", after
    written.unlink(missing_ok=True)
    return True


@pytest.mark.parametrize(("sent", "after"), [(signal.SIGINT, 0.0), (signal.SIGTERM, 0.3)])
def test_a_signal_while_libraries_are_imported_is_not_lost(predicting, sent, after):
    assert check(predicting, sent, after)


@pytest.mark.slow
def test_a_signal_at_a_hundred_moments_is_not_lost(predicting):
    draw = random.Random(0)
    came = [check(predicting, draw.choice(list(CODES)), draw.uniform(0, 4)) for _ in range(100)]
    assert sum(came) >= 40
