"""Writes that are either whole or not there: temporary file, fsync, rename, fsync of the folder."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a kill at any moment leaves the old file or the new one, never half of one.

    Args:
        path: The file to write; its folder is made if it is missing.
        data: The whole content.
    """
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece, which takes its place at the end, whole, or not at all where an error stops it.

    Args:
        path: The file to write; its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # Elsewhere a folder cannot be opened; the name is then as safe as the system makes it.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of interrupted writes from a folder and below; no process may be writing there."""
    for leftover in folder.rglob(".*.partial"):
        leftover.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock a folder: a second process (such as another rank of the same job) waits and then finds everything done.

    The lock is a file `.lock` in the folder, which stays there, empty. A folder that cannot be written to is not
    locked: nothing can be added to it.

    Args:
        folder: It must exist.
    """
    if not os.access(folder, os.W_OK):
        yield
        return
    # Several users may share a folder, and each must be able to open its lock.
    with FileLock(folder / ".lock", mode=0o666):
        yield


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of indented JSON, keys in the order given; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
