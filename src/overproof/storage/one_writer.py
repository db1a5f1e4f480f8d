"""One writer at a time: a lock on a folder or a file, whose holder is named to whoever comes second.

The lock is the system's (`flock` on a file `.lock`), so that it ends with its process however that ends; the file holds
pid, host and time of the holder, for the error message. A file that a killed process left is simply taken over. Where
a file system has no locks, the recorded process decides: one of this host that runs no more holds nothing.
"""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from overproof.errors import InputError
from overproof.processes import leads
from overproof.storage.atomic import check_output, remove_partials

try:
    import fcntl
except ImportError:  # on Windows, where the recorded process decides
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"

_GRACE_SECONDS = 2.0
"""How long the children of a process that was killed may hold its lock."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(kw_only=True, slots=True)
class _Held:
    """A lock of this process."""

    handle: int
    thread: int
    times: int = 1


_held: dict[str, _Held] = {}
_guard = threading.Lock()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is missing and removed again if nothing was written there.

    Calls within each other, by the same thread, are one. Of several processes of a job the leading one holds it.

    Args:
        folder: What is written to.

    Raises:
        InputError: Another process writes there, and the error names it; or no folder can be made there.
    """
    if not leads():
        yield
        return
    made = not os.path.lexists(folder)
    if made:
        check_output(folder, folder=True)
    if not _can_write(folder):
        yield
        return
    try:
        with _locked(folder / LOCK, str(folder)):
            yield
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def writing_file(file: Path) -> Iterator[None]:
    """Hold the lock of one file, and remove what killed processes left of it half written.

    Args:
        file: What is written; its folder is made if it is missing.

    Raises:
        InputError: Another process writes it, and the error names it; or no file can be made there.
    """
    if not os.path.lexists(file.parent):
        check_output(file, folder=False)
    if not _can_write(file.parent):
        yield
        return
    with _locked(file.parent / f".{file.name}{LOCK}", str(file)):
        remove_partials(file)
        yield


def _can_write(folder: Path) -> bool:
    """Make a folder, and whether a lock can be written there; if not, what is written later raises the error."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


@contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    key = os.path.realpath(path)
    with _guard:
        held = _held.get(key)
        if held is not None and held.thread == threading.get_ident():
            held.times += 1
        elif held is not None:
            raise InputError(f"{what} is being written by another thread of this process; wait until it has ended.")
        else:
            held = _held[key] = _Held(handle=_taken(path, what), thread=threading.get_ident())
    try:
        yield
    finally:
        with _guard:
            held.times -= 1
            if held.times == 0:
                del _held[key]
                # Removed while it is held: whoever opened it meanwhile sees that it is another file.
                path.unlink(missing_ok=True)
                os.close(held.handle)


def _taken(path: Path, what: str) -> int:
    """The open lock file, locked."""
    until = time.monotonic() + _GRACE_SECONDS
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        if _locks(handle, path):
            if _is_at(handle, path):
                break
            os.close(handle)
            continue
        holder = _holder(handle)
        os.close(handle)
        if _runs(holder) or time.monotonic() > until:
            raise InputError(_refusal(what, holder))
        time.sleep(0.05)
    about = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(handle, 0)
    os.pwrite(handle, (json.dumps(about) + "\n").encode(), 0)
    return handle


def _locks(handle: int, path: Path) -> bool:
    """Whether the lock could be taken."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        else:
            return True
    return not _runs(_holder(handle))


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one at its path; its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _holder(handle: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
        return found if isinstance(found, dict) else {}
    except (ValueError, OSError):
        return {}


def _runs(holder: dict[str, object]) -> bool:
    """Whether the recorded process may still run: of another host nobody knows."""
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return False
    if holder.get("host") != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _refusal(what: str, holder: dict[str, object]) -> str:
    if not holder:
        return f"{what} is being written by another process; wait until it has ended, or give another --out."
    return (
        f"{what} is being written by process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')}; "
        "wait until it has ended, or give another --out."
    )
