"""The columns of a store as memory-mapped files with checksums, made from its verified shards."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overproof.seeds import digest_of_file
from overproof.storage import checked
from overproof.storage.atomic import alone
from overproof.storage.digests import content_digest

_DIGESTS = "digests.json"
"""The file, in a cache, with the digests of its other files."""

Allocate = Callable[[str, tuple[int, int]], NDArray[np.uint8]]
"""(name, shape) -> an array to be filled."""


def mapped(folder: Path, name: str, read: Callable[[Allocate], object]) -> dict[str, NDArray[np.uint8]]:
    """The columns of a store, mapped from `folder/cache/NAME`, which is made where it is missing or damaged.

    Args:
        folder: The store.
        name: The digest of its manifest: other content has another cache.
        read: Fills columns, which it allocates by name, from the store's shards.
    """
    cache = folder / "cache" / name
    with alone(folder):
        if not _is_whole(cache):
            shutil.rmtree(folder / "cache", ignore_errors=True)
            partial = folder / "cache" / "partial"
            partial.mkdir(parents=True)
            maps: dict[str, np.memmap[Any, np.dtype[np.uint8]]] = {}

            def allocate(column: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
                path = partial / f"{column}.npy"
                maps[column] = np.lib.format.open_memmap(path, "w+", np.dtype(np.uint8), shape)
                if hasattr(os, "posix_fallocate"):
                    # On a full disk, writing to a mapped file ends the process; this is an OSError instead.
                    with path.open("r+b") as file:
                        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
                return maps[column]

            read(allocate)
            for each in maps.values():
                each.flush()  # the name `cache` promises the content, also after a power cut
            digests = {path.name: digest_of_file(path) for path in sorted(partial.glob("*.npy"))}
            checked.write_json(partial / _DIGESTS, {"files": digests})
            os.replace(partial, cache)
    # Copy on write, because tensors are expected to be writable; the files never change.
    files = sorted(cache.glob("*.npy"))
    return {path.stem: np.load(path, mmap_mode="c", allow_pickle=False) for path in files}


def _is_whole(cache: Path) -> bool:
    """Whether a cache is there and every file in it as it was written; logs the first one that is not."""
    path = cache / _DIGESTS
    if not path.exists():
        return False  # none yet, or one of an earlier version without checksums
    try:
        for name, written in checked.read_json(path, ("files",))["files"].items():
            path = cache / Path(name).name
            if content_digest(path) != written:
                raise checked.Damaged("its content does not match its checksum")
    except (checked.Damaged, OSError) as error:
        checked.note_damage(path, str(error))
        return False
    return True
