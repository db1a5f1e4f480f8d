"""Digests of files, by content: each file is read once a process for as long as the system reports it untouched.

A digest from another process is never trusted: sizes and times can be set to anything. Within one process a file is
not read again while device, inode, size, time of modification and **time of the last change of the inode** are those
of the moment it was read. The last cannot be set by a program; every write, rename onto the path and change of the
other times moves it. A file that had changed less than two seconds before it was read is read again, because two writes
may have the same time.
"""

import os
import threading
import time
from pathlib import Path

from overproof.errors import InputError
from overproof.seeds import digest_of_file

_SURE_AFTER_NS = 2 * 10**9
"""A change this long before the reading has another time than any later one."""

_TRIES = 3

_Stamp = tuple[int, int, int, int, int]

_known: dict[str, tuple[_Stamp, str]] = {}
_lock = threading.Lock()


def content_digest(path: Path) -> str:
    """BLAKE2b-128 of a file's content, in hex.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        InputError: It changes while it is read.
    """
    key = os.path.abspath(path)
    for _ in range(_TRIES):
        stamp, began = _stamp(path), time.time_ns()
        with _lock:
            known = _known.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        found = digest_of_file(path)
        if _stamp(path) == stamp:
            with _lock:
                if began - max(stamp[3], stamp[4]) > _SURE_AFTER_NS:
                    _known[key] = stamp, found
                else:
                    _known.pop(key, None)
            return found
    raise InputError(f"{path} changes while it is read; run again when nothing writes to it any more.")


def _stamp(path: Path) -> _Stamp:
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
