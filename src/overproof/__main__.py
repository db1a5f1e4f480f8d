"""`python -m overproof` is `overproof`: signals are handled before anything that takes time is imported."""

import atexit
import errno
import os
import sys
import threading
from typing import NoReturn

from overproof.commands.output.signals import end_at_once

UNWRITTEN = 120
"""Exit code where the output could not be written, which is Python's."""


def start() -> NoReturn:
    """Run the command of `sys.argv`, and end the process."""
    end_at_once()
    from overproof.commands.main import main

    code: int | str | None = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except Exception:
        # As Python does at its end, which is not waited for.
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    _leave(code or 0)


def _leave(code: int) -> NoReturn:
    """End the process without taking Python apart.

    A thread of a library that reads a file for Python, and has not ended when a command is refused, would be stopped in
    the middle of its C++ functions then, which aborts the process (exit code 134). Everything written is whole and on
    disk.
    """
    # What Python does first when it ends: it waits for threads and runs the functions for the end.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            code = UNWRITTEN
            # Who has closed a pipe knows it.
            if isinstance(error, OSError) and error.errno != errno.EPIPE:
                os.write(2, f"overproof: the output cannot be written ({error.strerror}).\n".encode())
    os._exit(code)


if __name__ == "__main__":
    start()
