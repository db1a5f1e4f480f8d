"""The manifest of a folder: size and SHA-256 of each of its files, so that a changed or missing one is noticed.

    FOLDER/manifest.json   {"kind": …, "files": {NAME: {"num_bytes": …, "sha256": …}}, "sha256": …, …}

The last SHA-256 is that of the rest of the manifest, so that a bit that flips in it is not blamed on another file.

It is for accidents (a bit flipped, half a copy, files of two folders mixed), not against an attacker, who can write
another manifest. Files that it does not list are not looked at.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from overproof.errors import InputError
from overproof.storage import atomic

MANIFEST = "manifest.json"

MAX_HASHED_BYTES = 2**26
"""Larger files (64 MiB) that a command does not read are compared by size only."""

REMEDY = {
    "student": "copy the whole folder again, or delete it and give the command that wrote it again",
    "export": "copy the whole folder again, or export the student again",
    "result": "`overproof evaluate` computes the result again",
    "comparison": "give the command `overproof compare` again, which computes the table from its runs",
}
"""What to do about a changed file, by the kind of folder."""

_OWN = "sha256"

Described = Mapping[str, Mapping[str, int | str]]
"""Size and SHA-256 by name."""


def described(data: bytes) -> dict[str, int | str]:
    """What a manifest holds of a file.

    Args:
        data: All of the file.

    Example:
        >>> described(b"a")["num_bytes"], described(b"a")["sha256"][:8]
        (1, 'ca978112')
    """
    return {"num_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def manifest_of(files: Mapping[str, bytes], *, kind: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The content of a manifest.

    Args:
        files: All files that it lists, by name.
        kind: A key of `REMEDY`.
        more: Further content.
    """
    listed = {name: described(data) for name, data in files.items()}
    content = {"format": 1, "kind": kind, **(more or {}), "files": listed}
    return {**content, _OWN: _sha256_of(content)}


def _sha256_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own."""
    rest = {name: each for name, each in content.items() if name != _OWN}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, kind: str, unchanged: Mapping[str, bytes] | None = None
) -> None:
    """Write files with their manifest, the last file after it: once that is there, all are.

    Args:
        folder: Created if missing; files of the same names are replaced.
        files: By name, at least one. The last is the one whose presence tells that the folder is complete.
        kind: A key of `REMEDY`.
        unchanged: Files that are there already and are listed too.
    """
    *others, last = files
    for name in others:
        atomic.write_bytes(folder / name, files[name])
    atomic.write_json(folder / MANIFEST, manifest_of({**(unchanged or {}), **files}, kind=kind))
    atomic.write_bytes(folder / last, files[last])


def checked(folder: Path, needed: Iterable[str] = (), *, kind: str) -> dict[str, bytes] | None:
    """Compare the files of a folder with its manifest, and read some of them.

    Args:
        folder: Any.
        needed: Names of files to read; those that the manifest does not list are left out.
        kind: A key of `REMEDY`, where the manifest itself is damaged or names no kind.

    Returns:
        The content of each needed file, as it was compared; None where there is no manifest.

    Raises:
        InputError: The manifest is damaged, or a file is missing or changed; the message names it.
    """
    path, needed = folder / MANIFEST, set(needed)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        if _OWN in content and content[_OWN] != _sha256_of(content):
            raise ValueError
        kind = content.get("kind", kind)
        listed = {str(name): (int(each["num_bytes"]), str(each["sha256"])) for name, each in content["files"].items()}
        if any(Path(name).name != name for name in listed):
            raise ValueError
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged: {_remedy(kind)}.") from None
    found = dict[str, bytes]()
    for name, (num_bytes, sha256) in listed.items():
        file = folder / name
        try:
            size = file.stat().st_size
            if size != num_bytes:
                raise InputError(
                    f"{file} has {size} bytes, and {MANIFEST} beside it lists {num_bytes}: it was cut, changed or "
                    f"belongs to another folder; {_remedy(kind)}."
                )
            if name in needed:
                found[name] = file.read_bytes()
                own = hashlib.sha256(found[name]).hexdigest()
            elif size <= MAX_HASHED_BYTES:
                own = hashlib.sha256(file.read_bytes()).hexdigest()
            else:
                continue
        except FileNotFoundError:
            raise InputError(f"{file} is missing, which {MANIFEST} beside it lists; {_remedy(kind)}.") from None
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}.") from None
        if own != sha256:
            raise InputError(
                f"{file} is not the file that {MANIFEST} beside it lists (its SHA-256 differs): it was changed or "
                f"belongs to another folder; {_remedy(kind)}."
            )
    return found


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def _remedy(kind: str) -> str:
    return REMEDY.get(str(kind), REMEDY["student"])
