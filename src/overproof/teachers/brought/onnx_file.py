"""An ONNX file as teacher: images, tables, texts or token ids in, probabilities or logits out."""

import functools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydantic
import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.teachers.brought.onnx_external import external_files, outside_files
from overproof.teachers.brought.onnx_inputs import Feed, reader_for
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import check_named, checked_options, column_order, hash_of_files

METADATA = ("class_names", "classes")
"""Keys of a file's metadata that may hold the names of its classes, as a JSON list."""


class OnnxOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How an ONNX file is applied.

    Args:
        output: The output that answers, by name; by default the one called like probabilities, else like logits, else
            the only one of numbers.
        scores: What it gives: `probabilities` or `logits`; `auto` takes rows that are distributions for the first.
        columns: For a table read as one matrix: its columns in order; by default those of the data.
        mean: For images: what is subtracted of each channel after pixels are scaled to [0, 1]; none by default.
        std: And what it is divided by.
        max_tokens: For token ids: a text is cut after that many.
        batch_size: Examples at a time.
    """

    output: str = ""
    scores: Literal["auto", "probabilities", "logits"] = "auto"
    columns: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[pydantic.PositiveFloat, ...] = ()
    max_tokens: int = pydantic.Field(128, ge=1)
    batch_size: int = pydantic.Field(64, ge=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxTeacher:
    """A classifier in an ONNX file, its classes matched to a run's by name.

    Args:
        kind: The kind of examples it reads.
        fingerprint: The hash of the file and how it is applied.
        former: The same with the file's name, as earlier versions had it.
        order: [K], which of its columns each of the run's classes is.
        scores: Some examples to their scores [n, K], in its own order.
        logits: Whether they are logits.
        batch_size: Examples at a time.
    """

    kind: Kind
    fingerprint: str
    former: str = ""
    order: Int[Tensor, "K"]
    scores: Callable[[Examples], np.ndarray] = field(repr=False)
    logits: bool
    batch_size: int

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        parts = [
            torch.from_numpy(self.scores(examples.take(rows)))
            for rows in torch.arange(len(examples)).split(self.batch_size)
        ]
        scores = torch.cat(parts).float()
        return (scores.softmax(dim=1) if self.logits else scores)[:, self.order]


def open_onnx(
    path: Path,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    classes: Sequence[str],
    examples: Examples,
) -> OnnxTeacher:
    """The teacher in an ONNX file; two examples are run to see the form of its output.

    An image is passed as [B, C, H, W] or [B, H, W, C], in [0, 1] where the input is of floats and as bytes where it is
    of uint8, resized where the file fixes another size, grey repeated where it needs three channels. A table is passed
    as one matrix, or column by column where the inputs have the names of columns. A text is passed as a string, or as
    token ids by the `tokenizer.json` beside the file. One column of scores is that of the second of two classes.

    Args:
        path: The file.
        options: `OnnxOptions`.
        class_names: The run's, in order.
        classes: The names of its outputs, in order, where its metadata does not name them.
        examples: Some of the examples that it will answer, at least one.

    Raises:
        InputError: onnxruntime is not installed or cannot open it; inputs or outputs that do not suit the examples or
            the classes.
    """
    who = f"teacher ({path})"
    runtime, chosen = _runtime(who), checked_options(OnnxOptions, options, who)
    made = json.dumps({"onnx": chosen.model_dump(mode="json"), "classes": list(classes)}, sort_keys=True)
    files = [each for each in _files(path) if each.is_file() or each == path]
    made = f"{made} onnxruntime={runtime.__version__} file="
    hashes = [hash_of_files(files, "model.onnx"), hash_of_files(files)]
    session = _session(runtime, path, who)
    scorer = _Scorer(
        session=session,
        output=_output(session.get_outputs(), chosen.output, who),
        feed=reader_for(session.get_inputs(), chosen, examples, path),
        who=who,
    )
    first = scorer(examples.take(torch.arange(min(scorer.fixed or 2, len(examples)))))
    width = max(first.shape[1], 2)
    names = tuple(classes) or _named(session, who) or tuple(map(str, scorer.keys))
    if not names:
        raise InputError(
            f"{who} does not name its {width} classes; give 'teacher.classes', their names in the order of its outputs."
        )
    check_named(width, names, who)
    logits = chosen.scores == "logits" or (chosen.scores == "auto" and not _is_distribution(first))
    return OnnxTeacher(
        kind=examples.kind,
        fingerprint=made + hashes[0],
        former=made + hashes[1],
        order=column_order(class_names, names, who),
        scores=functools.partial(_of_both_classes, scorer, logits) if first.shape[1] == 1 else scorer,
        logits=logits,
        batch_size=scorer.fixed or chosen.batch_size,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scorer:
    """Some examples to their scores [n, columns], as the file gives them.

    Args:
        session: Of onnxruntime.
        output: The output to read.
        feed: Examples to the inputs of the session.
        who: What to call the teacher in errors.
        keys: The names of the columns, where the output gives a dictionary for each example; known after the first.
    """

    session: Any
    output: str
    feed: Feed
    who: str
    keys: list[Any] = field(default_factory=list)

    @property
    def fixed(self) -> int:
        """The number of examples in a batch, where the file fixes it; else 0."""
        declared = self.session.get_inputs()[0].shape[0]
        return declared if isinstance(declared, int) and declared > 0 else 0

    def __call__(self, some: Examples) -> np.ndarray:
        # A batch of fixed size is filled up with its last example.
        filled = some.take(torch.arange(max(len(some), self.fixed)).clamp(max=len(some) - 1)) if self.fixed else some
        given = self._run(filled)[: len(some)]
        if isinstance(given, list) and given and isinstance(given[0], dict):
            # scikit-learn's converters give a dictionary for each example.
            self.keys[:] = self.keys or sorted(given[0])
            given = [[row[key] for key in self.keys] for row in given]
        values = np.asarray(given, np.float64)
        if len(values) != len(some) or values.ndim not in (1, 2):
            raise InputError(
                f"{self.who} gives an array of shape {values.shape} for {len(some)} examples; a row each is needed."
            )
        return values.reshape(len(values), -1)

    def _run(self, some: Examples) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.session.run([self.output], self.feed(some))[0]
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{self.who} cannot answer {some.origin}: {reason(error)}.") from None


def _of_both_classes(scorer: _Scorer, logits: bool, some: Examples) -> np.ndarray:
    """The scores of two classes, of which the file gives that of the second."""
    values = scorer(some)
    return np.hstack([np.zeros_like(values) if logits else 1 - values, values])


def _files(path: Path) -> list[Path]:
    """The file, and what may be beside it: weights apart, under the names that the file refers to, and a tokenizer."""
    external, data = external_files(path), Path(f"{path}.data")
    usual = [path, *([data] if data in external else []), path.parent / "tokenizer.json"]
    return [*usual, *(each for each in external if each not in usual)]


def _runtime(who: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            f"{who} needs the package onnxruntime; install it with: pip install 'overproof[onnx]'."
        ) from None
    return onnxruntime


def _session(runtime: Any, path: Path, who: str) -> Any:
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        if outside := outside_files(path):
            raise InputError(
                f"{who} keeps weights in {listed(outside)}, outside its folder, where nothing is read; save it with "
                f"its weights beside it: onnx.save(onnx.load({str(path)!r}), 'model.onnx', save_as_external_data=True)."
            ) from None
        if missing := [each.name for each in external_files(path) if not each.is_file()]:
            raise InputError(
                f"{who} keeps weights in {listed(missing)}, which {path.parent} does not hold; put the file there "
                f"under this name."
            ) from None
        raise InputError(f"{who} cannot be opened by onnxruntime: {reason(error)}.") from None


def _output(outputs: Sequence[Any], wanted: str, who: str) -> str:
    """The output that answers."""
    names = [each.name for each in outputs]
    if wanted:
        if wanted not in names:
            raise InputError(f"{who} has no output {wanted!r}; it has {listed(names)}.")
        return wanted
    numbers = [each.name for each in outputs if "float" in each.type or "double" in each.type]
    for word in ("prob", "logit", ""):
        found = [name for name in numbers if word in name.lower()]
        if len(found) == 1:
            return found[0]
    raise InputError(
        f"{who} has {len(numbers)} outputs of numbers among {listed(names)}; name the one that answers in "
        f"'teacher.options.output'."
    )


def _named(session: Any, who: str) -> tuple[str, ...]:
    """The classes that the file's metadata name."""
    metadata = session.get_modelmeta().custom_metadata_map
    for key in METADATA:
        if key in metadata:
            try:
                names = json.loads(metadata[key])
            except ValueError:
                names = None
            if not isinstance(names, list):
                raise InputError(f"{who} has metadata {key!r} that are no JSON list; give 'teacher.classes'.")
            return tuple(map(str, names))
    return ()


def _is_distribution(rows: np.ndarray) -> bool:
    inside = (rows >= 0).all() and (rows <= 1 + 1e-3).all()
    return bool(inside and (rows.shape[1] == 1 or (np.abs(rows.sum(axis=1) - 1) <= 1e-3).all()))


class OnnxFile(BroughtKind):
    """A file `….onnx`."""

    def matches(self, named: Named) -> bool:
        """By the end of its name."""
        return named.model.endswith(".onnx") and not named.weights

    def files(self, named: Named) -> list[Path]:
        """With what is beside it: weights too large for one file, and a tokenizer."""
        return _files(Path(named.model))

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> OnnxTeacher:
        """As `open_onnx`."""
        return open_onnx(Path(named.model), named.options, class_names, classes=named.classes, examples=examples)
