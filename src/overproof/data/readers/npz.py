"""The arrays of an .npz archive: their names and shapes from the headers, and no array that nobody asked for."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overproof.data.source import FLAG
from overproof.data.wording import listed
from overproof.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayHeader:
    """What the header of an array in an archive says.

    Args:
        shape: Its shape.
        dtype: Its type.
        packed: Whether it is compressed in the archive.
        stored: Bytes of its member by the archive's directory.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    packed: bool
    stored: int

    @property
    def num_bytes(self) -> int:
        """The bytes of its values."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def headers_of(path: Path, name: str, allowed: str) -> dict[str, ArrayHeader]:
    """The headers of all arrays in an archive; their values are not unpacked.

    Args:
        path: The archive.
        name: Its name in error messages.
        allowed: What is needed instead of a damaged one.

    Raises:
        InputError: It has a member that is no array.
        OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error: It is damaged, as NumPy raises them.
    """
    found: dict[str, ArrayHeader] = {}
    other = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            with archive.open(info) as member:
                if member.read(6) != np.lib.format.MAGIC_PREFIX:
                    other.append(key)
                    continue
                major, minor = member.read(2)
                read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}.get(major)
                if read is None or minor:
                    raise ValueError(f"array {key!r} has the format {major}.{minor}")
                shape, _, dtype = read(member)
            packed = info.compress_type != zipfile.ZIP_STORED
            found[key] = ArrayHeader(shape=shape, dtype=dtype, packed=packed, stored=info.file_size)
    if other:
        raise InputError(f"{name} holds {listed(other)} besides arrays; {allowed}.")
    return found


def load_arrays(
    path: Path, name: str, headers: Mapping[str, ArrayHeader], wanted: Iterable[str], max_gb: float
) -> dict[str, np.ndarray]:
    """Some arrays of an archive.

    Args:
        path: The archive.
        name: Its name in error messages.
        headers: From `headers_of`.
        wanted: The names of the arrays to unpack.
        max_gb: Compressed arrays may have so many gigabytes together.

    Raises:
        InputError: They have more.
        OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error: The archive is damaged, as NumPy raises them.
    """
    names = [key for key in dict.fromkeys(wanted) if key in headers]
    for key in names:
        if headers[key].num_bytes > headers[key].stored and not headers[key].dtype.hasobject:
            raise ValueError(f"array {key!r} has fewer bytes than its header says")
    unpacked = sum(headers[key].num_bytes for key in names if headers[key].packed)
    if unpacked > max_gb * 1e9:
        raise InputError(
            f"{name} unpacks to {unpacked / 1e9:.3g} GB ({listed(names)}), and {max_gb:g} are allowed; set "
            f"`max_unpacked_gb` to more ({FLAG}), or save the arrays without compression (numpy.savez)."
        )
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in names}
