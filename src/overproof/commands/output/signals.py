"""SIGINT and SIGTERM end a command in one sentence with the exit code that shells expect, within ten seconds.

A training saves its state after the step at which the signal comes and then stops; everything else stops where it is,
because what it has written is whole. Where Python gets no turn, as in a long fit of a library, a thread ends the
process after a while; what is lost then is what a kill costs.
"""

import os
import signal
import sys
import threading
import time

from overproof.processes import interrupt, received

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after SIGINT and SIGTERM: 128 and the number of the signal, as shells report them."""

SECONDS = 8.0
"""How long a command may take to stop by itself."""


def stop_on_signals() -> None:
    """Set the handlers, and start the thread that waits for a signal."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    # Written to when a signal comes, not when Python gets its next turn.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), name="signals", daemon=True).start()


def ignore_signals() -> None:
    """Let no signal interrupt the end of the process, when the command has done its work or given its sentence."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def ending(number: int) -> tuple[str, int]:
    """The sentence after a signal, and the exit code.

    Args:
        number: The signal.
    """
    word, code = ("terminated", TERMINATED) if number == signal.SIGTERM else ("interrupted", INTERRUPTED)
    return f"overproof: {word}; run the same command again to resume.", code


def first_signal() -> int:
    """The signal that ended the command: the first that came."""
    return received()[0] if received() else signal.SIGINT


def _wait(reading: int) -> None:
    number = 0
    while number not in (signal.SIGINT, signal.SIGTERM):
        data = os.read(reading, 1)
        if not data:
            return
        number = data[0]
    time.sleep(SECONDS)
    sentence, code = ending(number)
    print(sentence, file=sys.stderr, flush=True)
    os._exit(code)
