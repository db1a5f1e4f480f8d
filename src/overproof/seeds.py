"""Hashes of content, and the seed of every random choice in a run, derived from the run's seed and the purpose."""

import hashlib
from pathlib import Path


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
