"""Which kind of brought teacher a word of the experiment names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from overproof.data import Examples
from overproof.errors import InputError
from overproof.teachers.brought.saved_student import open_teacher
from overproof.teachers.scorers import Brought


def opened(
    model: str,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    examples: Examples,
    classes: Sequence[str] = (),
    weights: str = "",
) -> Brought:
    """The teacher that somebody brought.

    Args:
        model: A file `….onnx` or `….skops`; the folder of a saved student (`student.json` in it) or of a Hugging Face
            classifier (`config.json` in it); with `weights` the import path of a factory of a torch module.
        options: Its own options.
        class_names: The run's, in order.
        examples: Some of what it will be asked about.
        classes: What its outputs are called, in their order, where it does not say so itself or says it otherwise.
        weights: A safetensors file, for a torch module.

    Raises:
        InputError: There is no such teacher, or it does not suit the examples or the classes.
    """
    folder = Path(model)
    if weights:
        from overproof.teachers.brought.torch_module import open_module

        return open_module(model, options, weights, class_names, classes=classes, examples=examples)
    if folder.suffix == ".onnx":
        from overproof.teachers.brought.onnx_file import open_onnx

        return open_onnx(folder, options, class_names, classes=classes, examples=examples)
    if folder.suffix == ".skops":
        from overproof.teachers.brought.skops_file import open_skops

        return open_skops(folder, options, class_names, classes=classes, examples=examples)
    if (folder / "config.json").is_file() and not (folder / "student.json").is_file():
        from overproof.teachers.brought.hugging_face import open_hugging_face

        return open_hugging_face(folder, options, class_names, classes=classes, examples=examples)
    if classes or options:
        extra = "classes" if classes else "options"
        raise InputError(
            f"Option 'teacher.{extra}' is given, but a saved student ({model!r}) knows its own; leave it out."
        )
    return open_teacher(folder, class_names)
