"""An ONNX file as teacher: images, tables, texts or token ids in, probabilities or logits out."""

import json
import warnings
from collections.abc import Mapping, Sequence
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
from overproof.teachers.brought.constant_answers import check_range
from overproof.teachers.brought.cut_texts import cut_texts
from overproof.teachers.brought.decision import Decision, check_decision
from overproof.teachers.brought.onnx_external import external_files, outside_files
from overproof.teachers.brought.onnx_feed import Feed
from overproof.teachers.brought.onnx_graph import columns_by_class, read_graph
from overproof.teachers.brought.onnx_inputs import Pixels, reader_for
from overproof.teachers.brought.onnx_scores import ScoreReading, Scores, reading
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import check_named, checked_options, column_order, hash_of_files

FIRST = 64
"""So many examples are run to see what the scores are."""

READING = 3
"""The number of the rules by which files are read: raised where the same options give other answers."""

METADATA = ("class_names", "classes")
"""Keys of a file's metadata that may hold the names of its classes, as a JSON list."""


class OnnxOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How an ONNX file is applied.

    Args:
        output: The output that answers, by name; by default the one called like probabilities, else like logits, else
            the only one of numbers, or one output for each class.
        scores: What it gives: `probabilities`, `logits` (a softmax follows; a sigmoid for one column), `sigmoid` (one
            probability for each class, which are divided by their sum) or `margins` (z and -z of two classes, or one
            column z). `auto` decides by the last operator of the graph and by the rows, and asks where these do not.
        decision: Where the file also gives the class that it predicts, and that is not the one of the largest score
            (a tuned threshold): `predict` or `probabilities` says which is the answer.
        columns: For a table read as one matrix: its columns in order; by default those of the data.
        pixels: The range of an image's pixels as floats: `unit` is 0 to 1, `bytes` is 0 to 255. `auto` is `bytes` where
            the graph itself first scales or shifts them, as Keras' Rescaling does, else `unit`.
        mean: For images: what is subtracted of each channel after pixels are scaled to [0, 1]; none by default.
        std: And what it is divided by.
        max_tokens: For token ids: a text is cut after that many; by default where the model's own files say.
        batch_size: Examples at a time.
    """

    output: str = ""
    scores: Scores = "auto"
    decision: Decision = ""
    columns: tuple[str, ...] = ()
    pixels: Literal["auto", "unit", "bytes"] = "auto"
    mean: tuple[float, ...] = ()
    std: tuple[pydantic.PositiveFloat, ...] = ()
    max_tokens: int | None = pydantic.Field(None, ge=1)
    batch_size: int = pydantic.Field(64, ge=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxTeacher:
    """A classifier in an ONNX file, its classes matched to a run's by name.

    Args:
        kind: The kind of examples it reads.
        fingerprint: The hash of the file and how it is applied.
        former: The same with the file's name, as earlier versions had it.
        order: [K], which of its columns each of the run's classes is.
        names: K, its own, in the order of its columns.
        scorer: Some examples to their scores.
        reading: What these are.
        decision: As in `OnnxOptions`.
        batch_size: Examples at a time.
        half: The type of its weights, where it is of two bytes.
    """

    kind: Kind
    fingerprint: str
    former: str = ""
    order: Int[Tensor, "K"]
    names: tuple[str, ...]
    scorer: "_Scorer" = field(repr=False)
    reading: ScoreReading
    decision: Decision
    batch_size: int
    half: str = ""

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        probs = torch.empty(len(examples), len(self.names))
        for rows in self.scorer.feed.batches(examples, self.batch_size):
            some = examples.take(rows)
            scores, predicted = self.scorer(some)
            own = self.reading.probs(scores, some)
            if predicted is not None:
                column = check_decision(self.decision, predicted, own.numpy(), self.names, self.reading.who, some)
                if column is not None:
                    own = torch.nn.functional.one_hot(torch.from_numpy(column), len(self.names)).float()
            probs[rows] = own.float()
        return probs[:, self.order]

    def remarks(self, examples: Examples) -> list[str]:
        """How many texts are cut, and a graph of less precision than float32."""
        feed, said = self.scorer.feed, list[str]()
        if self.half:
            said.append(
                f"The {self.reading.who} has weights in {self.half}; with those of float32, from which it was made, "
                f"probabilities differ in the third digit."
            )
        if feed.whole_length is None:
            return said
        return said + cut_texts(self.reading.who, feed.whole_length, feed.max_tokens, examples)


def open_onnx(
    path: Path,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    classes: Sequence[str],
    examples: Examples,
) -> OnnxTeacher:
    """The teacher in an ONNX file; some examples are run to see the form of its output.

    An image is passed as [B, C, H, W] or [B, H, W, C], in [0, 1] where the input is of floats (0 to 255 where the graph
    scales them itself) and as bytes where it is of uint8, resized where the file fixes another size, grey repeated
    where it needs three channels. A table is passed as one matrix, or column by column where the inputs have the names
    of columns. A text is passed as a string, or as token ids by the `tokenizer.json` beside the file. One column of
    scores is that of the second of two classes.

    Args:
        path: The file.
        options: `OnnxOptions`.
        class_names: The run's, in order.
        classes: The names of its outputs, in order, where its metadata does not name them.
        examples: Some of the examples that it will answer, at least one.

    Raises:
        InputError: onnxruntime or onnx is not installed or cannot open it; inputs or outputs that do not suit the
            examples or the classes; scores that may mean several things; an answer that is the same for all images.
    """
    who = f"teacher ({path})"
    runtime, chosen = _runtime(who), checked_options(OnnxOptions, options, who)
    given = {**chosen.model_dump(mode="json", exclude_defaults=True), "reading": READING}
    made = json.dumps({"onnx": given, "classes": list(classes)}, sort_keys=True)
    files = [each for each in _files(path) if each.is_file() or each == path]
    made = f"{made} onnxruntime={runtime.__version__} file="
    hashes = [hash_of_files(files, "model.onnx"), hash_of_files(files)]
    session = _session(runtime, path, who)
    graph, inputs = read_graph(path, who), session.get_inputs()
    by_class = {} if chosen.output else columns_by_class(session.get_outputs())
    outputs = tuple(by_class) or (_output(session.get_outputs(), chosen.output, who),)
    pixels: Pixels = "unit"
    if examples.kind == "image" and not (chosen.mean or chosen.std):
        automatic = chosen.pixels == "auto" and graph.expects_bytes(inputs[0].name)
        pixels = "bytes" if automatic or chosen.pixels == "bytes" else "unit"
    first = examples.take(torch.arange(min(FIRST, len(examples))))

    def scorer_of(range_of_pixels: Pixels) -> _Scorer:
        return _Scorer(
            session=session,
            outputs=outputs,
            predicted=_predicted(session.get_outputs()),
            feed=reader_for(inputs, chosen, examples, path, range_of_pixels),
            who=who,
        )

    scorer = scorer_of(pixels)
    rows = scorer.scores(first, chosen.batch_size)
    width = max(rows.shape[1], 2)
    names = tuple(classes) or tuple(by_class.values()) or _named(session, who) or tuple(map(str, scorer.keys))
    if not names:
        raise InputError(
            f"{who} does not name its {width} classes; give 'teacher.classes', their names in the order of its outputs."
        )
    check_named(width, names, who)
    ending = "unknown" if by_class else graph.ending(outputs[0])
    meaning = reading(chosen.scores, rows, ending, who)
    if examples.kind == "image":
        check_range(
            lambda each: meaning.probs(scorer_of(each).scores(first, chosen.batch_size), first),
            pixels,
            chosen.pixels == "auto" and inputs[0].type != "tensor(uint8)",
            who,
            first,
        )
    return OnnxTeacher(
        kind=examples.kind,
        fingerprint=made + hashes[0],
        former=made + hashes[1],
        order=column_order(class_names, names, who),
        names=names,
        scorer=scorer,
        reading=meaning,
        decision=chosen.decision,
        batch_size=scorer.fixed or chosen.batch_size,
        half=graph.half,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scorer:
    """Some examples to their scores [n, columns], as the file gives them.

    Args:
        session: Of onnxruntime.
        outputs: The outputs to read: one, or one for each class.
        predicted: The output of the predicted class; "" where there is none.
        feed: Examples to the inputs of the session.
        who: What to call the teacher in errors.
        keys: The names of the columns, where the output gives a dictionary for each example; known after the first.
    """

    session: Any
    outputs: tuple[str, ...]
    predicted: str
    feed: Feed
    who: str
    keys: list[Any] = field(default_factory=list)

    @property
    def fixed(self) -> int:
        """The number of examples in a batch, where the file fixes it; else 0."""
        declared = self.session.get_inputs()[0].shape[0]
        return declared if isinstance(declared, int) and declared > 0 else 0

    def __call__(self, some: Examples) -> tuple[np.ndarray, np.ndarray | None]:
        # A batch of fixed size is filled up with its last example.
        filled = some.take(torch.arange(max(len(some), self.fixed)).clamp(max=len(some) - 1)) if self.fixed else some
        found = self._run(filled)
        columns = [self._values(each[: len(some)], len(some)) for each in found[: len(self.outputs)]]
        return np.hstack(columns), np.asarray(found[-1][: len(some)]) if self.predicted else None

    def scores(self, some: Examples, batch_size: int) -> np.ndarray:
        """Those of all examples, in batches."""
        batches = list(self.feed.batches(some, self.fixed or batch_size))
        found = np.concatenate([self(some.take(rows))[0] for rows in batches])
        return found[np.argsort(torch.cat(batches).numpy())]

    def _values(self, given: Any, count: int) -> np.ndarray:
        if isinstance(given, list) and given and isinstance(given[0], dict):
            # scikit-learn's converters give a dictionary for each example.
            self.keys[:] = self.keys or sorted(given[0])
            given = [[row[key] for key in self.keys] for row in given]
        values = np.asarray(given, np.float64)
        if len(values) != count or values.ndim not in (1, 2):
            raise InputError(
                f"{self.who} gives an array of shape {values.shape} for {count} examples; a row each is needed."
            )
        return values.reshape(count, -1)

    def _run(self, some: Examples) -> list[Any]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found: list[Any] = self.session.run(
                    [*self.outputs, *([self.predicted] if self.predicted else [])], self.feed.of(some)
                )
                return found
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{self.who} cannot answer {some.origin}: {reason(error)}.") from None


def _predicted(outputs: Sequence[Any]) -> str:
    """The output of the predicted class, as scikit-learn's converters write it; "" where there is none."""
    found = [each.name for each in outputs if each.type in ("tensor(int64)", "tensor(string)") and len(each.shape) == 1]
    return found[0] if len(found) == 1 else ""


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
