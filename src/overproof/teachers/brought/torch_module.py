"""A torch module by import path with weights of its own from a safetensors file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor, nn

from overproof.data import Examples
from overproof.errors import InputError
from overproof.models import ModelSpec, Student, module_of, wrap
from overproof.models.encoders import ImageEncoder, PlainTable
from overproof.models.tensor_files import put_tensors, read_tensors
from overproof.models.zoo import GIVEN, fit_encoder
from overproof.teachers.brought.constant_answers import ENOUGH, check_range
from overproof.teachers.brought.decision import shown
from overproof.teachers.brought.onnx_inputs import Pixels
from overproof.teachers.brought.onnx_scores import ROUNDING
from overproof.teachers.brought.saved_student import SavedTeacher
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import checked_options, column_order, hash_of_files

OWN = ("scores", "pixels")
"""Options that are not passed to the factory."""

HALF = (torch.float16, torch.bfloat16)
"""Types of weights that are computed with in float32."""

FIRST = 64
"""So many examples are run to see what the outputs are."""


class ModuleOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a module returns and takes, beside the options of its factory.

    Args:
        scores: `logits`, `probabilities`, or `sigmoid`: one for each class, which are divided by their sum. Without it
            outputs that may be probabilities are refused.
        pixels: The range of images: `unit` is 0 to 1, `bytes` is 0 to 255.
    """

    scores: Literal["", "logits", "probabilities", "sigmoid"] = ""
    pixels: Literal["", "unit", "bytes"] = ""


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
    texts as n-gram numbers; and returns logits [B, K]. Two options are not the factory's: `scores: probabilities` (or
    `sigmoid`, one probability for each class, which are divided by their sum) of a module that returns no logits, and
    `pixels: bytes` of one that takes images as 0 to 255.

    Args:
        path: Import path of a factory `factory(input_shape, num_classes, **options) -> torch.nn.Module`.
        options: The factory's own.
        weights: A safetensors file of the module's state.
        class_names: The run's, in order.
        classes: The names of its outputs, in order.
        examples: Some of the examples that it will answer: their shape is that of all.

    Raises:
        InputError: No class names, a factory or a file that does not fit; outputs between 0 and 1, which may be
            probabilities; the same answer to all images.
    """
    if not classes:
        raise InputError(
            f"Option 'teacher.classes' is empty; a module ({path!r}) does not name its classes: give them in the order "
            f"of its outputs."
        )
    who, own = f"teacher ({path})", {name: value for name, value in options.items() if name not in OWN}
    chosen = checked_options(ModuleOptions, {name: options[name] for name in OWN if name in options}, who)
    encoder: Any
    if examples.kind == "text":
        encoder = fit_encoder(ModelSpec(name=GIVEN), [examples])
    else:
        encoder = (ImageEncoder if examples.kind == "image" else PlainTable).fit([examples])
    module = module_of(ModelSpec(name=path, options=own), encoder.input_shape, len(classes), seed=0)
    stored = read_tensors(weights, "teacher.weights")
    put_tensors(module, stored, f"teacher.weights {weights!r}")
    made = json.dumps({"module": path, "options": dict(options), "classes": list(classes)}, sort_keys=True)
    first = examples.take(torch.arange(min(FIRST, len(examples))))

    def student_of(pixels: Pixels) -> Student:
        read = nn.Sequential(_Times(255.0), module) if pixels == "bytes" else module
        return wrap(_Logits(read, chosen.scores) if chosen.scores else read, classes, encoder=encoder)

    student = student_of(chosen.pixels or "unit")
    if not chosen.scores:
        _check_logits(student.logits(first), who)
    if examples.kind == "image":
        check_range(lambda each: student_of(each).probs(first), chosen.pixels or "unit", not chosen.pixels, who, first)
    return SavedTeacher(
        student=student,
        order=column_order(class_names, classes, who),
        fingerprint=f"{made} weights={hash_of_files([Path(weights)], 'model.safetensors')}",
        former=f"{made} weights={hash_of_files([Path(weights)])}",
        stored_as=next((str(each.dtype) for each in stored.values() if each.dtype in HALF), ""),
    )


def _check_logits(scores: Tensor, who: str) -> None:
    """Refuse outputs that may be probabilities already, of which a softmax would make others."""
    inside = len(scores) > 0 and bool(((scores >= -ROUNDING) & (scores <= 1 + ROUNDING)).all())
    sums = bool(((scores.sum(dim=1) - 1).abs() <= ROUNDING).all())
    if inside and (sums or len(scores) >= ENOUGH):
        what = "sum to 1, as probabilities do" if sums else "are between 0 and 1, as of a sigmoid for each class"
        word = "probabilities" if sums else "sigmoid"
        raise InputError(
            f"{who} returns rows that {what} ({shown(scores[0].numpy())}), and logits are expected, of which a softmax "
            f"is taken; say what they are: 'teacher.options.scores: {word}' or 'scores: logits'."
        )


class _Times(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.factor


class _Logits(nn.Module):
    """The logarithms of a module's probabilities, whose softmax are the probabilities."""

    def __init__(self, module: nn.Module, scores: str):
        super().__init__()
        self.module, self.scores = module, scores

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.module(inputs)
        return scores if self.scores == "logits" else scores.clamp_min(1e-30).log()


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
