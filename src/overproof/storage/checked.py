"""Files with a checksum of their own: what is read back is what was written, or the file is known to be damaged.

A binary file starts with a line that holds the digest of the rest; a JSON file has its digest as the member `blake2b`,
the digest of all others. Both are BLAKE2b-128: a flipped bit, a cut end and a file of another kind are all noticed.
"""

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from overproof.seeds import digest
from overproof.storage import atomic
from overproof.storage.keys import canonical_json

LOGGER = logging.getLogger("overproof.storage")
"""Logs what was found damaged and is made again."""

_MAGIC = b"overproof checked "
_DIGEST = "blake2b"


class Damaged(Exception):
    """A file is not what was written; the message is the reason, in a few words."""


class WithoutChecksum(Damaged):
    """A file has no checksum: an earlier version wrote it, or its first bytes are damaged."""


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write data behind a line with their digest, atomically.

    Args:
        path: The file.
        data: All of the content.
    """
    with atomic.replacing(path) as file:
        file.write(_MAGIC + digest(data).encode() + b"\n")
        file.write(data)


def read_bytes(path: Path) -> bytes:
    """The data that `write_bytes` wrote.

    Args:
        path: The file.

    Raises:
        Damaged: They are not those that were written.
        WithoutChecksum: The file does not start as `write_bytes` starts one.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        first = file.read(len(_MAGIC) + 33)
        data = file.read()
    if not first.startswith(_MAGIC) or not first.endswith(b"\n"):
        raise WithoutChecksum("it does not start with a checksum")
    if first[len(_MAGIC) : -1].decode("latin-1") != digest(data):
        raise Damaged("its content does not match its checksum")
    return data


def bytes_or_none(path: Path) -> bytes | None:
    """`read_bytes`, of content that can be made again: None where it is missing or damaged, which is logged.

    Args:
        path: The file.
    """
    try:
        return read_bytes(path)
    except FileNotFoundError:
        return None
    except Damaged as error:
        note_damage(path, str(error))
        return None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with its digest as the last member, atomically.

    Args:
        path: The file.
        content: By name; no member may be called `blake2b`.
    """
    assert _DIGEST not in content
    atomic.write_json(path, sealed(content))


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content for JSON with its digest as the last member.

    Example:
        >>> sealed({"a": 1})
        {'a': 1, 'blake2b': '2c6b113b8dd15ffbded9860b43eb0c6c'}
    """
    return {**content, _DIGEST: _digest_of(content)}


def read_json(path: Path, members: Collection[str]) -> dict[str, Any]:
    """What `write_json` wrote, without the digest.

    Args:
        path: The file.
        members: Names that it must hold, by which a file of another kind is noticed.

    Raises:
        Damaged: It is not what was written, or another file.
        WithoutChecksum: It is JSON without a digest.
        OSError: It cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise Damaged("it is not valid JSON") from None
    content = unsealed(content)
    check_members(content, members)
    return content


def check_members(content: Any, members: Collection[str]) -> None:
    """Check that JSON is of the kind that its place says.

    Args:
        content: What was read.
        members: Names that it must hold.

    Raises:
        Damaged: One is missing.
    """
    if missing := [each for each in members if not isinstance(content, dict) or each not in content]:
        raise Damaged(f"it has no {missing[0]!r}, as a file of another kind")


def unsealed(content: Any) -> dict[str, Any]:
    """The content that `sealed` was given.

    Raises:
        Damaged: Its digest is another one.
        WithoutChecksum: It has none.
    """
    if not isinstance(content, dict):
        raise Damaged("it holds no members")
    content = dict(content)
    written = content.pop(_DIGEST, None)
    if written is None:
        raise WithoutChecksum("it has no checksum")
    if written != _digest_of(content):
        raise Damaged("its content does not match its checksum")
    return content


def note_damage(path: Path, why: str) -> None:
    """Log that a file is damaged and is made again.

    Args:
        path: The file.
        why: In a few words.
    """
    LOGGER.warning("damaged: %s (%s) is made again", path, why)


def _digest_of(content: Mapping[str, Any]) -> str:
    # As it is read back: keys are strings, tuples are lists.
    return digest(canonical_json(json.loads(json.dumps(content))).encode("utf-8", "surrogatepass"))
