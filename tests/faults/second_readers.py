"""Reads the same small files as the package does, with other libraries: NumPy, Pillow, Arrow, PyYAML, `json`, `csv`.

A reader returns what the package must find, `ANY` for a part of it that this file cannot tell, and None where it can
tell nothing.
"""

import csv
import io
import json
import os
import resource
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Check = Callable[[Path], Any]
TOLERANCE = 2e-3
"""Of probabilities: half precision, and rounded ones that are made to sum to one."""


class Near(float):
    """A probability, which is compared within `TOLERANCE`."""


class Any_:
    """Stands for a value that is not compared."""


ANY = Any_()
DIALECT = (b'"', b"\r", b"\0", b"\xef\xbb\xbf")
"""Where dialects of CSV differ, two readers may disagree."""


def alike(found: Any, expected: Any) -> bool:
    """Whether the package found what another reader did: probabilities within `TOLERANCE`, all else exactly."""
    if expected is ANY:
        return True
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() <= found.keys() and all(alike(found[key], expected[key]) for key in expected)
    if isinstance(expected, Near) and isinstance(found, float):
        return abs(found - expected) <= TOLERANCE
    # 1 and 1.0 are one number; True is none.
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)


# --- rows


def plain_csv(column: str, num_columns: int, delimiter: str = ",", unpack: Callable[[bytes], bytes] = bytes) -> Check:
    """A column of a CSV file; empty cells are None."""

    def check(folder: Path) -> list[str | None] | None:
        (file,) = (path for path in folder.iterdir() if path.name.startswith("a."))
        data = unpack(file.read_bytes())
        if any(odd in data for odd in DIALECT):
            return None
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
        place = rows[0].index(column)
        rows = [row for row in rows[1:] if row]
        if any(len(row) != num_columns for row in rows):
            return None
        return [row[place] or None for row in rows]

    return check


def json_lines(file: Path) -> list[Any]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text().split("\n") if line.strip()]


def json_lines_labels(folder: Path) -> list[Any] | None:
    """The labels of JSON lines, where all are texts."""
    labels = [line.get("label") for line in json_lines(folder / "a.jsonl")]
    return [each or None for each in labels] if all(each is None or isinstance(each, str) for each in labels) else None


def arrow_labels(name: str) -> Check:
    """The labels of a Parquet or Feather file, where they are texts."""

    def check(folder: Path) -> list[Any] | None:
        import pyarrow.feather
        import pyarrow.parquet

        reader = pyarrow.parquet.read_table if name.endswith("parquet") else pyarrow.feather.read_table
        column = reader(str(folder / name)).column("label")
        return [each or None for each in column.to_pylist()] if str(column.type) == "string" else None

    return check


def data_set(folder: Path) -> list[Any] | None:
    """Class names of a Hugging Face data set by row."""
    import pyarrow as pa

    files = [entry["filename"] for entry in json.loads((folder / "state.json").read_text())["_data_files"]]
    numbers: list[Any] = []
    for file in files:
        with pa.memory_map(str(folder / file)) as source:
            numbers += pa.ipc.open_stream(source).read_all().column("label").to_pylist()
    feature = json.loads((folder / "dataset_info.json").read_text())["features"]["label"]
    if feature.get("_type") != "ClassLabel" or any(each is not None and not isinstance(each, int) for each in numbers):
        return None
    return [None if each is None or each == -1 else feature["names"][each] for each in numbers]


# --- arrays and images


def _labelled_images(labels: Any, images: np.ndarray) -> list[Any]:
    pixels = images[:, None].tolist() if images.ndim == 3 else ANY
    whole = labels.dtype.kind == "U" or (labels.dtype.kind in "iu" and (labels >= 0).all())
    return [[str(each) for each in labels] if whole else ANY, pixels]


def npz(folder: Path) -> list[Any]:
    """Labels and pixels of an archive."""
    with np.load(folder / "a.npz", allow_pickle=False) as arrays:
        return _labelled_images(arrays["labels"], arrays["images"])


def npy(folder: Path) -> list[Any]:
    """Labels and pixels of two .npy files."""
    images, labels = (np.load(folder / name, allow_pickle=False) for name in ("a.npy", "labels.npy"))
    return _labelled_images(labels, images)


def _idx(file: Path) -> np.ndarray:
    data = file.read_bytes()
    dtype = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4"}[data[2]]
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    return np.array(np.frombuffer(data[4 + 4 * data[3] :], dtype)).reshape(shape)


def idx(folder: Path) -> list[Any]:
    """Labels and pixels of two IDX files."""
    return _labelled_images(_idx(folder / "labels-idx1-ubyte"), _idx(folder / "a-idx3-ubyte"))


def _mat(folder: Path) -> list[Any] | None:
    import scipy.io

    values = scipy.io.loadmat(folder / "a.mat", variable_names=["X", "label"], chars_as_strings=True)
    numbers, labels = values["X"], values["label"]
    if numbers.ndim != 2 or numbers.dtype.kind not in "fiu":
        return None
    words = [each.item() if isinstance(each, np.ndarray) and each.size == 1 else each for each in labels.ravel()]
    if not all(isinstance(each, str) for each in words):
        return None
    return [
        [str(each).rstrip() or None for each in words],
        [list(map(repr, map(float, column))) for column in numbers.T.tolist()],
    ]


def mat(folder: Path) -> list[Any] | None:
    """Texts of the variable `label` and numbers of `X`, read in a process of its own, which SciPy may end or stop."""
    import scipy.io  # noqa: F401

    own, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            with os.fdopen(theirs, "w") as to:
                json.dump(_mat(folder), to)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(own) as found:
        text = found.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def pictures(folder: Path) -> list[Any]:
    """Names of folders and pixels, in the order of the files' names."""
    from PIL import Image

    files = sorted(file for file in folder.rglob("*") if file.is_file())
    pixels: list[Any] = []
    for file in files:
        with Image.open(file) as image:
            exact = image.mode == "L" and "transparency" not in image.info and image.getexif().get(0x112, 1) == 1
            pixels.append([np.asarray(image).tolist()] if exact else ANY)
    return [[file.parent.name for file in files], pixels]


# --- answers: [names, ids, probabilities]


def answers_csv(folder: Path) -> list[Any] | None:
    """A column for each class."""
    data = (folder / "a.csv").read_bytes()
    if any(odd in data for odd in DIALECT):
        return None
    rows = [row for row in csv.reader(io.StringIO(data.decode(), newline="")) if row]
    header, rows = rows[0], rows[1:]
    if len(set(header)) < len(header) or any(len(row) != len(header) for row in rows):
        return None
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    ids = list(columns.pop("id"))
    names = sorted(columns)
    # A cell that is no number makes no file that can be read.
    probs = [[Near(columns[name][row]) for name in names] for row in range(len(ids))]
    return [names, ids, probs]


def answers_parquet(folder: Path) -> list[Any] | None:
    """A column for each class."""
    import pyarrow.parquet

    columns = pyarrow.parquet.read_table(folder / "a.parquet").to_pydict()
    # Ids of bytes are spelled in hex.
    ids = [each.hex() if isinstance(each, bytes) else each for each in columns.pop("id")]
    names = sorted(columns)
    return [names, ids, [[Near(columns[name][row]) for name in names] for row in range(len(ids))]]


def answers_jsonl(folder: Path) -> list[Any] | None:
    """Lists of names and probabilities; a class that a row does not name is not compared there."""
    lines = json_lines(folder / "a.jsonl")
    if any(len(line["top_classes"]) != len(line["top_probs"]) for line in lines):
        return None
    names = sorted({name for line in lines for name in line["top_classes"]})
    probs = []
    for line in lines:
        if len(set(line["top_classes"])) < len(line["top_classes"]):
            return None
        given = dict(zip(line["top_classes"], map(Near, line["top_probs"]), strict=True))
        # What is missing to one is distributed over the classes that are not named.
        whole = abs(sum(given.values()) - 1) < 0.001 or len(given) < len(names)
        probs.append([given.get(name, ANY) if whole else ANY for name in names])
    return [names, [line["id"] for line in lines], probs]


def experiment(folder: Path) -> Any:
    """The options that are written; methods have several spellings."""
    import yaml

    content = yaml.safe_load((folder / "e.yaml").read_text())
    if not isinstance(content, dict):
        return None
    return {**content, "methods": ANY} if "methods" in content else content
