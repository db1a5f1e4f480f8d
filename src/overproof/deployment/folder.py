"""Export a student to a folder that can be used without overproof: ONNX graph, weights, model card, text scorer."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from overproof.data import Examples
from overproof.data.examples import build as examples_of
from overproof.deployment.card import CardFacts, card
from overproof.deployment.graph import GraphInput, graph_inputs, graph_logits, onnx_bytes
from overproof.deployment.int8 import Int8Cost, int8_cost, quantised
from overproof.deployment.provenance import Provenance, chosen_student, provenance_of, student_folder
from overproof.deployment.web import WEB, WEB_FILES, check_web, runtime_files, web_files
from overproof.errors import InputError
from overproof.models import NgramEncoder, Student, TableEncoder, TokenEncoder, body_of, load_student
from overproof.models.date_column import DateColumn
from overproof.models.saved.data_columns import DataColumns, columns_of, with_columns
from overproof.models.saved.seen_rows import SEEN, SeenRows, listed_examples, seen_rows
from overproof.models.student import ABOUT
from overproof.models.tables import EmptyColumn, NumberColumn, TableColumn
from overproof.runs.experiment import dump
from overproof.runs.folder.resume import holds_run
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, described, manifest_of, write_folder
from overproof.storage.one_writer import LOCK, writing
from overproof.version import __version__

TOLERANCE = 1e-4
"""Largest allowed difference between a probability of onnxruntime and of torch."""
NUM_COMPARED = 1000
"""Number of examples on which they are compared before anything is written."""

_GRAPH, _SMALL, _CARD, _EXPERIMENT = "model.onnx", "model.int8.onnx", "README.md", "experiment.yaml"
_SCORER, _NGRAMS = "score.py", "ngrams.py"
_TOKENIZER = "tokenizer.json"
_STUDENT = ("student.safetensors", "student.json")
_OURS = {_GRAPH, _SMALL, _CARD, _SCORER, _NGRAMS, _TOKENIZER, _EXPERIMENT, "estimator.skops", SEEN, MANIFEST, *_STUDENT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """The files of an export.

    Args:
        folder: The folder they are in.
        files: Their names; of a page with its folder, as `web/index.html`.
        inputs: The inputs of the graph.
        cost: The change in accuracy by int8 weights; None without `int8` or without labelled examples.
        why: Which student of a run was chosen, its accuracy, and why; empty where its row was named.
    """

    folder: Path
    files: tuple[str, ...]
    inputs: tuple[GraphInput, ...]
    cost: Int8Cost | None
    why: str = ""


def export(
    source: Student | Path | str,
    folder: Path | str,
    *,
    method: str = "",
    seed: int | None = None,
    int8: bool = False,
    web: bool = False,
    runtime: Path | str | None = None,
    allow_import: Iterable[str] | str = (),
) -> Exported:
    """Write a student as ONNX, safetensors and a model card, so that it runs without overproof.

    `model.onnx` (and with `int8` a `model.int8.onnx`), `student.safetensors` with `student.json`, `README.md`, the
    `experiment.yaml` of its run, for n-gram students `score.py` and `ngrams.py`, and last `manifest.json`. The same
    student gives the same bytes.

    Args:
        source: A student, its folder, or the folder of a run.
        folder: Output folder, created if missing; an export of the same student in it is replaced, that of
            another student and other files raise an error.
        method: For a run, the row of the table; by default the best one that beats plain distillation on the test, or
            without any the best plain row.
        seed: For a run, the seed; by default its first, so that none is chosen by the test.
        int8: Also write a graph with int8 weights; the card reports the change in accuracy on the run's test set.
        web: Also write the folder `web`, a static page that classifies a typed text in the browser; for `ngram`.
        runtime: The folder of the npm package onnxruntime-web, three of whose files go into `web`; without it they are
            to be copied there.
        allow_import: Import paths `package.module:name` in the student's folder whose code may be run.

    Example:
        >>> import tempfile
        >>> from overproof.data import from_arrays
        >>> from overproof.models import build
        >>> student = build("linear", [from_arrays(np.eye(3))], class_names=["no", "yes"], seed=0)
        >>> with tempfile.TemporaryDirectory() as place:
        ...     export(student, place).files
        ('model.onnx', 'student.safetensors', 'student.json', 'README.md', 'manifest.json')

    Raises:
        InputError: No such student; the folder holds something else, or the export of another student; the packages of
            the extra `onnx` are missing; the student cannot be written as a graph, or the outputs of onnxruntime differ
            from those of torch; the student has no page, or `runtime` is another folder.
    """
    folder = Path(folder)
    if runtime is not None and not web:
        raise InputError("--runtime is for the page of --web, which is not given.")
    files = None if runtime is None else runtime_files(Path(runtime))
    with writing(folder):
        return _exported(source, folder, method, seed, int8, allow_import, (files or {}) if web else None)


def _exported(
    source: Student | Path | str,
    folder: Path,
    method: str,
    seed: int | None,
    int8: bool,
    allow_import: Iterable[str] | str,
    runtime: Mapping[str, bytes] | None,
) -> Exported:
    _check_folder(folder)
    provenance: Provenance | None = None
    columns, why = DataColumns(), ""
    if isinstance(source, Student):
        student = source
    else:
        run = Path(source)
        if not method and holds_run(run):
            chosen = chosen_student(run, seed)
            method, why = chosen.row, chosen.why
        place = student_folder(source, method, seed)
        student, provenance = load_student(place, allow_import=allow_import), provenance_of(place)
        columns = columns_of(place)
    test = None if provenance is None else provenance.test
    # Labelled rows that were cross-validated to choose it are among those that it was trained on.
    if why and provenance is not None and provenance.experiment.data.has_test:
        student = replace(student, seen=with_test(student, test))
    is_estimator = body_of(student.module) is not None
    if int8 and is_estimator:
        raise InputError(f"Student {student.spec.name!r} has no weights to quantise; leave out int8.")
    if runtime is not None:
        check_web(student)
    own = with_columns(student.files(), columns)
    _check_same_student(folder, own)
    graph = onnx_bytes(student)
    _compare(graph, student, test)
    contents = {_GRAPH: graph}
    cost = None
    if int8:
        contents[_SMALL] = quantised(graph)
        cost = None if test is None else int8_cost(graph, contents[_SMALL], student, test)
    if isinstance(student.encoder, NgramEncoder):
        scorer = (resources.files("overproof.deployment") / _SCORER).read_text()
        contents[_SCORER] = scorer.replace("from overproof.models.ngram_hashes", "from ngrams").encode()
        contents[_NGRAMS] = (resources.files("overproof.models") / "ngram_hashes.py").read_bytes()
    page = {} if runtime is None else web_files(student, graph, runtime)
    if isinstance(student.encoder, TokenEncoder):
        contents[_TOKENIZER] = student.encoder.tokenizer.encode()
    if provenance is not None:
        contents[_EXPERIMENT] = dump(provenance.experiment).encode()
    atomic.remove_leftovers(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    for stale in _OURS - {*contents, *own, _CARD}:
        (folder / stale).unlink(missing_ok=True)
    _remove_page(folder / WEB, keep=set(page))
    sizes = {name: len(data) for name, data in (*contents.items(), *own.items())}
    facts = CardFacts(
        student=student, inputs=graph_inputs(student), provenance=provenance, sizes=sizes, int8=int8, cost=cost
    )
    files = {**contents, **own, _CARD: card(facts).encode()}
    described_export = {
        "overproof": __version__,
        "student": {"name": student.spec.name, "options": dict(student.spec.options)},
        "class_names": list(student.class_names),
        "inputs": [asdict(each) for each in facts.inputs],
        "outputs": ["logits", "probs"],
        "run": None if provenance is None else {"method": provenance.row, "seed": provenance.seed},
        "int8": None if cost is None else asdict(cost),
    }
    for name, data in files.items():
        atomic.write_bytes(folder / name, data)
    if page:
        write_folder(folder / WEB, page, kind="export")
    atomic.write_json(folder / MANIFEST, manifest_of(files, kind="export", more=described_export))
    names = (*files, *(f"{WEB}/{name}" for name in (*page, MANIFEST) if page), MANIFEST)
    return Exported(folder=folder, files=names, inputs=facts.inputs, cost=cost, why=why)


def with_test(student: Student, test: Examples | None) -> SeenRows | None:
    """The rows of a student whose row of the table was chosen on the test: the rows of the test too.

    Args:
        student: As saved; without a list of rows it keeps none.
        test: None where it cannot be read any more; it is then among what is not known.
    """
    if student.seen is None:
        return None
    if test is None:
        return seen_rows(student.seen.lists, (*student.seen.unknown, "the test, on which it was chosen"))
    listed = listed_examples("test", student.encoder, [test])
    return seen_rows([*student.seen.lists, listed], student.seen.unknown)


def _check_folder(folder: Path) -> None:
    atomic.check_output(folder, folder=True)
    names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    if (folder / WEB).is_dir() and _GRAPH in names:
        names.remove(WEB)
        names += [f"{WEB}/{each.name}" for each in sorted((folder / WEB).iterdir()) if each.name not in WEB_FILES]
    # Leftovers of an interrupted write are removed below.
    foreign = [name for name in names if name not in _OURS and not name.endswith((".partial", LOCK))]
    if foreign:
        raise InputError(
            f"{str(folder)!r} holds {foreign[0]!r}, which is not part of an export; choose an empty or new folder."
        )
    if set(names) & set(_STUDENT) and _GRAPH not in names:
        raise InputError(f"{str(folder)!r} holds a student; choose another folder for the export.")


def _check_same_student(folder: Path, own: Mapping[str, bytes]) -> None:
    """Check that an export in the folder is of this student; one that is cut short or damaged beyond that is no matter.

    Raises:
        InputError: It is of another student.
    """
    manifest = _json(folder / MANIFEST)
    listed = manifest.get("files")
    if isinstance(listed, dict) and all(listed.get(name) == described(own[name]) for name in _STUDENT):
        return
    there, about = _json(folder / ABOUT), json.loads(own[ABOUT])
    # Columns of the data and what else may be added to that file make no other student.
    if not there or all(there.get(name) == about[name] for name in ("student", "encoder", "class_names", "weights")):
        return
    run = manifest.get("run")
    which = f" ({run.get('method')}, seed {run.get('seed')})" if isinstance(run, dict) else ""
    raise InputError(
        f"{str(folder)!r} holds the export of another student{which}, which this one would replace; choose another "
        f"folder, or delete that one first."
    )


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _remove_page(page: Path, *, keep: set[str]) -> None:
    """Remove the page of an earlier export but for the files that are written again."""
    if page.is_dir():
        atomic.remove_leftovers(page)
        for stale in WEB_FILES - keep:
            (page / stale).unlink(missing_ok=True)
        if not keep:
            page.rmdir()


def _compare(graph: bytes, student: Student, test: Examples | None) -> None:
    """Check that torch and onnxruntime give the same probabilities, in a batch of one and in large batches.

    Raises:
        InputError: They differ by more than `TOLERANCE`.
    """
    examples = _made_up(student) if test is None else test.take(torch.arange(min(len(test), NUM_COMPARED)))
    wanted = student.probs(examples)
    for rows, batch_size in ((torch.arange(len(examples)), 256), (torch.arange(1), 1)):
        (found,) = graph_logits([graph], student, examples.take(rows), batch_size=batch_size)
        furthest = (found.softmax(dim=1) - wanted[rows]).abs().max().item()
        if not furthest <= TOLERANCE:
            raise InputError(
                f"The ONNX graph of student {student.spec.name!r} differs from torch by {furthest:.2g} in a "
                f"probability, where at most {TOLERANCE:g} is allowed; nothing was written."
            )


def _made_up(student: Student) -> Examples:
    """A few synthetic examples of the student's kind, where no real ones are available."""
    encoder, draw = student.encoder, np.random.default_rng(0)
    inputs: torch.Tensor | pa.Array | pa.Table
    if student.kind == "image":
        inputs = torch.from_numpy(draw.integers(0, 256, (5, *encoder.input_shape), dtype=np.uint8))
    elif student.kind == "text":
        words = ["", "so good !", "Not what I had hoped for, at all.", "日本語 naïve \ufb01ne", "a" * 300]
        inputs = pa.array(words, pa.large_string())
    elif isinstance(encoder, TableEncoder):
        inputs = pa.table({column.name: _values(column) for column in encoder.columns})
    else:
        names = encoder.config().get("columns") or [f"f{index}" for index in range(encoder.input_shape[0])]
        inputs = pa.table({name: draw.normal(size=5) for name in names})
    label = torch.full((len(inputs),), -1)
    return examples_of(inputs=inputs, label=label, class_names=(), keys=None, origin="made-up examples")


def _values(column: TableColumn) -> pa.Array:
    """Five values of a column, one missing: numbers around its mean, or its categories and an unknown one."""
    if isinstance(column, NumberColumn):
        return pa.array([column.mean + far * column.std for far in (-1.0, 0.0, 0.5, 3.0)] + [None])
    if isinstance(column, DateColumn):
        times = [int(column.mean + far * column.std) for far in (-1.0, 0.0, 0.5, 3.0)]
        return pa.array([*times, None], pa.timestamp("us"))
    if isinstance(column, EmptyColumn):
        return pa.nulls(5)
    if column.family == "booleans":
        return pa.array([True, False, None, True, False])
    known = (*column.categories, "?", "??")
    return pa.array([*known[:2], known[-1], known[len(known) // 2], None], pa.large_string())
