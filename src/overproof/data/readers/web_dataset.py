"""Reads WebDataset shards: tar archives whose files of one name but for the extension are one row.

Source: github.com/webdataset/webdataset (`base_plus_ext`: the key ends at the first dot of a file's name).
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from overproof.data.readers.arrays import DAMAGE
from overproof.data.source import FLAG, Source
from overproof.data.wording import reason
from overproof.errors import InputError

KEY = "__key__"
"""The column of the keys, as WebDataset calls it."""

_IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm")
_TEXTS = ("txt", "text", "transcript", "cls", "cls2", "index", "inx", "id", "caption")
_JSON = ("json", "jsn")
_ROWS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TarRows:
    """A shard whose rows are read in the order of the archive, some at a time.

    Args:
        path: The archive.
        name: Its name in error messages.
        columns: `__key__`, the extensions of its files, and the fields of its JSON files as `json.FIELD`.
        types: Of each: bytes of images and of unknown files, texts, and numbers of JSON.
        num_rows: Number of keys.
    """

    path: Path
    name: str
    columns: tuple[str, ...]
    types: list[pa.DataType]
    num_rows: int

    def tables(self, columns: Sequence[str], max_rows: int | None = None) -> Iterator[pa.Table]:
        """These columns of all rows, in the archive's order; a file that a key lacks is null."""
        types = {name: self.types[self.columns.index(name)] for name in columns}
        wanted = {name.partition(".")[0] if _is_field(name) else name for name in columns}
        rows: list[dict[str, Any]] = []
        for key, files in _samples(self.path, self.name, wanted):
            rows.append(_values(key, files, self.name))
            if len(rows) == (max_rows or _ROWS):
                yield _table(rows, types)
                rows = []
        if rows:
            yield _table(rows, types)


def open_tar(path: Path, source: Source, name: str) -> TarRows:
    """Open a shard: one pass over its names and JSON files finds its columns.

    Args:
        path: The archive, also compressed with gzip.
        source: For the limit of unpacked bytes.
        name: Name of the file in error messages.

    Raises:
        InputError: It is damaged or has no rows; a key appears in two places, or twice with one extension; a JSON file
            is no object; it unpacks to too much.
    """
    found: dict[str, set[str]] = {KEY: {"str"}}
    keys: set[str] = set()
    size = 0
    for key, files in _samples(path, name, set(_JSON)):
        if key in keys:
            raise InputError(
                f"{name} has files of the key {key!r} in two places; those of one row must follow each other."
            )
        keys.add(key)
        size += sum(length for length, _ in files.values())
        if path.name.lower().endswith("gz") and size > source.max_unpacked_gb * 1e9:
            raise InputError(
                f"{name} unpacks to more than {source.max_unpacked_gb:g} GB; set `max_unpacked_gb` to more ({FLAG}), "
                f"or unpack the file first."
            )
        for extension in files:
            if extension not in _JSON:
                found.setdefault(extension, set()).add("str" if extension in _TEXTS else "bytes")
        for column, value in _values(key, files, name).items():
            if _is_field(column):
                found.setdefault(column, set()).add(type(value).__name__)
    if not keys:
        raise InputError(f"{name} has no row; a shard of WebDataset has files such as 0001.jpg and 0001.cls.")
    types = [_type(kinds) for kinds in found.values()]
    return TarRows(path=path, name=name, columns=tuple(found), types=types, num_rows=len(keys))


def _is_field(column: str) -> bool:
    return column.partition(".")[0] in _JSON and "." in column


def _type(kinds: set[str]) -> pa.DataType:
    kinds = kinds - {"NoneType"}
    if kinds <= {"int", "float"} and kinds:
        return pa.int64() if kinds == {"int"} else pa.float64()
    return pa.large_binary() if kinds == {"bytes"} else pa.bool_() if kinds == {"bool"} else pa.large_string()


def _samples(path: Path, name: str, wanted: set[str]) -> Iterator[tuple[str, dict[str, tuple[int, bytes | None]]]]:
    """Each key with the size of each of its files by extension, and the content of those that are wanted, else None."""
    with _readable(name), tarfile.open(path, "r:*", tarinfo=_Member) as archive:
        key: str | None = None
        files: dict[str, tuple[int, bytes | None]] = {}
        for member in archive:
            # The archive keeps every member that it has seen.
            archive.members = []  # type: ignore[attr-defined]
            parts = _split(member.name)
            if not member.isfile() or parts is None:
                continue
            if parts[0] != key:
                if key is not None:
                    yield key, files
                key, files = parts[0], {}
            if parts[1] in files:
                raise InputError(f"{name} has {key}.{parts[1]} twice; one file of each extension is allowed.")
            content = archive.extractfile(member) if parts[1] in wanted else None
            files[parts[1]] = (member.size, None if content is None else content.read())
        # All of a compressed file is read, so that its checksum is compared.
        while rest := archive.fileobj.read(2**20) if archive.fileobj is not None else b"":
            if any(rest):
                raise InputError(
                    f"{name} goes on after its end; archives that were joined are unpacked and written as one again."
                )
        if key is not None:
            yield key, files


class _Member(tarfile.TarInfo):
    """A header of an archive; a damaged one is an error, where tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:  # type: ignore[override]
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {archive.offset}") from None


def _split(path: str) -> tuple[str, str] | None:
    """The key and the extension of a file: the key ends at the first dot of its name, and keeps its folder."""
    folder, slash, last = path.rpartition("/")
    stem, dot, extension = last.partition(".")
    if not stem or not dot or not extension or stem.startswith("__"):
        return None
    return f"{folder}{slash}{stem}".removeprefix("./"), extension.lower()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (*DAMAGE, tarfile.TarError) as error:
        raise InputError(f"{name} is no tar archive, or damaged ({reason(error)}); a whole one is needed.") from None


def _values(key: str, files: dict[str, tuple[int, bytes | None]], name: str) -> dict[str, Any]:
    """The values of a row by column, of the files that were read."""
    row: dict[str, Any] = {KEY: key}
    for extension, (_, content) in files.items():
        if content is None:
            continue
        if extension in _JSON:
            row |= _fields(content, extension, key, name)
        elif extension in _TEXTS:
            try:
                row[extension] = content.decode().strip() if extension in ("cls", "cls2") else content.decode()
            except UnicodeDecodeError:
                raise InputError(f"{name} has {key}.{extension}, which is not UTF-8; write it as UTF-8.") from None
        else:
            row[extension] = content
    return row


def _fields(content: bytes, extension: str, key: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} has {key}.{extension}, which is no JSON ({reason(error)}).") from None
    if not isinstance(found, dict):
        raise InputError(f"{name} has {key}.{extension}, which holds no object; fields with names are read.")
    plain = (str, int, float, bool, type(None))
    return {f"{extension}.{field}": value for field, value in found.items() if isinstance(value, plain)}


def _table(rows: Sequence[dict[str, Any]], types: dict[str, pa.DataType]) -> pa.Table:
    arrays = []
    for column, kind in types.items():
        values = [row.get(column) for row in rows]
        if pa.types.is_large_string(kind):
            values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        arrays.append(pa.array(values, kind))
    return pa.Table.from_arrays(arrays, names=list(types))
