"""Reading the folder of a saved student: its files are data, and nothing that they name is run."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import nn

from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models.encoders import Encoder, class_names_from, encoder_from
from overproof.models.importing import allowing, check_allowed
from overproof.models.saved.checked_fields import checked_fields
from overproof.models.saved.seen_rows import SEEN, SeenRows
from overproof.models.student import ABOUT, FORMAT, WEIGHTS, Student, wrap
from overproof.models.zoo import GIVEN, ZOO, ModelSpec, assemble, check_stored_options
from overproof.seeds import digest
from overproof.storage.manifest import MANIFEST, checked, read_bytes


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
class _Made:
    """How `student.json` says that the student is made."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Weights:
    """Which file of weights it describes."""

    file: str
    num_bytes: int
    blake2b: str


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
        if type(about["format"]) is not int or about["format"] != FORMAT:
            raise InputError(f"{path} has format {about['format']!r}; this version reads {FORMAT}.")
        made = checked_fields(_Made, about["student"], "student")
        weights = checked_fields(_Weights, about["weights"], "weights")
        if weights.file != WEIGHTS:
            raise ValueError(f"weights has file {weights.file!r}; {WEIGHTS!r} is needed")
        spec = ModelSpec(name=made.name, options=made.options)
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
            num_bytes=weights.num_bytes,
            blake2b=weights.blake2b,
        )
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"{path} does not describe a student ({reason(error)}); it is damaged.") from None
