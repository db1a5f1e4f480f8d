"""Writes that are either whole or not there: temporary file, fsync, rename, fsync of the folder."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from overproof.errors import FULL_DISK, InputError
from overproof.processes import is_worker


def check_output(path: Path, *, folder: bool, reads: Iterable[Path] = ()) -> None:
    """Check that a file or a folder can be written, before any work is done for it; nothing is created.

    Args:
        path: The output file or folder, which need not exist.
        folder: Whether it is a folder.
        reads: Files that the same work reads; the output must be none of them.

    Raises:
        InputError: A file is in the place of the folder or of one above it, a folder in the place of the file, the
            output would replace a file that is read, or the place is read-only.

    Example:
        >>> check_output(Path("/dev/null/run"), folder=True)
        Traceback (most recent call last):
        overproof.errors.InputError: '/dev/null/run' cannot be created, because '/dev/null' is not a folder.
    """
    if folder and path.exists() and not path.is_dir():
        raise InputError(f"{str(path)!r} is a file, and the output is a folder; give a folder that is new or empty.")
    if not folder and path.is_dir():
        raise InputError(f"{str(path)!r} is a folder, and the output is a file; add the name of the file.")
    if path.exists() and any(each.exists() and path.samefile(each) for each in reads):
        raise InputError(f"--out {str(path)!r} is read too, and would be replaced by the output; name another file.")
    home = path if folder else path.parent
    while not os.path.lexists(home) and home != home.parent:
        home = home.parent
    if not home.is_dir():
        raise InputError(f"{str(path)!r} cannot be created, because {str(home)!r} is not a folder.")
    if not os.access(home, os.W_OK | os.X_OK):
        raise InputError(f"{str(path)!r} cannot be written: {str(home)!r} is read-only for this user.")


def check_page(path: Path) -> None:
    """Check that a page can be written, and is not written over a file that is none.

    Args:
        path: The output file.

    Raises:
        InputError: Its name does not end in .html, or as for `check_output`.

    Example:
        >>> check_page(Path("experiment.yaml"))
        Traceback (most recent call last):
        overproof.errors.InputError: The page 'experiment.yaml' must end in .html, not '.yaml'.
    """
    if path.suffix not in (".html", ".htm"):
        raise InputError(f"The page {str(path)!r} must end in .html, not {path.suffix!r}.")
    check_output(path, folder=False)


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

    Raises:
        OSError: The file cannot be written: its folder is read-only, the disk is full. It names `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".partial")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and (error.errno in FULL_DISK or error.filename == temporary):
            raise OSError(error.errno, error.strerror, str(path)) from error
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


def remove_partials(path: Path) -> None:
    """Remove what interrupted writes of one file left beside it; no process may be writing it.

    Args:
        path: The file.
    """
    start = f".{path.name}."
    for each in path.parent.iterdir():
        if each.name.startswith(start) and each.name.endswith(".partial"):
            each.unlink(missing_ok=True)


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


@contextmanager
def alone_among_workers(folder: Path) -> Iterator[None]:
    """In a worker of a cluster, lock a folder that others may fill too; elsewhere one process fills it, unlocked.

    Args:
        folder: It is made where it is locked.
    """
    if not is_worker():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        yield


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of `json_bytes`."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Indented JSON, keys in the order given; NaN is refused because JSON has none."""
    return (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()
