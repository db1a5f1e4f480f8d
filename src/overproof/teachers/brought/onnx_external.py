"""The files beside an ONNX file that hold its weights, as the file itself names them.

Only the few fields of the format that lead to a file name are read, so that neither the package onnx nor the weights
are needed (Open Neural Network Exchange, onnx.proto3: `TensorProto.external_data`).
"""

from collections.abc import Iterator
from pathlib import Path

_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
"""By message: the numbers of the fields that lead on, and which messages they hold."""


def external_files(path: Path) -> list[Path]:
    """The files in which an ONNX file keeps weights, each once, by name; of a damaged file those that can be read.

    Those outside its folder are left out, because onnxruntime does not open them.

    Args:
        path: The ONNX file.
    """
    return [path.parent / name for name in _names(path) if not _leaves(name)]


def outside_files(path: Path) -> list[str]:
    """The names of those outside its folder, also by a link, as the file writes them.

    Args:
        path: The ONNX file.
    """
    return [name for name in _names(path) if _leaves(name) or _linked_away(path.parent, name)]


def _names(path: Path) -> list[str]:
    try:
        return sorted(set(_locations(memoryview(path.read_bytes()), "model")))
    except OSError:
        return []


def _leaves(name: str) -> bool:
    return name.startswith("/") or ".." in Path(name).parts


def _linked_away(folder: Path, name: str) -> bool:
    return not (folder / name).resolve().is_relative_to(folder.resolve())


def _locations(data: memoryview, message: str) -> Iterator[str]:
    texts: dict[int, str] = {}
    for number, value in _fields(data):
        if message == "entry":
            texts[number] = bytes(value).decode("utf-8", "replace")
        elif child := _CHILDREN[message].get(number):
            yield from _locations(value, child)
    if texts.get(1) == "location" and "\0" not in texts.get(2, "\0"):
        yield texts[2]


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields that have a length; the others are skipped."""
    place = 0
    while place < len(data):
        try:
            tag, place = _number(data, place)
            match tag & 7:
                case 0:
                    _, place = _number(data, place)
                case 1:
                    place += 8
                case 2:
                    length, place = _number(data, place)
                    if place + length > len(data):
                        return
                    yield tag >> 3, data[place : place + length]
                    place += length
                case 5:
                    place += 4
                case _:
                    return
        except IndexError:
            return


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """A number of variable length, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
