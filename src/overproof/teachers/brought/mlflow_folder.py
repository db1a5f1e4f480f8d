"""A folder that MLflow saved: its `MLmodel` names the file inside, which is read as one that is named alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from overproof.data import Examples
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.teachers.brought.onnx_file import OnnxFile
from overproof.teachers.brought.skops_file import SkopsFile
from overproof.teachers.kind import BroughtKind, Named, TeacherName
from overproof.teachers.scorers import Brought

ABOUT = "MLmodel"
"""The file that says what is in the folder."""


def inside(folder: Path) -> tuple[BroughtKind, Path]:
    """The kind of the model in a folder of MLflow, and its file.

    Args:
        folder: With `MLmodel`.

    Raises:
        InputError: It cannot be read; a pickle, or a flavour that is not read, with how to save it instead.
    """
    who = f"teacher ({folder})"
    try:
        about = yaml.safe_load((folder / ABOUT).read_text())
        flavours: Mapping[str, Mapping[str, Any]] = dict(about["flavors"])
        own = flavours.get("sklearn", {})
        named = own.get("pickled_model") if own else flavours.get("onnx", {}).get("data")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{who}: {ABOUT} cannot be read: {reason(error)}.") from None
    if own and own.get("serialization_format") != "skops":
        raise InputError(
            f"{who} holds a scikit-learn model as {own.get('serialization_format') or 'a pickle'}, which is not read; "
            f"save it with mlflow.sklearn.save_model(model, path, serialization_format='skops')."
        )
    if not isinstance(named, str):
        known = [name for name in flavours if name != "python_function"]
        raise InputError(
            f"{who} holds a model of the flavour {listed(known)}; 'sklearn' (as skops) and 'onnx' are read. Give the "
            f"folder of the model itself, such as that of save_pretrained, or a file of its answers."
        )
    if Path(named).is_absolute() or ".." in Path(named).parts:
        raise InputError(f"{who}: {ABOUT} names {named!r}, which is not below its folder.")
    return (SkopsFile() if own else OnnxFile()), folder / named


class MlflowFolder(BroughtKind):
    """A folder with `MLmodel`."""

    def matches(self, named: Named) -> bool:
        """A path to it has a slash."""
        return "/" in named.model and not named.weights and (Path(named.model).expanduser() / ABOUT).is_file()

    def files(self, named: Named) -> list[Path]:
        """Those of the model inside, and what names it."""
        folder = Path(named.model).expanduser()
        kind, path = inside(folder)
        return [folder / ABOUT, *kind.files(_named(named, path))]

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> Brought:
        """As the file inside is opened."""
        kind, path = inside(Path(named.model).expanduser())
        return kind.open(_named(named, path), class_names, examples)


def _named(named: Named, path: Path) -> TeacherName:
    return TeacherName(model=str(path), options=named.options, classes=named.classes)
