"""Damages small files in generic ways and reads them: an error of one sentence, or what another reader finds there too.

    python tests/faults/mutate_readers.py [--number 2000] [--seed 0] [--only csv] [--show]

Prints one JSON object: for every reader how often it read what another reader reads too (`read`), read where that one
cannot tell (`alone`), refused, and did what it must not: an exception that is not an InputError (`traceback`), an error
message of several lines (`sentence`), a value that differs from that of an independent reader or, in the package's own
checksummed files, from the original (`silent`), a minute without an end (`hang`), the end of the process (`crash`).
Everything follows from the seed; nothing is read from outside.
"""

import argparse
import csv
import gzip
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # for the processes of the suite, which import this file as a module
import second_readers
from second_readers import alike, arrow_labels, json_lines_labels, plain_csv

NUM = 24
NAMES = ("no", "perhaps", "yes")
SECONDS = 60
Read = Callable[[Path], Any]


@dataclass(frozen=True)
class Reader:
    """A reader and small files for it.

    Args:
        write: Writes the files into a folder, and returns the names of those to damage.
        read: Reads the folder: a value to compare.
        check: The same by another reader, or None where that one cannot tell; absent where nothing is compared.
        own: Whether the files are the package's own with checksums, so that no other value may be read.
        listed: Whether a manifest lists every file but itself, so that any changed byte must be refused.
    """

    write: Callable[[Path], list[str]]
    read: Read
    check: Read | None = None
    own: bool = False
    listed: bool = False


# --- small files


def _columns() -> dict[str, list[Any]]:
    draw = np.random.default_rng(0)
    return {
        "id": [f"row-{row}" for row in range(NUM)],
        "size": [round(float(value), 4) for value in draw.normal(size=NUM)],
        "count": draw.integers(0, 90, NUM).tolist(),
        "colour": [("red", "green")[row % 2] for row in range(NUM)],
        "label": [NAMES[row % 3] for row in range(NUM)],
    }


def _rows() -> list[dict[str, Any]]:
    columns = _columns()
    return [{name: columns[name][row] for name in columns} for row in range(NUM)]


def _csv_text(delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_columns()), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows())
    return text.getvalue().encode()


def _bytes(name: str, content: Callable[[], bytes]) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / name).write_bytes(content())
        return [name]

    return write


def _json_lines() -> bytes:
    return "".join(json.dumps({"text": f"{row['colour']} {row['id']}", **row}) + "\n" for row in _rows()).encode()


def _arrow(name: str) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        import pyarrow as pa
        import pyarrow.feather
        import pyarrow.parquet

        table = pa.table(_columns())
        if name.endswith(".parquet"):
            pa.parquet.write_table(table, folder / name)
        else:
            pa.feather.write_feather(table, str(folder / name), compression="uncompressed")
        return [name]

    return write


def _images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (NUM, 8, 8), dtype=np.uint8)


def _npz(folder: Path) -> list[str]:
    np.savez(folder / "a.npz", images=_images(), labels=np.arange(NUM) % 3)
    return ["a.npz"]


def _npy(folder: Path) -> list[str]:
    np.save(folder / "a.npy", _images())
    np.save(folder / "labels.npy", np.arange(NUM) % 3)
    return ["a.npy", "labels.npy"]


def _idx(folder: Path) -> list[str]:
    (folder / "a-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, NUM, 8, 8) + _images().tobytes())
    (folder / "labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 0x801, NUM) + (np.arange(NUM) % 3).astype(np.uint8).tobytes()
    )
    return ["a-idx3-ubyte", "labels-idx1-ubyte"]


def _mat(packed: bool) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        import scipy.io

        columns, cells = _columns(), np.empty((NUM, 1), object)
        cells[:, 0] = columns["label"]
        numbers = np.array([columns["size"], columns["count"]]).T
        content = {"X": numbers, "label": np.array(columns["label"]) if packed else cells, "count": columns["count"]}
        scipy.io.savemat(folder / "a.mat", content, do_compression=packed)
        return ["a.mat"]

    return write


def _pictures(folder: Path) -> list[str]:
    from PIL import Image

    names = []
    for row, image in enumerate(_images()[:6]):
        name = f"{NAMES[row % 3]}/{row}.{('png', 'jpg', 'bmp')[row % 3]}"
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / name)
        names.append(name)
    return names


def _data_set(folder: Path) -> list[str]:
    import pyarrow as pa

    columns = _columns()
    table = pa.table({"text": columns["id"], "label": pa.array(np.arange(NUM) % 3)})
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as to,
    ):
        to.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": list(NAMES), "_type": "ClassLabel"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return ["data-00000-of-00001.arrow", "state.json", "dataset_info.json"]


def _answers() -> list[dict[str, Any]]:
    draw = np.random.default_rng(2)
    probs = draw.dirichlet(np.ones(3), NUM).round(4)
    return [{"id": f"row-{row}", **dict(zip(NAMES, probs[row].tolist(), strict=True))} for row in range(NUM)]


def _answers_csv() -> bytes:
    lines = [",".join(("id", *NAMES)), *(",".join(map(str, each.values())) for each in _answers())]
    return ("\n".join(lines) + "\n").encode()


def _answers_jsonl() -> bytes:
    lines = [
        {"id": each["id"], "top_classes": list(NAMES), "top_probs": [each[name] for name in NAMES]}
        for each in _answers()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _answers_parquet(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet

    pa.parquet.write_table(pa.Table.from_pylist(_answers()), folder / "a.parquet")
    return ["a.parquet"]


def _ids() -> Any:
    from overproof.data import from_arrays

    return from_arrays([f"text {row}" for row in range(NUM)]).ids


def _store(folder: Path) -> list[str]:
    import torch

    from overproof.answers.ask import answer
    from overproof.storage.shard import StoreKey

    probs = torch.tensor([[each[name] for name in NAMES] for each in _answers()])
    probs = probs / probs.sum(dim=1, keepdim=True)
    key = StoreKey(teacher="t", data="d", transform="pool", code="answers 1")
    answer(folder, _ids(), key, NAMES, lambda rows: probs[rows], rows_per_shard=10)
    (folder / ".lock").unlink(missing_ok=True)
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _student(folder: Path) -> list[str]:
    from overproof.models import ModelSpec, build

    student = build(ModelSpec(name="mlp", options={"hidden": [4]}), [_table()], class_names=NAMES, seed=0)
    student.save(folder)
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _export(folder: Path) -> list[str]:
    import overproof

    with tempfile.TemporaryDirectory() as student:
        _student(Path(student))
        overproof.export(student, folder)
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock")


def _run(folder: Path) -> list[str]:
    """A finished run: what its manifests list, and they themselves."""
    from overproof.progress import Silent
    from overproof.runs.experiment import experiment_from
    from overproof.runs.pipeline import Run

    (folder / "all.csv").write_bytes(_csv_text())
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "all.csv"), "label": "label", "id": "id"}},
            "rows": {"labelled": 9, "pool": 9, "test": 6},
        },
        "teacher": {"model": "linear", "folds": 2, "train": {"epochs": 1}},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    Run(experiment=experiment_from(content), folder=folder / "run", progress=Silent()).all_steps()
    files = ["result.json", "tallies.json", "manifest.json"]
    student = folder / "run/students/seed-0/hard"
    files += sorted(f"students/seed-0/hard/{path.name}" for path in student.iterdir() if path.name != ".lock")
    return [f"run/{name}" for name in files]


def _table() -> Any:
    import pyarrow as pa

    from overproof.data import from_arrays

    columns = _columns()
    return from_arrays(pa.table({name: columns[name] for name in ("size", "count", "colour")}))


def _experiment() -> bytes:
    return b"""name: first
data:
  files:
    all: {path: all.csv, label: label, id: id}
  rows: {labelled: 60, pool: 200, test: 100}
teacher: {model: 'sklearn.linear_model:LogisticRegression', folds: 3}
student: {name: mlp, options: {hidden: [16]}}
train: {epochs: 6, batch_size: 16, learning_rate: 0.001}
methods: [slam, {method: wd, options: {pool.weight.cap: 2.0}}]
seeds: [0, 1]
"""


# --- reading


def _labels_and_inputs(folder: Path, name: str, options: dict[str, Any]) -> tuple[list[str | None], Any]:
    from overproof.data import Source
    from overproof.data import read as read_source

    source = {key: str(folder / value[1:]) if str(value).startswith("@") else value for key, value in options.items()}
    examples = read_source(Source(path=str(folder / name), **source), role="labelled")
    named = examples.class_names
    return [None if each < 0 else named[each] for each in examples.label.tolist()], examples.inputs


def _examples(name: str, **options: Any) -> Read:
    def read(folder: Path) -> list[str | None]:
        return _labels_and_inputs(folder, name, options)[0]

    return read


def _pixels(name: str, **options: Any) -> Read:
    def read(folder: Path) -> list[Any]:
        labels, pixels = _labels_and_inputs(folder, name, options)
        return [labels, pixels.tolist()]

    return read


def _read_mat(folder: Path) -> list[Any]:
    labels, table = _labels_and_inputs(folder, "a.mat", {"input": "X", "label": "label"})
    return [labels, [list(map(repr, map(float, column.to_pylist()))) for column in table.columns]]


def _read_answers(name: str) -> Read:
    def read(folder: Path) -> Any:
        from overproof.answers.files import read_all_answers

        answers, ids, names = read_all_answers(folder / name)
        return [list(names), ids.to_pylist(), answers.probs().tolist()]

    return read


def _read_store(folder: Path) -> Any:
    from overproof.answers.ask import read

    return read(folder, ids=_ids(), mmap=True).probs().tolist()


def _read_student(folder: Path) -> Any:
    from overproof.models import load_student

    return load_student(folder).probs(_table()).tolist()


def _read_run(folder: Path) -> Any:
    """What `report` and `predict` read of a run."""
    from overproof.models import load_student
    from overproof.runs.folder.result_file import read_result

    result = read_result(folder / "run")
    student = load_student(folder / "run/students/seed-0/hard")
    return [repr(result), student.probs(_table()).tolist()]


def _predict(folder: Path) -> Any:
    from overproof.data import Source
    from overproof.deployment.predict import predict
    from overproof.models import load_student

    student = folder.parent / "student"
    if not student.exists():
        student.mkdir()
        _student(student)
    done = predict(load_student(student), Source(path=str(folder / "a.csv"), id="id"), folder / "answers.csv")
    with (folder / "answers.csv").open(newline="", encoding="utf-8") as file:
        return [row["id"] for row in csv.DictReader(file)][: done.num_rows]


def _load_experiment(folder: Path) -> Any:
    from overproof.runs.experiment import load

    return json.loads(load(folder / "e.yaml").model_dump_json())


READERS = {
    "csv": Reader(_bytes("a.csv", _csv_text), _examples("a.csv", label="label", id="id"), plain_csv("label", 5)),
    "tsv": Reader(
        _bytes("a.tsv", lambda: _csv_text("\t")),
        _examples("a.tsv", label="label", id="id"),
        plain_csv("label", 5, "\t"),
    ),
    "csv.gz": Reader(
        _bytes("a.csv.gz", lambda: gzip.compress(_csv_text(), mtime=0)),
        _examples("a.csv.gz", label="label", id="id"),
        plain_csv("label", 5, unpack=gzip.decompress),
    ),
    "jsonl": Reader(
        _bytes("a.jsonl", _json_lines), _examples("a.jsonl", input="text", label="label", id="id"), json_lines_labels
    ),
    "parquet": Reader(_arrow("a.parquet"), _examples("a.parquet", label="label", id="id"), arrow_labels("a.parquet")),
    "feather": Reader(_arrow("a.feather"), _examples("a.feather", label="label", id="id"), arrow_labels("a.feather")),
    "npz": Reader(_npz, _pixels("a.npz", input="images", label="labels"), second_readers.npz),
    "npy": Reader(_npy, _pixels("a.npy", label="@labels.npy"), second_readers.npy),
    "idx": Reader(_idx, _pixels("a-idx3-ubyte", label="@labels-idx1-ubyte"), second_readers.idx),
    "mat": Reader(_mat(False), _read_mat, second_readers.mat),
    "mat, compressed": Reader(_mat(True), _read_mat, second_readers.mat),
    "pictures": Reader(_pictures, _pixels(".", label="folder"), second_readers.pictures),
    "data set": Reader(_data_set, _examples(".", input="text", label="label"), second_readers.data_set),
    "answers.csv": Reader(_bytes("a.csv", _answers_csv), _read_answers("a.csv"), second_readers.answers_csv),
    "answers.jsonl": Reader(_bytes("a.jsonl", _answers_jsonl), _read_answers("a.jsonl"), second_readers.answers_jsonl),
    "answers.parquet": Reader(_answers_parquet, _read_answers("a.parquet"), second_readers.answers_parquet),
    "predict": Reader(_bytes("a.csv", _csv_text), _predict, plain_csv("id", 5)),
    "store": Reader(_store, _read_store, own=True),
    "student": Reader(_student, _read_student, own=True, listed=True),
    "export": Reader(_export, _read_student, own=True, listed=True),
    "run": Reader(_run, _read_run, own=True, listed=True),
    "experiment": Reader(_bytes("e.yaml", _experiment), _load_experiment, second_readers.experiment),
}

# --- damage

TOKENS = (
    b"", b"0", b"-1", b"1e309", b"nan", b"inf", b"99999999999999999999", b"1,5", b"?", b"null", b"NULL", b"true", b"{}",
    b"[]", b'"', b"'", b",", b"\t", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", "ä".encode(), b"[[[[",
    b"..", b"/", b" ", b"label", b"id", b"=1+1", b"[red]", b"\x1b[31m",
)  # fmt: skip
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One to three changes: bits, bytes, spans, tokens, numbers, the end."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        place, length = draw.randrange(len(data) + 1), draw.choice((1, 1, 2, 4, 8, 32))
        before, span, after = data[:place], data[place : place + length], data[place + length :]
        kind = draw.randrange(9)
        if kind == 0 and span:
            data = before + bytes([span[0] ^ (1 << draw.randrange(8))]) + span[1:] + after
        elif kind == 1:
            data = before + draw.randbytes(len(span)) + after
        elif kind == 2:
            data = before + after
        elif kind == 3:
            data = before + span + span + after
        elif kind == 4:
            data = before + draw.randbytes(length) + span + after
        elif kind == 5:
            data = before if draw.random() < 0.5 else data[:-1]
        elif kind == 6:
            data = before + draw.choice(TOKENS) + (span if draw.random() < 0.5 else b"") + after
        elif kind == 7:
            data = before + struct.pack(draw.choice("<>") + "I", draw.choice(NUMBERS)) + data[place + 4 :]
        else:
            other = draw.randrange(len(data) + 1)
            data = before + data[other : other + length] + after
    return data


def outcome(reader: Reader, folder: Path, original: Any) -> tuple[str, str]:
    """What the reader does with a damaged folder, and in which words."""
    from overproof.errors import InputError

    try:
        found = reader.read(folder)
    except InputError as error:
        words = str(error)
        return ("refused" if words and "\n" not in words and len(words) < 1500 else "sentence"), words
    except MemoryError:
        return "traceback", "MemoryError"
    except Exception:
        return "traceback", traceback.format_exc()
    if reader.own:
        return ("read" if found == original else "silent"), "another value than the original"
    if reader.check is not None:
        try:
            expected = reader.check(folder)
        except Exception:
            return "alone", f"{found}; the other reader: {traceback.format_exc(limit=-1)}"
        if expected is None:
            return "alone", ""
        if not alike(found, expected):
            return "silent", f"{found} instead of {expected}"
    return "read", ""


def _try(name: str, seed: int, numbers: range, report: int) -> None:
    """In a process of its own: damage and read, writing a line before and after each."""
    reader = READERS[name]
    resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        clean, folder = Path(temporary) / "clean", Path(temporary) / "damaged"
        clean.mkdir()
        files = reader.write(clean)
        shutil.copytree(clean, folder)
        original = reader.read(folder)
        if reader.check is not None and not alike(original, reader.check(folder)):
            raise AssertionError(f"{original} instead of {reader.check(folder)} before any damage")
        for number in numbers:
            draw = random.Random(f"{name} {seed} {number}")
            shutil.rmtree(folder)
            shutil.copytree(clean, folder)
            file = folder / draw.choice(files)
            whole = file.read_bytes()
            changed = damaged(whole, draw)
            file.write_bytes(changed)
            os.write(report, json.dumps([number, "began", ""]).encode() + b"\n")
            signal.alarm(SECONDS)
            found, words = outcome(reader, folder, original)
            signal.alarm(0)
            if reader.listed and found == "read" and changed != whole and file.name != "manifest.json":
                found, words = "silent", f"{file.name} is not the file that its manifest lists, and was read"
            os.write(report, json.dumps([number, found, words[-2000:]]).encode() + b"\n")


def tried(name: str, seed: int, number: int, show: bool) -> Counter[str]:
    """The outcomes of one reader; a process that ends is followed by another."""
    counts, first = Counter[str](), 0
    while first < number:
        own, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(own)
            sys.stdout.flush()
            try:
                _try(name, seed, range(first, number), theirs)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(theirs)
        last = first - 1
        with os.fdopen(own) as lines:
            for line in lines:
                at, found, words = json.loads(line)
                if found == "began":
                    last = at
                    continue
                counts[found] += 1
                if show and found not in ("read", "refused", "alone"):
                    print(f"{name} {at}: {found}: {words}", file=sys.stderr)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            break
        if code > 0:
            raise RuntimeError(f"{name}: the undamaged files cannot be read")
        found = "hang" if code == -signal.SIGALRM else "crash"
        counts[found] += 1
        if show:
            print(f"{name} {last}: {found} by {signal.Signals(-code).name}", file=sys.stderr)
        first = last + 1
    return counts


def main() -> None:
    """Damage, read and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=2000, help="mutations over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=list(READERS))
    parser.add_argument("--show", action="store_true", help="print what must not be")
    options = parser.parse_args()
    names = options.only or list(READERS)
    # Imported once; nothing is computed here, so that a fork has a whole process.
    import overproof.deployment
    import overproof.models
    import overproof.runs.pipeline  # noqa: F401

    counts = {}
    for place, name in enumerate(names):
        share = options.number // len(names) + (place < options.number % len(names))
        counts[name] = dict(tried(name, options.seed, share, options.show))
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
