"""The ledger of raw answers: one line a finished request, on disk before it counts, never changed.

A line is JSON with a checksum of its own (`overproof.storage.checked`). Its key is the SHA-256 of everything that can
change the answer. A process that is killed leaves at most a part of a line at the end, which is cut off when the file
is opened again; the request is then repeated. Any other damage is refused by its line.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overproof.errors import InputError
from overproof.storage import checked
from overproof.storage.keys import canonical_json

FORMAT = 1
"""The number of the format, which is in every line and in every key."""

NAME = "raw.jsonl"


def key_of(content: Mapping[str, Any]) -> str:
    """The key of what can change an answer.

    Args:
        content: Plain data.

    Example:
        >>> key_of({"model": "m"})[:8], key_of({"model": "n"})[:8]
        ('610b6d26', 'c72e0aaf')
    """
    text = canonical_json({"format": FORMAT, **content})
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Ledger:
    """An open file of raw answers.

    Args:
        folder: Where `raw.jsonl` is or will be; one process at a time writes there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
        self.cut = 0
        """Bytes of a last line that was not finished, and is cut off."""
        _sync_folder(folder)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *problem: object) -> None:
        os.close(self._handle)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All that was written, in order; what is left of an unfinished last line is cut off.

        Raises:
            InputError: A line is damaged.
        """
        end = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                content = _content(line)
                if content is None:
                    # Without its end it was not finished, and never counted.
                    if line.endswith(b"\n"):
                        raise InputError(
                            f"{self.path}, line {number}, is damaged (not what was written): delete this line, and "
                            f"its question is asked again."
                        )
                    break
                end += len(line)
                if content.get("format") != FORMAT:
                    raise InputError(
                        f"{self.path}, line {number}, has format {content.get('format')!r}, and this version reads "
                        f"{FORMAT}: give another folder."
                    )
                yield content
        self.cut = os.fstat(self._handle).st_size - end
        if self.cut:
            os.ftruncate(self._handle, end)
            os.fsync(self._handle)

    def add(self, content: Mapping[str, Any]) -> None:
        """Write one line, which is on disk when this returns.

        Args:
            content: Plain data.
        """
        line = json.dumps(checked.sealed({"format": FORMAT, **content}), ensure_ascii=True) + "\n"
        data, end = memoryview(line.encode()), os.fstat(self._handle).st_size
        try:
            while data:
                data = data[os.write(self._handle, data) :]
            os.fsync(self._handle)
        except BaseException:
            # A full disk, or a signal: no part of a line may stay in front of the next one.
            os.ftruncate(self._handle, end)
            raise


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """All lines of a ledger that is only read; an unfinished last one is passed over.

    Args:
        folder: Where `raw.jsonl` is.
    """
    path = folder / NAME
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if (content := _content(line)) is not None:
                    yield content


def _content(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return checked.unsealed(json.loads(line))
    except (ValueError, RecursionError, checked.Damaged):
        return None


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
