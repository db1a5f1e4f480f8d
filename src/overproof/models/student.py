"""The class `Student` (module, encoder and class names), and how one is built and saved."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Bool, Float32
from numpy.typing import NDArray
from torch import Tensor, nn

from overproof.data import Examples, Kind, from_arrays
from overproof.data.frames import is_frame, table_of_frame
from overproof.data.labels import array_labels
from overproof.data.wording import at_row, listed
from overproof.errors import InputError, NotFiniteError
from overproof.models.encoders import Encoder, ImageEncoder, NgramEncoder, PlainTable
from overproof.models.estimator import body_of
from overproof.models.importing import allowed, allowing, as_paths, is_import_path
from overproof.models.inputs import Dense, Inputs, Ragged
from overproof.models.layers import UnitRange
from overproof.models.ngram_bag import as_read
from overproof.models.saved.seen_rows import NO_LIST, SEEN, SeenRows, rows_of
from overproof.models.tables import TableEncoder, with_columns_of
from overproof.models.zoo import (
    FITTED,
    GIVEN,
    Encode,
    ModelSpec,
    assemble,
    fit_encoder,
    fitted_buffers,
    in_memory,
    resolved,
    with_front,
)
from overproof.seeds import digest
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, write_folder

FORMAT = 1
WEIGHTS = "student.safetensors"
ABOUT = "student.json"

HIGHEST_SCORE = 1e20
"""A larger score, or none that is finite, comes from a training that diverged or from inputs that overflow."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Student:
    """A module with everything needed to predict raw examples.

    Args:
        module: Tensor batch to logits [B, K]; training changes it in place.
        encoder: Examples to tensors.
        class_names: K names, in the order of the logits.
        spec: Name and options; the name is `given` for a module made in Python.
        allow_import: The import paths that the user allowed where it was built or loaded.
        seen: The rows that it was trained on, chosen by or calibrated on; None where they are not known.
    """

    module: nn.Module
    encoder: Encoder
    class_names: tuple[str, ...]
    spec: ModelSpec
    allow_import: frozenset[str] = field(default_factory=allowed)
    seen: SeenRows | None = None

    def __repr__(self) -> str:
        classes = f"{len(self.class_names)} classes {listed(self.class_names, limit=5)}"
        return f"Student({self.spec.name!r}, reads {self.kind}s, {classes}, {self.num_parameters:,} parameters)"

    @property
    def kind(self) -> Kind:
        """The kind of examples it reads."""
        return self.encoder.kind

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters; for a scikit-learn estimator the size of its fitted arrays."""
        body = body_of(self.module)
        fitted = 0 if body is None else body.num_numbers
        return fitted + sum(each.numel() for each in self.module.parameters() if each.requires_grad)

    def encode(self, examples: Any) -> Dense | Ragged:
        """Encode examples, or what `from_arrays` takes, for the module; keep the result to predict several times.

        Raises:
            InputError: The examples do not match those the student was built on.
        """
        with allowing(self.allow_import):
            return self.encoder.encode(self._examples(examples))

    def remarks(self, examples: Examples) -> list[str]:
        """Warnings about what the student does not read of these examples, such as truncated texts."""
        return self.encoder.remarks(examples) if isinstance(self.encoder, NgramEncoder) else []

    def logits(self, examples: Any, *, batch_size: int = 1024) -> Float32[Tensor, "N K"]:
        """Scores in evaluation mode, without gradient, on the CPU; the module's modes are restored.

        Args:
            examples: N examples, their encoding, or what `from_arrays` takes.
            batch_size: Examples at a time.

        Raises:
            InputError: The examples are of another kind or shape, or the module's output is not [B, K].
            NotFiniteError: A score is NaN, infinite or beyond all bounds.
        """
        if isinstance(examples, Examples) and examples.mapped is not None:
            # Whole batches, so that they are the same as in memory.
            parts = [self.logits(part, batch_size=batch_size) for part in examples.parts(16 * batch_size)]
            return torch.cat(parts) if parts else torch.empty(0, len(self.class_names))
        # A tensor has every method of `Inputs`, but is an array.
        if isinstance(examples, Inputs) and not isinstance(examples, Tensor | Examples):
            encoded: Inputs = examples
        else:
            encoded = self.encode(examples)
        inputs = as_read(self.module, encoded)
        device = next((each.device for each in self.module.parameters()), torch.device("cpu"))
        num_classes = len(self.class_names)
        modes = [(module, module.training) for module in self.module.modules()]
        scores = torch.empty(len(inputs), num_classes)
        self.module.eval()
        try:
            with torch.no_grad():
                for start in range(0, len(inputs), batch_size):
                    rows = torch.arange(start, min(start + batch_size, len(inputs)))
                    part = self.module(inputs.take(rows).to(device))
                    if part.shape != (len(rows), num_classes):
                        raise InputError(
                            f"Student {self.spec.name!r} has output of shape {tuple(part.shape)} for {len(rows)} "
                            f"examples of {num_classes} classes; {(len(rows), num_classes)} is needed."
                        )
                    scores[rows[0] : rows[-1] + 1] = part
                    self._check_scores(scores[rows[0] : rows[-1] + 1], rows)
        finally:
            for module, mode in modes:
                module.training = mode
        return scores

    def _check_scores(self, scores: Float32[Tensor, "B K"], rows: Tensor) -> None:
        """Raise where a softmax would be NaN, or certain beyond what any finite loss leads to."""
        highest = scores.amax(dim=1)
        broken = ~(highest.abs() < HIGHEST_SCORE)
        if broken.any():
            first = int(broken.int().argmax())
            raise NotFiniteError(
                f"Student {self.spec.name!r} has a score of {highest[first].item():.3g} for row {int(rows[first])} "
                f"(counted from 0): its training diverged (lower 'train.learning_rate') or its inputs are too large."
            )

    def probs(self, examples: Any, *, batch_size: int = 1024) -> Float32[Tensor, "N K"]:
        """The softmax of `logits`: rows sum to one.

        Args:
            examples: N examples, their encoding, or what `from_arrays` takes.
            batch_size: Examples at a time.

        Raises:
            InputError: As for `logits`.
        """
        return self.logits(examples, batch_size=batch_size).softmax(dim=1)

    @property
    def classes_(self) -> NDArray[Any]:
        """[K], the classes as `predict` names them: strings, or 0..K-1 where the names are just these numbers."""
        numbered = self.class_names == tuple(str(index) for index in range(len(self.class_names)))
        return np.arange(len(self.class_names)) if numbered else np.array(self.class_names)

    def predict(self, examples: Any, *, batch_size: int = 1024) -> NDArray[Any]:
        """The most likely class of each example, [N], as in `classes_`.

        Args:
            examples: N examples, or what `from_arrays` takes: a data frame, of which other columns than those that it
                was trained on are not read, a list of texts, an array, a tensor.
            batch_size: Examples at a time.

        Raises:
            InputError: As for `logits`.
        """
        found: NDArray[Any] = self.classes_[self.logits(examples, batch_size=batch_size).argmax(dim=1).numpy()]
        return found

    def predict_proba(self, examples: Any, *, batch_size: int = 1024) -> NDArray[np.float32]:
        """The probabilities as a NumPy array [N, K], its columns in the order of `classes_`; `probs` gives a tensor.

        Args:
            examples: As for `predict`.
            batch_size: Examples at a time.

        Raises:
            InputError: As for `logits`.
        """
        return self.probs(examples, batch_size=batch_size).numpy()

    def score(self, examples: Any, labels: Any) -> float:
        """The share of examples whose most likely class is their label.

        Args:
            examples: N examples, as for `predict`, that it was not trained on (`has_seen` tells).
            labels: [N], class names, or indices of `classes_`.

        Raises:
            InputError: A label is unknown or no class, or there is not one for each example.
        """
        label, _ = array_labels(labels, self.class_names, "labels")
        found = self.logits(examples).argmax(dim=1)
        if len(label) != len(found):
            raise InputError(f"There are {len(found)} examples and {len(label)} labels; each example needs one.")
        if (label < 0).any():
            row = int((label < 0).int().argmax())
            raise InputError(f"labels, {at_row(row)}: the label is unknown; score the examples that have one.")
        return float((found == label).double().mean())

    def _examples(self, given: Any) -> Examples:
        if isinstance(given, Examples):
            return given
        tables = isinstance(self.encoder, TableEncoder)
        if self.kind == "table" and is_frame(given):
            given = with_columns_of(self.encoder, table_of_frame(given, "input"))
        examples = from_arrays(given, origin="input", missing="allow" if tables else "refuse")
        if isinstance(self.encoder, TableEncoder) and (gap := self.encoder.new_gap(examples)) is not None:
            column, row = gap
            raise InputError(
                f"{examples.origin} has a missing value in column {column!r}, {at_row(row)}, where none was missing "
                f"in training; fill it, or give overproof.data.from_arrays(…, missing='allow'), which reads it as the "
                f"column's mean."
            )
        return examples

    def has_seen(self, examples: Any) -> Bool[np.ndarray, "N"]:
        """Which examples it was trained on, chosen by or calibrated on: its error rate there is not that on new data.

        Args:
            examples: N examples, or what `from_arrays` takes.

        Raises:
            InputError: It is not known which, or the examples do not fit the student.
        """
        if self.seen is None:
            raise InputError(f"Student {self.spec.name!r} {NO_LIST}.")
        return self.seen.has(self.encoder, self._examples(examples))

    def trained_on(self, *parts: Any) -> "Student":
        """The same student with a list of the rows that your own code trained it on, which is saved with it.

        Args:
            parts: Everything that it was trained on, chosen by or calibrated on.

        Raises:
            InputError: They do not fit the student.
        """
        return replace(self, seen=rows_of(self.encoder, [self._examples(each) for each in parts]))

    def fresh(self, *, seed: int) -> "Student":
        """A new untrained student of the same kind, with initial weights from the seed; fitted buffers are kept.

        A module made in Python cannot be made again: it is copied with its weights.

        Args:
            seed: Seed of the initial weights.
        """
        if self.spec.name == GIVEN:
            module = copy.deepcopy(self.module)
        else:
            with allowing(self.allow_import):
                module = assemble(self.spec, self.encoder, len(self.class_names), seed)
            buffers = dict(self.module.named_buffers())
            fitted = {name: buffers[name] for name in FITTED if name in buffers}
            # Shared tensors: they never change.
            module.load_state_dict(fitted, strict=False, assign=True)
        return replace(self, module=module, seen=None)

    def save(self, folder: Path | str) -> None:
        """Write `student.safetensors`, `manifest.json` with the SHA-256 of every file, and `student.json` last.

        The archive of a scikit-learn estimator is also written to `estimator.skops`.

        Args:
            folder: Created if missing; an existing student is replaced.
        """
        write_folder(Path(folder), self.files(), kind="student")

    def files(self) -> dict[str, bytes]:
        """The content of each file that `save` writes, by name, `student.json` last."""
        state = {name: value.detach().cpu().contiguous().clone() for name, value in self.module.state_dict().items()}
        weights = safetensors.torch.save(state)
        about = {
            "format": FORMAT,
            "student": {"name": self.spec.name, "options": dict(self.spec.options)},
            "encoder": self.encoder.config(),
            "class_names": list(self.class_names),
            "weights": {"file": WEIGHTS, "num_bytes": len(weights), "blake2b": digest(weights)},
            "manifest": MANIFEST,
        }
        if self.spec.name == GIVEN:
            about["note"] = "The module was made in Python: load_student(folder, module=...) needs one like it."
        files = {WEIGHTS: weights}
        if (body := body_of(self.module)) is not None:
            files["estimator.skops"] = body.archive.cpu().numpy().tobytes()
        seen = {} if self.seen is None else {SEEN: self.seen.data}
        return {**files, **seen, ABOUT: atomic.json_bytes(about)}


def build(
    student: ModelSpec | str | nn.Module,
    parts: Sequence[Examples],
    *,
    class_names: Sequence[str],
    seed: int,
    encode: Encode = in_memory,
    allow_import: Iterable[str] | str = (),
) -> Student:
    """A student ready to be trained.

    Args:
        student: A name, a name with options, or a module made in Python (used directly, see `wrap`).
        parts: Labelled and pool examples, on which encoders are fitted; never the test.
        class_names: K names.
        seed: Seed of the initial weights; the global random state does not change.
        encode: Encodes the parts, for buffers that are fitted on encoded examples.
        allow_import: Import paths `package.module:name` in a `ModelSpec` whose code may be run.

    Example:
        >>> examples = from_arrays(["good", "bad", "fine"])
        >>> student = build("ngram", [examples], class_names=["no", "yes"], seed=0)
        >>> student.probs(["good"]).tolist()
        [[0.5, 0.5]]

    Raises:
        InputError: An unknown name or option, or a student for another kind of examples.
    """
    names = tuple(class_names)
    if isinstance(student, nn.Module):
        if parts[0].kind == "text":
            return _of_logits(wrap(student, names, encoder=fit_encoder(ModelSpec(name=GIVEN), parts)), parts[0])
        fit = ImageEncoder.fit if parts[0].kind == "image" else PlainTable.fit
        return _of_logits(wrap(student, names, encoder=fit(parts)), parts[0])
    # A path that is itself the argument is named by the caller.
    typed = {student} if isinstance(student, str) and is_import_path(student) else set[str]()
    with allowing(as_paths(allow_import) | typed):
        spec = resolved(ModelSpec(name=student) if isinstance(student, str) else student, parts[0])
        encoder = fit_encoder(spec, parts)
        module = assemble(spec, encoder, len(names), seed)
        module.load_state_dict(fitted_buffers(module, encoder, parts, encode), strict=False)
        built = Student(module=module, encoder=encoder, class_names=names, spec=spec)
        return _of_logits(built, parts[0]) if is_import_path(spec.name) else built


def _of_logits(student: Student, examples: Examples) -> Student:
    """A student of the user's own, whose module does not end in a softmax: the losses take one.

    Raises:
        InputError: Its rows sum to one.
    """
    some = examples.take(torch.arange(min(len(examples), 8)))
    try:
        with torch.random.fork_rng(devices=[]):
            scores = student.logits(some)
    except Exception:
        # What fails here fails in training, which says why.
        return student
    ones = (scores >= 0).all() and ((scores.sum(dim=1) - 1).abs() < 1e-4).all()
    if len(scores) and scores.shape[1] > 1 and ones:
        raise InputError(
            f"Student {student.spec.name!r} returns rows that sum to 1, as probabilities do; logits are expected, of "
            f"which the losses take a softmax: leave out the softmax at its end, or end in log_softmax."
        )
    return student


def wrap(module: nn.Module, class_names: Sequence[str], *, encoder: Encoder) -> Student:
    """Any torch module as a student; it is trained in place.

    The module gets images as float32 in [0, 1], tables as float32 [B, D], texts as n-gram numbers int64 [B, L] padded
    with 0, and returns logits [B, K].

    Args:
        module: Your module.
        class_names: K names, in the order of its logits.
        encoder: Examples to tensors.

    Example:
        >>> student = wrap(nn.Linear(2, 3), ["a", "b", "c"], encoder=PlainTable(columns=("f0", "f1")))
        >>> student.probs(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """
    inner = with_front(module, UnitRange()) if encoder.kind == "image" else module
    return Student(module=inner, encoder=encoder, class_names=tuple(class_names), spec=ModelSpec(name=GIVEN))
