"""Arrays too large for memory: written block by block, a manifest last, and from then on memory-mapped.

    FOLDER/NAME.bin        one array, its rows end to end, little-endian
    FOLDER/progress.json   while it is being written: how many blocks are safe, how long each file was then, its digest
    FOLDER/manifest.json   when it is whole: the key, each array's type and shape, and the digest of every file

A kill costs the blocks since the last note of progress. The content can always be made again and nothing else refers to
it, so such a folder may be deleted at any time.

Every file is read and compared with its digest when the arrays are opened (1.6 seconds a GB, beside the time of the
disk; once a process, see `overproof.storage.digests`), not at every access. What is damaged is made again, and logged.
"""

import mmap
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from overproof.seeds import digest_of_file, hasher
from overproof.storage import checked
from overproof.storage.atomic import alone
from overproof.storage.digests import content_digest

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name; in a block, rows to be put behind those already there."""

SECONDS_BETWEEN_NOTES = 5.0
"""What a kill may cost, besides one block."""

_NAME = re.compile(r"\w[\w.]*")


def fill(folder: Path, key: str, blocks: Callable[[int], Iterable[Arrays]]) -> Arrays:
    """Write the arrays that are not there yet, or resume where a killed call stopped, and map them.

    Args:
        folder: Of these arrays alone; made if it is missing. Arrays of another key are replaced.
        key: What they follow from.
        blocks: Given how many blocks are safe already, the blocks from there on. Each has the same names and types; an
            array's rows may differ in number from block to block and from array to array.

    Returns:
        By name, each array whole. They may be written to as copies: the files never change.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.parent):
        if (mapped := opened(folder, key)) is None:
            _write(folder, key, blocks)
            mapped = opened(folder, key)
    assert mapped is not None, "what was just written is there"
    return mapped


def _write(folder: Path, key: str, blocks: Callable[[int], Iterable[Arrays]]) -> None:
    noted, digests = _note(folder, key)
    if noted is None:
        shutil.rmtree(folder, ignore_errors=True)
        noted = {"key": key, "blocks": 0, "arrays": {}}
    folder.mkdir(exist_ok=True)
    known: dict[str, Any] = noted["arrays"]
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}

        def safe(done: int) -> dict[str, Any]:
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
            for name, about in known.items():
                about["blake2b"] = digests[name].hexdigest()
            beside = {path.name: digest_of_file(path) for path in _beside(folder, known)}
            return {"key": key, "blocks": done, "arrays": known, "beside": beside}

        done, noted_at = noted["blocks"], time.monotonic()
        for block in blocks(done):
            for name, array in block.items():
                little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                about = known.setdefault(name, {"dtype": little.dtype.str, "row": list(little.shape[1:]), "rows": 0})
                assert (about["dtype"], about["row"]) == (little.dtype.str, list(little.shape[1:])), name
                if name not in files:
                    files[name] = stack.enter_context((folder / f"{name}.bin").open("ab"))
                    files[name].truncate(about["rows"] * _row_bytes(about))
                data = little.reshape(-1).view(np.uint8).data if little.size else b""
                files[name].write(data)
                digests.setdefault(name, hasher()).update(data)
                about["rows"] += len(little)
            done += 1
            if time.monotonic() - noted_at >= SECONDS_BETWEEN_NOTES:
                checked.write_json(folder / "progress.json", safe(done))
                noted_at = time.monotonic()
        checked.write_json(folder / "manifest.json", safe(done))
    (folder / "progress.json").unlink(missing_ok=True)


def opened(folder: Path, key: str) -> Arrays | None:
    """The arrays of that key, mapped; None where they are not there or not whole."""
    about = _read(folder / "manifest.json")
    if about is None or about["key"] != key or not _is_whole(folder, about):
        return None
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in about["arrays"].items():
        path, shape = folder / f"{name}.bin", (array["rows"], *array["row"])
        # Copy on write, because tensors are expected to be writable. An empty file cannot be mapped.
        empty = path.stat().st_size == 0
        arrays[name] = (
            np.empty(shape, array["dtype"]) if empty else np.memmap(path, np.dtype(array["dtype"]), "c", shape=shape)
        )
    return arrays


def release(arrays: Arrays) -> None:
    """Give back the memory in which a pass over mapped arrays has left their pages; they are read again when needed."""
    for array in arrays.values():
        mapped = getattr(array, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _row_bytes(about: Mapping[str, Any]) -> int:
    return int(np.prod(about["row"], dtype=np.int64)) * np.dtype(about["dtype"]).itemsize


def _is_whole(folder: Path, about: Mapping[str, Any]) -> bool:
    """Whether every file is as it was written; logs the first one that is not."""
    written = {f"{name}.bin": array["blake2b"] for name, array in about["arrays"].items()} | about["beside"]
    for name, digest in written.items():
        path = folder / name
        try:
            if content_digest(path) == digest:
                continue
            why = "its content does not match its checksum"
        except OSError as error:
            why = str(error.strerror)
        checked.note_damage(path, why)
        return False
    return True


def _note(folder: Path, key: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What an unfinished call of the same key has noted, where the files still hold that much, and their hashers."""
    noted = _read(folder / "progress.json")
    if noted is None or noted["key"] != key:
        return None, {}
    hashers: dict[str, Any] = {}
    for name, about in noted["arrays"].items():
        path = folder / f"{name}.bin"
        hashers[name] = _hasher_of(path, about["rows"] * _row_bytes(about))
        if hashers[name] is None or hashers[name].hexdigest() != about["blake2b"]:
            checked.note_damage(path, "its content does not match its checksum")
            return None, {}
    for name, digest in noted["beside"].items():
        if not (folder / name).is_file() or digest_of_file(folder / name) != digest:
            checked.note_damage(folder / name, "its content does not match its checksum")
            return None, {}
    return noted, hashers


def _hasher_of(path: Path, num_bytes: int) -> Any:
    """The hasher of the first bytes of a file; None where it is shorter."""
    found, left = hasher(), num_bytes
    try:
        with path.open("rb") as file:
            while left and (part := file.read(min(left, 2**20))):
                found.update(part)
                left -= len(part)
    except OSError:
        return None
    return found if left == 0 else None


def _beside(folder: Path, known: Mapping[str, Any]) -> list[Path]:
    """The files in the folder that the caller has written there."""
    ours = {"manifest.json", "progress.json", *(f"{name}.bin" for name in known)}
    return sorted(path for path in folder.iterdir() if path.name not in ours and not path.name.startswith("."))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = checked.read_json(path, ("key", "arrays", "beside"))
        # The names become those of files, and no array holds addresses of objects.
        safe = all(_NAME.fullmatch(name) for name in content["arrays"])
        safe &= all(Path(name).name == name for name in content["beside"])
        plain = not any(np.dtype(about["dtype"]).hasobject for about in content["arrays"].values())
        return content if safe and plain else None
    except OSError:
        return None
    except checked.Damaged as error:
        checked.note_damage(path, str(error))
        return None
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
