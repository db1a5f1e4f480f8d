"""Errors that are no `InputError` and yet no fault of the program: the sentence to print and the exit code."""

import errno
import os

from overproof.errors import FULL_DISK, ClusterError

_FULL = "the disk is full; free some space and run the same command again to resume."


def failure(error: Exception) -> tuple[str, int] | None:
    """The sentence for an error of the operating system or of memory, and the exit code; None for other errors.

    1 where the machine is short of something or a cluster has failed, 2 where a path is wrong, such as a folder that
    cannot be written to.

    Args:
        error: The exception that ended a command.

    Example:
        >>> failure(PermissionError(13, "Permission denied", "runs/a"))
        ("'runs/a' cannot be read or written: Permission denied.", 2)
    """
    if isinstance(error, OSError) and error.errno is not None:
        path = "a file" if error.filename is None else repr(os.fsdecode(error.filename))
        if error.errno in FULL_DISK:
            return f"{path} cannot be written: {_FULL}", 1
        code = 1 if error.errno in (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM) else 2
        return f"{path} cannot be read or written: {error.strerror}.", code
    if "No space left on device" in str(error):
        # Writers in other languages raise exceptions of their own.
        return _FULL, 1
    if isinstance(error, ClusterError):
        return str(error), 1
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "there is not enough memory; use fewer rows or lower train.batch_size.", 1
    return None
