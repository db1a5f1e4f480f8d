"""`python -m overproof` is `overproof`: signals are handled before anything that takes time is imported."""

import atexit
import os
import sys
import threading

from overproof.commands.output.signals import end_at_once


def start() -> None:
    """Run the command of `sys.argv`, and end the process."""
    end_at_once()
    from overproof.commands.main import main

    code: int | str | None = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    if isinstance(code, int | None):
        _leave(code or 0)
    sys.exit(code)


def _leave(code: int) -> None:
    """End the process without taking Python apart.

    A thread of a library that reads a file for Python, and has not ended when a command is refused, would be stopped in
    the middle of its C++ functions then, which aborts the process. Everything written is whole and on disk.
    """
    # What Python does first when it ends: it waits for threads and runs the functions for the end.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody reads the output any more: Python says so in its own way.
        return
    os._exit(code)


if __name__ == "__main__":
    start()
