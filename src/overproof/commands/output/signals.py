"""SIGINT and SIGTERM end a command in one sentence with the exit code that shells expect, within ten seconds.

A training saves its state after the step at which the signal comes and then stops; everything else stops where it is,
because what it has written is whole. The signal is raised as KeyboardInterrupt, and raised again for as long as the
command goes on: libraries lose an exception that comes in a callback or a destructor, and some are broken by one that
comes while they are imported (`processes.interrupt` waits for the end of that). Where Python gets no turn, as in a long
fit of a library, a thread ends the process after a while; so does a second signal at once. What is lost then is what a
kill costs.

Nothing else is imported here, so that the handlers are there before anything is.
"""

import os
import select
import signal
import sys
import threading
import time

from overproof.processes import interrupt, interrupt_again, received, waits_for_import

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after SIGINT and SIGTERM: 128 and the number of the signal, as shells report them."""

SECONDS = 8.0
"""How long a command may take to stop by itself."""

IMPORT_SECONDS = 2.0
"""How long a module may take to be imported after a signal; the command has nothing to save then."""

SAME_SECONDS = 1.0
"""Signals that come so soon after the first are the same one: a terminal and a program that starts others send both."""

AGAIN_SECONDS = 0.05
"""How often the exception is raised again."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN = getattr(signal, "SIGURG", signal.SIGINT)
"""What the exception is raised again by: ignored by processes that do not handle it, and no signal of the user's.
Windows, where the package can only be imported, has no such signal."""


def end_at_once() -> None:
    """Set handlers that end the process: while a command's modules are imported it has done nothing yet."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def stop_on_signals() -> None:
    """Set the handlers of a command at work, and start the thread that waits for a signal."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    # Written to when a signal comes, not when Python gets its next turn.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), name="signals", daemon=True).start()
    for number in _SIGNALS:
        signal.signal(number, interrupt)
    signal.signal(_AGAIN, interrupt_again)
    sys.unraisablehook = _unraisable


def ignore_signals() -> None:
    """Let no signal interrupt the end of the process, when the command has done its work or given its sentence."""
    while True:
        try:
            for number in (_AGAIN, *_SIGNALS):
                signal.signal(number, signal.SIG_IGN)
            return
        except KeyboardInterrupt:
            # One that came before is raised while the next is set: none may be left.
            continue


def ending(number: int) -> tuple[str, int]:
    """The sentence after a signal, and the exit code.

    Args:
        number: The signal.
    """
    word, code = ("terminated", TERMINATED) if number == signal.SIGTERM else ("interrupted", INTERRUPTED)
    # A server has nothing to go on with.
    what = "stopped" if sys.argv[1:2] == ["serve"] else f"{word}; run the same command again to resume"
    return f"overproof: {what}.", code


def first_signal() -> int:
    """The signal that ended the command: the first that came."""
    return received()[0] if received() else signal.SIGINT


def _end(number: int, frame: object = None) -> None:
    sentence, code = ending(number)
    # Not by way of `sys.stderr`, which another thread may hold.
    os.write(2, f"{sentence}\n".encode())
    os._exit(code)


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    """Tell of an exception in a destructor, but not of that of a signal, which is raised again or comes too late."""
    late = issubclass(found.exc_type, OSError) and "ignored due to race condition" in str(found.exc_value)
    if not (received() and (late or issubclass(found.exc_type, KeyboardInterrupt))):
        sys.__unraisablehook__(found)


def _wait(reading: int) -> None:
    while not (numbers := _signals_in(reading, None)):
        pass
    first, began = numbers[0], time.monotonic()
    while (passed := time.monotonic() - began) < SECONDS:
        if _signals_in(reading, AGAIN_SECONDS) and passed > SAME_SECONDS:
            break
        if passed > IMPORT_SECONDS and waits_for_import():
            break
        # Also wakes a call that waits. It is ignored once the command has ended.
        signal.pthread_kill(threading.main_thread().ident or 0, _AGAIN)
    _end(first)


def _signals_in(reading: int, seconds: float | None) -> list[int]:
    """The signals of the user that came within so many seconds; without a number the first that comes."""
    if not select.select([reading], [], [], seconds)[0]:
        return []
    return [number for number in os.read(reading, 64) if number in _SIGNALS]
