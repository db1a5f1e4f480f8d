"""A torch module by import path with weights of its own from a safetensors file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from overproof.data import Examples
from overproof.errors import InputError
from overproof.models import ModelSpec, module_of, wrap
from overproof.models.encoders import ImageEncoder, PlainTable
from overproof.models.tensor_files import put_tensors, read_tensors
from overproof.models.zoo import GIVEN, fit_encoder
from overproof.teachers.brought.saved_student import SavedTeacher
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import column_order, hash_of_files


def open_module(
    path: str,
    options: Mapping[str, Any],
    weights: str,
    class_names: Sequence[str],
    *,
    classes: Sequence[str],
    examples: Examples,
) -> SavedTeacher:
    """The module that a factory makes, with these weights, as a pretrained teacher.

    It takes the inputs of a student made in Python: images as float32 in [0, 1], tables of numbers as float32 [B, D],
    texts as n-gram numbers; and returns logits [B, K].

    Args:
        path: Import path of a factory `factory(input_shape, num_classes, **options) -> torch.nn.Module`.
        options: The factory's own.
        weights: A safetensors file of the module's state.
        class_names: The run's, in order.
        classes: The names of its outputs, in order.
        examples: Some of the examples that it will answer: their shape is that of all.

    Raises:
        InputError: No class names, a factory or a file that does not fit.
    """
    if not classes:
        raise InputError(
            f"Option 'teacher.classes' is empty; a module ({path!r}) does not name its classes: give them in the order "
            f"of its outputs."
        )
    encoder: Any
    if examples.kind == "text":
        encoder = fit_encoder(ModelSpec(name=GIVEN), [examples])
    else:
        encoder = (ImageEncoder if examples.kind == "image" else PlainTable).fit([examples])
    module = module_of(ModelSpec(name=path, options=options), encoder.input_shape, len(classes), seed=0)
    put_tensors(module, read_tensors(weights, "teacher.weights"), f"teacher.weights {weights!r}")
    made = json.dumps({"module": path, "options": dict(options), "classes": list(classes)}, sort_keys=True)
    return SavedTeacher(
        student=wrap(module, classes, encoder=encoder),
        order=column_order(class_names, classes, f"teacher ({path})"),
        fingerprint=f"{made} weights={hash_of_files([Path(weights)], 'model.safetensors')}",
        former=f"{made} weights={hash_of_files([Path(weights)])}",
    )


class TorchModule(BroughtKind):
    """The import path of a factory, with a file of weights."""

    can_be_online = True

    def matches(self, named: Named) -> bool:
        """No other kind has weights."""
        return bool(named.weights)

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """The weights; the model is an import path."""
        return [("weights", named.weights)]

    def files(self, named: Named) -> list[Path]:
        """The weights."""
        return [Path(named.weights)]

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> SavedTeacher:
        """As `open_module`."""
        return open_module(
            named.model, named.options, named.weights, class_names, classes=named.classes, examples=examples
        )
