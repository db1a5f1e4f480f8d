"""Rows that were expensive to compute, stored by content: checksummed Parquet shards, and a manifest written last.

A store is a folder: one Parquet file a shard, named by the shard's index and the store's key, and `manifest.json`,
which is written when the last shard is there. A kill at any moment costs the shard being computed and nothing else.

Three checks detect a damaged file before a training run uses it: the page checksums of Parquet, a digest of every
shard's decoded content inside the shard (enough to resume without a manifest), and the digest of every file in the
manifest.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overproof.errors import InputError
from overproof.seeds import digest
from overproof.storage import checked, column_cache
from overproof.storage.atomic import alone, remove_leftovers, write_bytes
from overproof.storage.id_index import IdIndex
from overproof.storage.shard import (
    FORMAT,
    Block,
    Header,
    Ids,
    StoreKey,
    decode_shard,
    difference_of_names,
    digest_of_names,
    encode_shard,
)

MANIFEST = "manifest.json"
"""The file that is written last: a folder with it is finished."""
RowsDone = Callable[[int, int], None]
"""Called with (rows done, rows in all) after every shard."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredColumns:
    """A finished store as read: its key, its class names, its ids [N] and its columns, each [N, bytes a row]."""

    key: StoreKey
    class_names: tuple[str, ...]
    ids: Ids
    columns: Block


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a finished store says of itself."""

    header: Header
    class_names: tuple[str, ...]
    digests: tuple[str, ...]
    digest: str


# Filling ------------------------------------------------------------------------------------------------------------


def fill(
    folder: Path,
    ids: Ids,
    header: Header,
    class_names: tuple[str, ...],
    compute: Callable[[Iterable[slice]], Iterator[Block]],
    *,
    source: str,
    progress: RowsDone | None = None,
) -> None:
    """Compute the shards that are not there yet, in order, then write the manifest.

    Args:
        folder: The store; made if it is missing. Another process that fills the same folder waits its turn.
        ids: [N], which examples these are.
        header: What the store should be. A store already begun keeps its own rows a shard.
        class_names: For the manifest; the header has their digest.
        compute: The rows of every missing shard -> their columns, in the same order; each is stored as it comes.
        source: What to call the examples in errors.
        progress: Called after every shard.

    Raises:
        InputError: The folder holds something else, or a damaged shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest_path = folder / MANIFEST
    with alone(folder):
        remove_leftovers(folder)
        finished = manifest_path.exists()
        begun = read_manifest(folder).header if finished else _header_of_unfinished(folder)
        if begun is not None:
            _refuse_other_store(folder, begun, header)
            if (begun.classes, begun.ids) != (header.classes, header.ids):
                if finished:
                    return  # `load` compares all rows and names, and its message has more detail
                what = "class names" if begun.classes != header.classes else "examples"
                raise InputError(
                    f"{folder} was begun for other {what} than those of {source} (changed or reordered since): "
                    "delete it or give another folder."
                )
            _refuse_other_key(folder, begun.key, header.key, ("data",))
            header = begun
        names = [header.name(index) for index in range(header.num_shards())]
        if finished and all((folder / name).exists() for name in names):
            return
        manifest_path.unlink(missing_ok=True)  # where a shard was deleted: unfinished until it is there again
        shards, widths = [], dict[str, int]()
        missing = {index for index, name in enumerate(names) if not (folder / name).exists()}
        computed = compute(map(header.rows, sorted(missing)))
        for index, name in enumerate(names):
            rows, path = header.rows(index), folder / name
            kept = None if index in missing else path.read_bytes()
            if kept is None:
                block = next(computed)
            else:
                found, found_index, found_ids, block = decode_shard(kept, path)
                if (found, found_index, found_ids.tobytes()) != (header, index, ids[rows].tobytes()):
                    raise InputError(f"{path} belongs to another store: delete this file and run again.")
            found_widths = {"id": 16, **{column: values.shape[1] for column, values in block.items()}}
            if index > 0 and found_widths != widths:
                raise InputError(
                    f"{folder} has {widths} bytes a row, and for rows {rows.start} to {rows.stop - 1} of {source} come "
                    f"{found_widths}: all rows must be of one size."
                )
            widths = found_widths
            if kept is None:
                kept = encode_shard(header, index, ids[rows], block)
                write_bytes(path, kept)
            shards.append({"file": name, "num_rows": rows.stop - rows.start, "blake2b": digest(kept)})
            if progress is not None:
                progress(rows.stop, header.num_rows)
        manifest = {"format": FORMAT, **asdict(header), "fingerprint": header.key.hex, "num_classes": len(class_names)}
        content = {**manifest, "class_names": class_names, "bytes_per_row": widths, "shards": shards}
        checked.write_json(manifest_path, content)


def copy_from(others: Iterable[Path], folder: Path, fits: Callable[[StoreKey], bool]) -> None:
    """Copy a finished store from the first of other folders whose key fits, unless `folder` is finished.

    If it is interrupted, `fill` uses the shards that were copied and computes the rest. What is damaged there is passed
    over, and computed here.

    Args:
        others: Where to look.
        folder: Where the store shall be.
        fits: Whether a store of this key is the one.
    """
    if (folder / MANIFEST).exists():
        return
    for other in others:
        if not (other / MANIFEST).exists():
            continue
        with suppress(InputError, OSError):
            header = read_manifest(other).header
            if not fits(header.key):
                continue
            for index in range(header.num_shards()):
                data = (other / header.name(index)).read_bytes()
                decode_shard(data, other / header.name(index))
                write_bytes(folder / header.name(index), data)
            write_bytes(folder / MANIFEST, (other / MANIFEST).read_bytes())
            return


def kept_under(folder: Path) -> StoreKey | None:
    """The key of a store, finished or not; None where nothing is stored.

    Args:
        folder: The store.

    Raises:
        InputError: It is damaged.
    """
    if (folder / MANIFEST).exists():
        return read_manifest(folder).header.key
    begun = _header_of_unfinished(folder)
    return None if begun is None else begun.key


def _shard_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-*.parquet"))


def _header_of_unfinished(folder: Path) -> Header | None:
    files = _shard_files(folder)
    return decode_shard(files[0].read_bytes(), files[0])[0] if files else None


# Reading ------------------------------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished store, checked.

    Raises:
        InputError: It is damaged, or the store is unfinished.
    """
    path = folder / MANIFEST
    if not path.exists():
        unfinished = _header_of_unfinished(folder)
        if unfinished is None:
            raise InputError(f"There is nothing stored in {folder}.")
        raise InputError(
            f"{folder} is unfinished: {len(_shard_files(folder))} of {unfinished.num_shards()} shards are there; "
            "run the command that writes it again to resume."
        )
    data = path.read_bytes()
    try:
        manifest = json.loads(data)
        if "blake2b" in manifest:  # earlier versions wrote none
            manifest = checked.unsealed(manifest)
        version = manifest["format"]
        if version != FORMAT:
            raise InputError(f"{path} has format {version}, and this overproof reads format {FORMAT} only.")
        shared = {name: manifest[name] for name in ("kind", "classes", "ids", "num_rows", "rows_per_shard")}
        header = Header(**shared, key=StoreKey(**manifest["key"]))
        files = [shard["file"] for shard in manifest["shards"]]
        if len(files) != header.num_shards() or files != [header.name(index) for index in range(len(files))]:
            raise ValueError("its shards are not those of its key")
        if digest_of_names(tuple(manifest["class_names"])) != header.classes:
            raise ValueError("its class names do not match their digest")
        return Manifest(
            header=header,
            class_names=tuple(manifest["class_names"]),
            digests=tuple(shard["blake2b"] for shard in manifest["shards"]),
            digest=digest(data),
        )
    except InputError:
        raise
    except (checked.Damaged, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise InputError(f"{path} is damaged ({reason}): delete this file and run again; the shards stay.") from error


def load(
    folder: Path,
    *,
    kind: str,
    key: StoreKey | None,
    class_names: tuple[str, ...] | None,
    ids: Ids | None,
    source: str,
    align: bool,
    mmap: bool,
) -> StoredColumns:
    """Read a finished store, every shard verified, and raise an error where it is another store than requested.

    Args:
        folder: The store.
        kind: "answers" or "embeddings".
        key: Whose store it must be; None takes any.
        class_names: The class names it must have, in order; None takes any.
        ids: [N], the examples to read for, in their order; None gives all rows as they are stored.
        source: What to call the examples in errors.
        align: Look the examples up by id, in whatever order, instead of refusing another order.
        mmap: Map the columns from `folder/cache`, built from the verified shards where the manifest has changed,
            instead of holding them in memory. The cache is read and compared with its checksums once a process (1.6
            seconds a GB), and made again where it is damaged; from then on it is trusted as memory is.

    Raises:
        InputError: An unfinished, damaged or foreign store; other, edited or reordered examples; other class names.
    """
    manifest = read_manifest(folder)
    header = manifest.header
    refuse_other_kind(folder, header, kind)
    if key is not None:
        _refuse_other_key(folder, header.key, key, ("teacher", "transform", "code"))
    if class_names is not None and class_names != manifest.class_names:
        raise InputError(f"{folder} has other classes: {difference_of_names(manifest.class_names, class_names)}.")
    columns = _map_columns(folder, manifest) if mmap else _read_columns(folder, manifest, _in_memory)
    stored_ids = columns.pop("id").reshape(-1).view("V16")
    if ids is not None:
        rows = _rows_of(folder, stored_ids, ids, source, align)
        # The same ids; those of the caller are in memory, or mapped, anyhow.
        stored_ids = ids
        if rows is not None:
            columns = {name: column[rows] for name, column in columns.items()}
    if key is not None and (ids is None or not align):
        _refuse_other_key(folder, header.key, key, ("data",))
    return StoredColumns(key=header.key, class_names=manifest.class_names, ids=stored_ids, columns=columns)


def _in_memory(name: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def some_shards(folder: Path, manifest: Manifest, shards: range) -> StoredColumns:
    """The rows of some shards of a store, verified.

    Args:
        folder: The store.
        manifest: Its own.
        shards: The indices of shards that follow each other, at least one.

    Raises:
        InputError: One is missing or damaged.
    """
    columns = _read_columns(folder, manifest, _in_memory, shards)
    ids = columns.pop("id").reshape(-1).view("V16")
    return StoredColumns(key=manifest.header.key, class_names=manifest.class_names, ids=ids, columns=columns)


def _read_columns(
    folder: Path,
    manifest: Manifest,
    allocate: Callable[[str, tuple[int, int]], NDArray[np.uint8]],
    shards: range | None = None,
) -> dict[str, NDArray[np.uint8]]:
    header = manifest.header
    columns: dict[str, NDArray[np.uint8]] = {}
    shards = range(header.num_shards()) if shards is None else shards
    first = header.rows(shards[0]).start
    num_rows = header.rows(shards[-1]).stop - first
    for index in shards:
        path, rows, written = folder / header.name(index), header.rows(index), manifest.digests[index]
        if not path.exists():
            raise InputError(f"{path} is missing: run the command that writes it again to have it made.")
        data = path.read_bytes()
        if digest(data) != written:
            raise InputError(f"{path} is damaged (not the bytes that were written): delete this file and run again.")
        found, found_index, ids, block = decode_shard(data, path)
        if (found, found_index) != (header, index):
            raise InputError(f"{path} and {folder / 'manifest.json'} do not agree: delete the latter and run again.")
        block = {"id": ids.view(np.uint8).reshape(-1, 16), **block}
        if index == shards[0]:
            columns = {name: allocate(name, (num_rows, part.shape[1])) for name, part in block.items()}
        for name, part in block.items():
            columns[name][rows.start - first : rows.stop - first] = part
    return columns


def _map_columns(folder: Path, manifest: Manifest) -> dict[str, NDArray[np.uint8]]:
    return column_cache.mapped(folder, manifest.digest, lambda allocate: _read_columns(folder, manifest, allocate))


# Error messages -----------------------------------------------------------------------------------------------------


def refuse_other_kind(folder: Path, stored: Header, kind: str) -> None:
    """Refuse a store of another kind: "answers" or "embeddings"."""
    if stored.kind != kind:
        raise InputError(f"{folder} holds {stored.kind}, not {kind}: give another folder.")


def _refuse_other_store(folder: Path, stored: Header, asked: Header) -> None:
    refuse_other_kind(folder, stored, asked.kind)
    _refuse_other_key(folder, stored.key, asked.key, ("teacher", "transform", "code"))


def _refuse_other_key(folder: Path, stored: StoreKey, asked: StoreKey, parts: tuple[str, ...]) -> None:
    for part in parts:
        theirs, ours = getattr(stored, part), getattr(asked, part)
        if theirs != ours:
            # Long texts are shown from a little before where they part.
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(theirs, ours, strict=False)))
            start = max(0, same - 20)
            shown = [("…" if start else "") + text[start : start + 80] for text in (theirs, ours)]
            raise InputError(
                f"The store {folder} has {part} {shown[0]!r}, but {shown[1]!r} is needed: give another folder, or the "
                f"options and versions it was made with."
            )


def _rows_of(folder: Path, stored: Ids, asked: Ids, source: str, align: bool) -> NDArray[np.int64] | None:
    """The stored row of every requested example; None where that is all of them in order."""
    if len(stored) == len(asked) and np.array_equal(stored, asked):
        return None
    rows, known = IdIndex(stored).find(asked)
    unknown = np.flatnonzero(~known)
    if len(unknown):
        raise InputError(
            f"{folder} has nothing for {len(unknown)} of the {len(asked)} examples of {source}, which are new or were "
            f"edited since (the first is row {unknown[0]}, counted from 0): give another folder, or bring them back."
        )
    if align:
        return rows
    what = "the same examples in another order"
    if len(stored) != len(asked):
        what = f"{len(stored)} examples, of which {source} has {len(asked)}"
    first = next((row for row, pair in enumerate(zip(stored, asked, strict=False)) if pair[0] != pair[1]), len(asked))
    raise InputError(
        f"{folder} holds {what} (they part at row {first} of {source}, counted from 0): "
        "align=True looks each example up by its id."
    )
