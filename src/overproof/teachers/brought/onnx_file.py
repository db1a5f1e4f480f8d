"""An ONNX file as teacher: images, tables, texts or token ids in, probabilities or logits out."""

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
from overproof.teachers.brought.onnx_inputs import Feed, reader_for
from overproof.teachers.scorers import check_named, checked_options, column_order, hash_of_files

METADATA = ("class_names", "classes")
"""Where a file may say what its classes are called: a JSON list under one of these keys of its metadata."""


class OnnxOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How an ONNX file is asked.

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
        fingerprint: The hash of the file and how it is asked.
        order: [K], which of its columns each of the run's classes is.
        scores: Asks it: some examples to their scores [n, K], in its own order.
        logits: Whether they are logits.
        batch_size: Examples at a time.
    """

    kind: Kind
    fingerprint: str
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
    """The teacher in an ONNX file, asked about two examples to see what it gives.

    An image goes in as [B, C, H, W] or [B, H, W, C], in [0, 1] where the input is of floats and as bytes where it is of
    uint8, resized where the file fixes another size, grey repeated where it wants three channels. A table goes in as
    one matrix, or column by column where the inputs are called like columns. A text goes in as a string, or as token
    ids by the `tokenizer.json` beside the file. One column of scores stands for the second of two classes.

    Args:
        path: The file.
        options: `OnnxOptions`.
        class_names: The run's, in order.
        classes: The names of its outputs, in order, where its metadata does not name them.
        examples: Some of what it will be asked about, at least one.

    Raises:
        InputError: onnxruntime is not installed or cannot open it; inputs or outputs that do not suit the examples or
            the classes.
    """
    who = f"teacher ({path})"
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            f"{who} needs the package onnxruntime; install it with: pip install 'overproof[onnx]'."
        ) from None
    chosen = checked_options(OnnxOptions, options, who)
    files = [
        each for each in (path, Path(f"{path}.data"), path.parent / "tokenizer.json") if each.is_file() or each == path
    ]
    made = json.dumps({"onnx": chosen.model_dump(mode="json"), "classes": list(classes)}, sort_keys=True)
    fingerprint = f"{made} onnxruntime={onnxruntime.__version__} file={hash_of_files(files)}"
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InputError(f"{who} cannot be opened by onnxruntime: {reason(error)}.") from None
    feed = reader_for(session.get_inputs(), chosen, examples, path)
    output = _output(session.get_outputs(), chosen.output, who)
    keys: list[Any] = []

    declared = session.get_inputs()[0].shape[0]
    fixed = declared if isinstance(declared, int) and declared > 0 else 0

    def scores(some: Examples) -> np.ndarray:
        # Of a batch that the file fixes, the places that are left over are asked about the last example.
        whole = some.take(torch.arange(max(len(some), fixed)).clamp(max=len(some) - 1)) if fixed else some
        given = _asked(session, output, feed, whole, who)[: len(some)]
        if isinstance(given, list) and given and isinstance(given[0], dict):
            # scikit-learn's converters give one dictionary an example.
            keys[:] = keys or sorted(given[0])
            given = [[row[key] for key in keys] for row in given]
        values = np.asarray(given, np.float64)
        if len(values) != len(some) or values.ndim not in (1, 2):
            raise InputError(
                f"{who} gives an array of shape {values.shape} for {len(some)} examples; a row each is needed."
            )
        return values.reshape(len(values), -1)

    first = scores(examples.take(torch.arange(min(fixed or 2, len(examples)))))
    names = tuple(classes) or _named(session, who) or tuple(map(str, keys))
    width = max(first.shape[1], 2)
    if not names:
        raise InputError(
            f"{who} does not name its {width} classes; give 'teacher.classes', their names in the order of its outputs."
        )
    check_named(width, names, who)
    binary = first.shape[1] == 1
    logits = chosen.scores == "logits" or (chosen.scores == "auto" and not _is_distribution(first))

    def of_every_class(some: Examples) -> np.ndarray:
        values = scores(some)
        if not binary:
            return values
        return np.hstack([np.zeros_like(values) if logits else 1 - values, values])

    return OnnxTeacher(
        kind=examples.kind,
        fingerprint=fingerprint,
        order=column_order(class_names, names, who),
        scores=of_every_class,
        logits=logits,
        batch_size=fixed or chosen.batch_size,
    )


def _asked(session: Any, output: str, feed: Feed, some: Examples, who: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return session.run([output], feed(some))[0]
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{who} cannot answer {some.origin}: {reason(error)}.") from None


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
