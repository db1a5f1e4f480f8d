"""The class `Student` (module, encoder and class names), and how one is built, saved and loaded."""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors
import safetensors.torch
import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from overproof.data import Examples, Kind, from_arrays
from overproof.data.wording import reason
from overproof.errors import InputError, NotFiniteError
from overproof.models.encoders import Encoder, ImageEncoder, NgramEncoder, PlainTable, class_names_from, encoder_from
from overproof.models.estimator import body_of
from overproof.models.importing import allowed, allowing, as_paths, check_allowed, is_import_path
from overproof.models.inputs import Dense, Inputs, Ragged
from overproof.models.layers import UnitRange
from overproof.models.ngram_bag import as_read
from overproof.models.saved.seen_rows import NO_LIST, SEEN, SeenRows, rows_of
from overproof.models.zoo import (
    FITTED,
    GIVEN,
    ZOO,
    Encode,
    ModelSpec,
    assemble,
    check_stored_options,
    fit_encoder,
    fitted_buffers,
    in_memory,
    resolved,
    with_front,
)
from overproof.seeds import digest
from overproof.storage import atomic
from overproof.storage.manifest import MANIFEST, checked, read_bytes, write_folder

Array = np.ndarray | Tensor | Sequence[Any] | pa.Table

_FORMAT = 1
WEIGHTS = "student.safetensors"
ABOUT = "student.json"

HIGHEST_SCORE = 1e20
"""A larger score, or none that is finite, comes from a training that diverged or from inputs that overflow."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
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
            return self.encoder.encode(
                examples if isinstance(examples, Examples) else from_arrays(examples, origin="input")
            )

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
        parts = [torch.empty(0, num_classes)]
        self.module.eval()
        try:
            with torch.no_grad():
                for rows in torch.arange(len(inputs)).split(batch_size):
                    part = self.module(inputs.take(rows).to(device)) if len(rows) else parts[0]
                    if part.shape != (len(rows), num_classes):
                        raise InputError(
                            f"Student {self.spec.name!r} has output of shape {tuple(part.shape)} for {len(rows)} "
                            f"examples of {num_classes} classes; {(len(rows), num_classes)} is needed."
                        )
                    parts.append(part.float().cpu())
                    if len(rows):
                        self._check_scores(parts[-1], rows)
        finally:
            for module, mode in modes:
                module.training = mode
        return torch.cat(parts)

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

    def has_seen(self, examples: Examples | Array) -> Bool[np.ndarray, "N"]:
        """Which examples it was trained on, chosen by or calibrated on: its error rate there is not that on new data.

        Args:
            examples: N examples, or what `from_arrays` takes.

        Raises:
            InputError: It is not known which, or the examples do not fit the student.
        """
        if self.seen is None:
            raise InputError(f"Student {self.spec.name!r} {NO_LIST}.")
        return self.seen.has(self.encoder, _examples(examples))

    def trained_on(self, *parts: Examples | Array) -> "Student":
        """The same student with a list of the rows that your own code trained it on, which is saved with it.

        Args:
            parts: Everything that it was trained on, chosen by or calibrated on.

        Raises:
            InputError: They do not fit the student.
        """
        return replace(self, seen=rows_of(self.encoder, [_examples(each) for each in parts]))

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
            "format": _FORMAT,
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


def _examples(given: Examples | Array) -> Examples:
    return given if isinstance(given, Examples) else from_arrays(given, origin="input")


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
            return wrap(student, names, encoder=fit_encoder(ModelSpec(name=GIVEN), parts))
        fit = ImageEncoder.fit if parts[0].kind == "image" else PlainTable.fit
        return wrap(student, names, encoder=fit(parts))
    # A path that is itself the argument is named by the caller.
    typed = {student} if isinstance(student, str) and is_import_path(student) else set[str]()
    with allowing(as_paths(allow_import) | typed):
        spec = resolved(ModelSpec(name=student) if isinstance(student, str) else student, parts[0])
        encoder = fit_encoder(spec, parts)
        module = assemble(spec, encoder, len(names), seed)
        module.load_state_dict(fitted_buffers(module, encoder, parts, encode), strict=False)
        return Student(module=module, encoder=encoder, class_names=names, spec=spec)


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


def load_student(
    folder: Path | str, *, module: nn.Module | None = None, allow_import: Iterable[str] | str = ()
) -> Student:
    """Load the student that `Student.save` wrote.

    The files contain data only, and nothing that they name is run: the student and its embedding model are made by the
    package, by a classifier of scikit-learn, or by a factory that you allow.

    Args:
        folder: The student's folder.
        module: Only for a student made from your own module: a module of the same architecture.
        allow_import: Import paths `package.module:name` in the folder whose code may be run.

    Raises:
        InputError: A file is missing, damaged or belongs to another student, `module` is missing or not needed, or the
            folder names an import path that is not allowed.
    """
    folder = Path(folder)
    with allowing(allow_import):
        found = checked(folder, (ABOUT, WEIGHTS, SEEN), kind="student")
        return _loaded(folder, _described(folder / ABOUT, found), module, found)


def _loaded(folder: Path, about: "_Described", module: nn.Module | None, found: Mapping[str, bytes] | None) -> Student:
    given = about.spec.name == GIVEN
    if given and module is None:
        raise InputError(
            f"The student in {str(folder)!r} was made from your own module; pass one of the same architecture: "
            f"load_student(folder, module=...)."
        )
    if module is not None and not given:
        raise InputError(f"The student in {str(folder)!r} is a {about.spec.name!r}; leave out `module`.")
    weights = found[WEIGHTS] if found else read_bytes(folder / WEIGHTS)
    if found is None and (len(weights), digest(weights)) != (about.num_bytes, about.blake2b):
        raise InputError(
            f"{folder / WEIGHTS} is not the file that {ABOUT} describes ({len(weights)} bytes instead of "
            f"{about.num_bytes}, or other ones); it is damaged or belongs to another student."
        )
    seen = SeenRows(data=found[SEEN], origin=str(folder / SEEN)) if found and SEEN in found else None
    try:
        if module is not None:
            student = wrap(module, about.class_names, encoder=about.encoder)
        else:
            inner = assemble(about.spec, about.encoder, len(about.class_names), seed=0)
            student = Student(module=inner, encoder=about.encoder, class_names=about.class_names, spec=about.spec)
        student.module.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, MemoryError, OverflowError, safetensors.SafetensorError) as error:
        raise InputError(
            f"The weights in {folder / WEIGHTS} do not match the module: {' '.join(str(error).split())[:300]}."
        ) from None
    return replace(student, seen=seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Described:
    """The content of `student.json`."""

    spec: ModelSpec
    encoder: Encoder
    class_names: tuple[str, ...]
    num_bytes: int
    blake2b: str


def _described(path: Path, found: Mapping[str, bytes] | None) -> _Described:
    try:
        about = json.loads(read_bytes(path) if found is None else found[path.name])
        if found is None and "manifest" in about:
            raise InputError(f"{path.parent / MANIFEST} is missing, which {path.name} names: copy the folder again.")
        if about["format"] != _FORMAT:
            raise InputError(f"{path} has format {about['format']!r}; this version reads {_FORMAT}.")
        spec = ModelSpec(name=str(about["student"]["name"]), options=dict(about["student"]["options"]))
        if spec.name in ZOO:
            check_stored_options(spec)
        elif spec.name != GIVEN:
            check_allowed(spec.name, f"The student in {path}")
        if (embedder := about["encoder"].get("embedder", "minilm")) != "minilm":
            check_allowed(str(embedder), f"The embedding model in {path}")
        return _Described(
            spec=spec,
            encoder=encoder_from(about["encoder"]),
            class_names=class_names_from(about["class_names"]),
            num_bytes=int(about["weights"]["num_bytes"]),
            blake2b=str(about["weights"]["blake2b"]),
        )
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"{path} does not describe a student ({reason(error)}); it is damaged.") from None
