"""How much the compressed batches of an Arrow file unpack to, by what each says of itself: nothing is unpacked.

Of the format only the few fields are read that lead to the lengths of compressed buffers (Apache Arrow, Message.fbs
and File.fbs): each such buffer begins with its length in memory, an int64 that Arrow allocates before it unpacks.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa
import pyarrow.ipc

_DICTIONARY, _BATCH = 2, 3
_MAGIC = b"ARROW1"


def unpacked_bytes(file: pa.NativeFile) -> Iterator[int]:
    """For each compressed batch of an Arrow file or stream the bytes of its buffers in memory; 0 where it is not.

    Dictionaries count with the batches. A part that cannot be understood ends the list: reading the file will say what
    is wrong with it.

    Args:
        file: Open at its beginning, mapped into memory.
    """
    magic = file.read(6)
    file.seek(0)
    with suppress(pa.ArrowException, struct.error, IndexError, OverflowError, OSError, ValueError):
        yield from _of_file(file) if magic == _MAGIC else _of_stream(file)


def _of_stream(file: pa.NativeFile) -> Iterator[int]:
    reader = pa.ipc.MessageReader.open_stream(file)
    while True:
        try:
            message = reader.read_next_message()
        except (StopIteration, EOFError):
            return
        yield _of_message(message)


def _of_file(file: pa.NativeFile) -> Iterator[int]:
    """The batches that the footer lists, which are those that are read."""
    size = file.size()
    file.seek(max(size - 10, 0))
    length, magic = struct.unpack("<i6s", file.read(10))
    if magic != _MAGIC or not 0 < length <= size:
        return
    file.seek(size - 10 - length)
    footer = memoryview(file.read(length))
    root = _table(footer, 0)
    for number in (2, 3):
        start, count = _vector(footer, root, number)
        for index in range(count):
            (offset,) = struct.unpack_from("<q", footer, start + 24 * index)
            file.seek(offset)
            try:
                message = pa.ipc.read_message(file)
            except EOFError:
                raise pa.ArrowInvalid("it is shorter than its footer says") from None
            yield _of_message(message)


def _of_message(message: pa.ipc.Message) -> int:
    about, body = memoryview(message.metadata), message.body
    root = _table(about, 0)
    kind = _field(about, root, 1)
    if not kind or about[kind] not in (_DICTIONARY, _BATCH) or body is None:
        return 0
    batch = _table(about, _field(about, root, 2))
    if about[kind] == _DICTIONARY:
        batch = _table(about, _field(about, batch, 1))
    if not _field(about, batch, 3):
        return 0
    start, count = _vector(about, batch, 2)
    content, total = memoryview(body), 0
    for index in range(count):
        offset, length = struct.unpack_from("<qq", about, start + 16 * index)
        if length >= 8:
            (unpacked,) = struct.unpack_from("<q", content, offset)
            # -1 says that the buffer is stored as it is.
            total += length - 8 if unpacked == -1 else abs(unpacked)
    return total


def _table(data: memoryview, place: int) -> int:
    """Where the table begins that the offset at a place leads to."""
    return place + int(struct.unpack_from("<I", data, place)[0])


def _field(data: memoryview, table: int, number: int) -> int:
    """Where a field of a table is; 0 where it has its default."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    (length,) = struct.unpack_from("<H", data, vtable)
    if 4 + 2 * number + 2 > length:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + 4 + 2 * number)
    return table + offset if offset else 0


def _vector(data: memoryview, table: int, number: int) -> tuple[int, int]:
    """Where the items of a vector begin, and how many there are."""
    if not (field := _field(data, table, number)):
        return 0, 0
    start = _table(data, field)
    return start + 4, int(struct.unpack_from("<I", data, start)[0])
