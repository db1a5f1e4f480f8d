"""MATLAB files of version 5 to 7: the headers of their variables, and the values of those that are asked for.

Numbers, sparse matrices, rows of characters, and cells of text are read; nothing of another kind. All lengths are
checked against the bytes that are there before anything is unpacked or made, so that a damaged file is refused.

Source: MAT-File Format, The MathWorks, chapter 1 (Level 5).
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from overproof.data.source import FLAG
from overproof.errors import InputError

_NUMBERS: Mapping[int, str] = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
"""The types of values by the number of the element."""
_INT8, _UINT8, _UINT16, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8, _UTF16, _UTF32 = 1, 2, 4, 5, 6, 14, 15, 16, 17, 18
_CLASSES: Mapping[int, str] = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8",
    10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
NUMERIC = ("double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), "logical")
"""The classes of dense matrices of numbers."""
_HEAD_BYTES = 65_536
"""A header is shorter."""


class _Damage(Exception):
    """What is wrong within a file, in a few words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatVariable:
    """The header of a variable.

    Args:
        shape: Its shape, of rank 2 or more.
        kind: Its class in MATLAB, such as "double", "char" or "cell"; "logical" for truth values.
        is_complex: Whether it has imaginary parts.
        start: The first byte of its element's content in the file.
        stored: The bytes of this content in the file.
        packed: Whether the content is compressed.
        num_bytes: The bytes of the content when unpacked, by its tag.
        order: The order of bytes, "<" or ">".
    """

    shape: tuple[int, ...]
    kind: str
    is_complex: bool
    start: int
    stored: int
    packed: bool
    num_bytes: int
    order: str


def mat_variables(path: Path, name: str) -> dict[str, MatVariable]:
    """The headers of all variables of a file; their values are not read.

    Args:
        path: The file.
        name: Its name in error messages.

    Raises:
        InputError: It is damaged, of another version, or no MATLAB file.
    """
    size, found = path.stat().st_size, dict[str, MatVariable]()
    with path.open("rb") as file:
        order = _order(file.read(128), path, name)
        place = 128
        while place < size:
            file.seek(place)
            tag = file.read(8)
            if len(tag) < 8:
                raise InputError(f"{name} is cut: it has {size} bytes, and {place + 8} or more are needed.")
            kind, length = struct.unpack(f"{order}II", tag)
            if place + 8 + length > size:
                raise InputError(f"{name} is cut: it has {size} bytes, and {place + 8 + length} or more are needed.")
            try:
                key, variable = _header(file, kind, place + 8, length, order)
            except (_Damage, zlib.error) as error:
                raise InputError(
                    f"{name} is damaged at byte {place} ({error}); a whole MATLAB file is needed."
                ) from None
            if key in found:
                raise InputError(f"{name} has two variables {key!r}; save it again with one of each name.")
            # Without a name MATLAB keeps what its own objects need.
            if key:
                found[key] = variable
            place += 8 + length
    return found


def mat_values(path: Path, name: str, wanted: Mapping[str, MatVariable], max_gb: float) -> dict[str, np.ndarray]:
    """The values of some variables.

    Args:
        path: The file.
        name: Its name in error messages.
        wanted: Their headers, from `mat_variables`.
        max_gb: What is compressed or sparse may have so many gigabytes together when it is unpacked.

    Returns:
        Numbers in the shape of the variable and in the type in which the file keeps them; rows of characters as
        strings [N] of one length; cells of text as objects (strings) in the shape of the variable.

    Raises:
        InputError: They have more, one is of a kind that is not read, or the file is damaged.
    """
    unpacked = sum(_unpacked_bytes(each) for each in wanted.values())
    if unpacked > max_gb * 1e9:
        raise InputError(
            f"{name} unpacks to {unpacked / 1e9:.3g} GB, and {max_gb:g} are allowed; set `max_unpacked_gb` to more "
            f"({FLAG})."
        )
    found = {}
    with path.open("rb") as file:
        for key, variable in wanted.items():
            _check_kind(variable, key, name)
            try:
                found[key] = _values(_content(file, variable), variable.order)
            except (_Damage, zlib.error) as error:
                raise InputError(
                    f"{name} is damaged in the variable {key!r} ({error}); a whole MATLAB file is needed."
                ) from None
    return found


def _unpacked_bytes(variable: MatVariable) -> int:
    dense = int(np.prod(variable.shape, dtype=object)) * 8 if variable.kind == "sparse" else 0
    return max(dense, variable.num_bytes if variable.packed else 0)


def _check_kind(variable: MatVariable, key: str, name: str) -> None:
    if variable.is_complex or variable.kind not in (*NUMERIC, "sparse", "char", "cell"):
        inside = f"{variable.kind}, of complex numbers" if variable.is_complex else variable.kind
        raise InputError(
            f"{name} has the variable {key!r} of MATLAB's class {inside}, which is not read; allowed are real numbers, "
            f"rows of characters, and cells of text."
        )
    if not all(variable.shape):
        raise InputError(f"{name} has the variable {key!r} of shape {variable.shape}, which is empty; name another.")


# --- the file


def _order(head: bytes, path: Path, name: str) -> str:
    """The order of bytes, of a file of version 5."""
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    version = struct.unpack(f"{order}H", head[124:126])[0] if order else None
    if head.startswith(b"\x89HDF") or version == 0x200:
        raise InputError(
            f"{name} is a MATLAB file of version 7.3 (HDF5); save it with save('{path.name}', '-v7') in MATLAB."
        )
    if order and version == 0x100:
        return order
    # Version 4 starts with a number below 5,000 whose digits are the machine, 0, the type of values and of the matrix.
    if len(head) >= 20 and any(struct.unpack(f"{each}I", head[:4])[0] < 5000 for each in "<>"):
        raise InputError(
            f"{name} is no MATLAB file of version 5 to 7, but may be one of version 4; save it with "
            f"save('{path.name}', '-v7') in MATLAB."
        )
    raise InputError(f"{name} is no MATLAB file of version 5 to 7, or its first 128 bytes are damaged.")


def _header(file: BinaryIO, kind: int, start: int, length: int, order: str) -> tuple[str, MatVariable]:
    """The name and the header of the variable whose element's content starts at a byte."""
    head, num_bytes, packed = file.read(min(length, _HEAD_BYTES)), length, kind == _COMPRESSED
    if packed:
        head = zlib.decompressobj().decompress(head, _HEAD_BYTES)
        if len(head) < 8:
            raise _Damage("a compressed variable without content")
        kind, num_bytes = struct.unpack(f"{order}II", head[:8])
        head = head[8 : 8 + num_bytes]
    if kind != _MATRIX:
        raise _Damage(f"an element of type {kind} where a variable must be")
    body = _Body(head, order)
    class_name, is_complex, shape, key = body.array_header()
    variable = MatVariable(
        shape=shape, kind=class_name, is_complex=is_complex, start=start, stored=length, packed=packed,
        num_bytes=num_bytes, order=order,
    )  # fmt: skip
    return key, variable


def _content(file: BinaryIO, variable: MatVariable) -> bytes:
    """The bytes of a variable, after its tag."""
    file.seek(variable.start)
    data = file.read(variable.stored)
    if not variable.packed:
        return data
    unpack = zlib.decompressobj()
    content = unpack.decompress(data, variable.num_bytes + 9)
    if len(content) != variable.num_bytes + 8 or not unpack.eof or unpack.unused_data:
        raise _Damage(f"its compressed content is not of {variable.num_bytes} bytes")
    return content[8:]


# --- elements


class _Body:
    """Reads the elements of a variable one after the other.

    Args:
        data: The content of the variable.
        order: The order of bytes.
    """

    def __init__(self, data: bytes | memoryview, order: str) -> None:
        self.data, self.order, self.place = memoryview(data), order, 0

    def element(self) -> tuple[int, memoryview]:
        """The type and the content of the next element, which is checked to be there in full."""
        if self.place + 8 > len(self.data):
            raise _Damage("it ends within a variable")
        kind, length = struct.unpack_from(f"{self.order}II", self.data, self.place)
        start = self.place + 8
        if kind >> 16:
            # Up to four bytes stand in the tag itself.
            kind, length, start = kind & 0xFFFF, kind >> 16, self.place + 4
            if length > 4:
                raise _Damage(f"{length} bytes in the place of four")
            self.place += 8
        else:
            # An element ends at a multiple of eight bytes.
            self.place = start + -(-length // 8) * 8
        if start + length > len(self.data):
            raise _Damage("it ends within a variable")
        return kind, self.data[start : start + length]

    def expect(self, *kinds: int) -> memoryview:
        """The content of the next element, which must be of one of these types."""
        kind, content = self.element()
        if kind not in kinds:
            raise _Damage(f"an element of type {kind} where {' or '.join(map(str, kinds))} must be")
        return content

    def array_header(self) -> tuple[str, bool, tuple[int, ...], str]:
        """Class, whether complex, shape, and name."""
        flags = self.expect(_UINT32)
        if len(flags) != 8:
            raise _Damage(f"flags of {len(flags)} bytes")
        word = struct.unpack_from(f"{self.order}I", flags)[0]
        kind = _CLASSES.get(word & 0xFF)
        if kind is None:
            raise _Damage(f"a variable of class {word & 0xFF}")
        # An object of MATLAB's own has no shape: a name follows.
        shape = () if kind == "opaque" else self._shape()
        key = bytes(self.expect(_INT8, _UINT8, _UTF8)).decode("latin-1")
        logical = word & 0x200 and kind in NUMERIC
        return "logical" if logical else kind, bool(word & 0x800), shape, key

    def _shape(self) -> tuple[int, ...]:
        content = self.expect(_INT32)
        shape = (
            tuple(each.item() for each in np.frombuffer(content, f"{self.order}i4")) if len(content) % 4 == 0 else ()
        )
        if not 2 <= len(shape) <= 32 or min(shape) < 0:
            raise _Damage(f"a shape of {len(content)} bytes that has fewer than two sizes, or one below 0")
        return shape

    def numbers(self, num: int | None = None) -> np.ndarray:
        """The numbers of the next element, of which there must be `num` where it is given."""
        kind, content = self.element()
        if kind not in _NUMBERS:
            raise _Damage(f"an element of type {kind} where numbers must be")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if len(content) % dtype.itemsize or (num is not None and len(content) != num * dtype.itemsize):
            raise _Damage(f"{len(content)} bytes for {'numbers' if num is None else num} of {dtype.itemsize} bytes")
        return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))

    def end(self) -> None:
        """Check that nothing follows."""
        if self.place < len(self.data):
            raise _Damage(f"{len(self.data) - self.place} bytes after its end")


def _values(data: bytes, order: str) -> np.ndarray:
    body = _Body(data, order)
    kind, _, shape, _ = body.array_header()
    match kind:
        case "char":
            found = _strings(body, shape)
        case "cell":
            found = _cells(body, shape)
        case "sparse":
            found = _sparse(body, shape)
        case _:
            num = int(np.prod(shape, dtype=object))
            found = body.numbers(num).reshape(shape, order="F")
    body.end()
    return found


def _strings(body: _Body, shape: tuple[int, ...]) -> np.ndarray:
    """The rows of a matrix of characters [N, L] as strings [N]."""
    if len(shape) != 2:
        raise _Damage(f"characters of shape {shape}")
    kind, content = body.element()
    num = shape[0] * shape[1]
    if kind in (_UINT16, _UTF16):
        encoding, units = "utf-16", np.frombuffer(content, f"{body.order}u2") if len(content) % 2 == 0 else None
    elif kind in (_INT8, _UINT8, _UTF8, _UTF32):
        big = "le" if body.order == "<" else "be"
        try:
            text = str(content, {_UTF8: "utf-8", _UTF32: f"utf-32-{big}"}.get(kind, "ascii"))
        except UnicodeDecodeError as error:
            raise _Damage(f"characters that are no text: {error.reason}") from None
        # MATLAB counts units of UTF-16, SciPy code points.
        encoding = "utf-32" if len(text) == num else "utf-16"
        dtype = "<u4" if encoding == "utf-32" else "<u2"
        units = np.frombuffer(text.encode(f"{encoding}-le", "surrogatepass"), dtype)
    else:
        raise _Damage(f"an element of type {kind} where characters must be")
    if units is None or len(units) != num:
        raise _Damage(f"{len(content)} bytes for {num} characters")
    rows = np.ascontiguousarray(units.reshape(shape, order="F").astype("<u4" if encoding == "utf-32" else "<u2"))
    try:
        words = [row.tobytes().decode(f"{encoding}-le").rstrip("\0") for row in rows]
    except UnicodeDecodeError as error:
        raise _Damage(f"characters that are no text: {error.reason}") from None
    if any("\0" in word for word in words):
        raise _Damage("characters that are no text: zeros within them")
    return np.array(words, str)


def _cells(body: _Body, shape: tuple[int, ...]) -> np.ndarray:
    num = int(np.prod(shape, dtype=object))
    if num * 8 > len(body.data):
        raise _Damage(f"{num} cells in {len(body.data)} bytes")
    found = np.empty(num, object)
    for place in range(num):
        inner = _Body(body.expect(_MATRIX), body.order)
        kind, _, size, _ = inner.array_header() if len(inner.data) else ("", False, (), "")
        if kind != "char" or len(size) != 2 or (size[0] != 1 and size[0] * size[1]):
            raise _Damage(f"cell {place + 1} is no text in one row")
        found[place] = str(_strings(inner, size)[0]) if size[0] * size[1] else ""
    return found.reshape(shape, order="F")


def _sparse(body: _Body, shape: tuple[int, ...]) -> np.ndarray:
    """A sparse matrix with its zeros; rows of each column must ascend."""
    if len(shape) != 2:
        raise _Damage(f"a sparse matrix of rank {len(shape)}")
    rows, starts, values = body.numbers(), body.numbers(shape[1] + 1), body.numbers()
    if {rows.dtype.str[1:], starts.dtype.str[1:]} != {"i4"}:
        raise _Damage("places of a sparse matrix that are no whole numbers of four bytes")
    num = int(starts[-1])
    if starts[0] or (np.diff(starts) < 0).any() or num > min(len(rows), len(values)):
        raise _Damage("columns of a sparse matrix that do not follow each other")
    rows, values = rows[:num], values[:num]
    columns = np.repeat(np.arange(shape[1]), np.diff(starts))
    same = np.diff(columns) == 0
    if num and (rows.min() < 0 or rows.max() >= shape[0] or (np.diff(rows)[same] <= 0).any()):
        raise _Damage("rows of a sparse matrix that do not ascend, or are not there")
    found = np.zeros(shape, values.dtype)
    found[rows, columns] = values
    return found
