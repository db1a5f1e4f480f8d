"""Real processes that real signals are sent to."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Args:
        code: Its exit code; negative for a signal that ended it.
        out: What it printed.
        err: Its messages.
        seconds: How long it took.
        hit: Whether the signal found it alive.
        sent_at: When the signal was sent (`time.time`); 0 where it was not.
        printed_at: When it printed last.
    """

    code: int
    out: str
    err: str
    seconds: float
    hit: bool
    sent_at: float
    printed_at: float


class Commands:
    """Starts `overproof` with arguments as a process of its own (`server.py`), and ends it where that is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "server.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        )  # fmt: skip
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == "ready\n"

    def __call__(self, *arguments: str | Path, sent: int | None = None, after: float = 0.0) -> Ended:
        """Run a command to its end.

        Args:
            arguments: The command line.
            sent: A signal to send, if it is still running.
            after: The number of seconds after which it is sent.
        """
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        request = {"arguments": [str(each) for each in arguments]}
        request |= {name: str(self.folder / name) for name in ("out", "err")}
        began, hit = time.monotonic(), list[float]()
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        process = int(self.server.stdout.readline())

        def send() -> None:
            now = time.time()
            os.kill(process, sent or 0)
            hit.append(now)

        timer = threading.Timer(after, send)
        if sent is not None:
            timer.start()
        code = int(self.server.stdout.readline())
        timer.cancel()
        return Ended(
            code,
            (self.folder / "out").read_text(),
            (self.folder / "err").read_text(),
            time.monotonic() - began,
            bool(hit),
            hit[0] if hit else 0.0,
            max((self.folder / name).stat().st_mtime for name in ("out", "err")),
        )

    def close(self) -> None:
        """End the server."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    made = Commands(tmp_path_factory.mktemp("commands"))
    yield made
    made.close()
