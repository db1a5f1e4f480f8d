"""Hashes of content, and the seed of every random choice in a run, derived from the run's seed and the purpose."""

import hashlib
from pathlib import Path
from typing import Any

_ROWS_HASHED = 2**16


def hasher(data: bytes = b"", *, num_bytes: int = 16) -> "hashlib.blake2b":
    """BLAKE2b hash object, for content that comes in pieces.

    Args:
        data: The first piece.
        num_bytes: Length of the digest.
    """
    return hashlib.blake2b(data, digest_size=num_bytes)


def digest(data: bytes | memoryview, *, num_bytes: int = 16) -> str:
    """BLAKE2b of some bytes, in hex.

    Args:
        data: All of them.
        num_bytes: Length of the digest; hex digits are twice as many.

    Example:
        >>> digest(b"pool", num_bytes=4)
        'f006e36b'
    """
    return hashlib.blake2b(data, digest_size=num_bytes).hexdigest()


def add_rows(found: "hashlib.blake2b", rows: Any) -> None:
    """Add the bytes of an array to a hash, a few rows at a time: without a copy of them all.

    Args:
        found: The hash so far.
        rows: [N, ...], an array of NumPy, which is not imported here: `overproof cite` begins in .2 seconds.

    Example:
        >>> import numpy as np
        >>> found = hasher()
        >>> add_rows(found, np.array([1, 2, 3]))
        >>> found.hexdigest() == digest(np.array([1, 2, 3]).tobytes())
        True
    """
    for start in range(0, len(rows), _ROWS_HASHED):
        found.update(rows[start : start + _ROWS_HASHED].tobytes())


def digest_of_file(path: Path) -> str:
    """`digest` of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, hasher).hexdigest()


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from anything with a stable `repr`, the same on every machine.

    Example:
        >>> derived_seed(0, "order") == derived_seed(0, "order") != derived_seed(1, "order")
        True
    """
    return int.from_bytes(hasher(repr(parts).encode(), num_bytes=8).digest(), "little") >> 1
