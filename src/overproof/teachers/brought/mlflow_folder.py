"""A folder that MLflow saved: its `MLmodel` names the model inside, which is read as one that is named alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from overproof.data import Examples
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.teachers.brought.hugging_face import open_hugging_face
from overproof.teachers.brought.onnx_file import OnnxFile
from overproof.teachers.brought.skops_file import SkopsFile
from overproof.teachers.kind import BroughtKind, Named, TeacherName
from overproof.teachers.scorers import Brought

ABOUT = "MLmodel"
"""The file that says what is in the folder."""

FRONTS = ("tokenizer", "image_processor", "feature_extractor")
"""Where the flavour transformers keeps what reads texts or images, below `components`."""

TASKS = ("text-classification", "image-classification")
"""The pipelines of transformers that are read."""

SETTINGS = {"function_to_apply": "scores", "max_length": "max_tokens"}
"""Settings of a pipeline that MLflow keeps and transformers does not, and the option that each is here."""

Flavours = Mapping[str, Mapping[str, Any]]


class MlflowFolder(BroughtKind):
    """A folder with `MLmodel`."""

    def matches(self, named: Named) -> bool:
        """A path to it has a slash."""
        return "/" in named.model and not named.weights and (Path(named.model).expanduser() / ABOUT).is_file()

    def files(self, named: Named) -> list[Path]:
        """Those of the model inside, and what names it."""
        folder = Path(named.model).expanduser()
        flavours = _flavours(folder)
        if "transformers" in flavours:
            inside, front = _of_transformers(folder, flavours, named)
            found = {path for place in (inside, front) for path in place.iterdir() if path.is_file()}
            return [folder / ABOUT, *sorted(found)]
        kind, path = _file_inside(folder, flavours)
        return [folder / ABOUT, *kind.files(_named(named, path))]

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> Brought:
        """As the model inside is opened.

        Raises:
            InputError: `MLmodel` cannot be read; a pickle, or a flavour that is not read, with how to save it instead.
        """
        folder = Path(named.model).expanduser()
        flavours = _flavours(folder)
        if "transformers" in flavours:
            inside, front = _of_transformers(folder, flavours, named)
            return open_hugging_face(
                inside, named.options, class_names, classes=named.classes, examples=examples, front=front
            )
        kind, path = _file_inside(folder, flavours)
        return kind.open(_named(named, path), class_names, examples)


def _flavours(folder: Path) -> Flavours:
    try:
        about = yaml.safe_load((folder / ABOUT).read_text())
        return {str(name): dict(each) for name, each in about["flavors"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"teacher ({folder}): {ABOUT} cannot be read: {reason(error)}.") from None


def _file_inside(folder: Path, flavours: Flavours) -> tuple[BroughtKind, Path]:
    who = f"teacher ({folder})"
    own = flavours.get("sklearn", {})
    named = own.get("pickled_model") if own else flavours.get("onnx", {}).get("data")
    if own and own.get("serialization_format") != "skops":
        raise InputError(
            f"{who} holds a scikit-learn model as {own.get('serialization_format') or 'a pickle'}, which is not read; "
            f"save it with mlflow.sklearn.save_model(model, path, serialization_format='skops')."
        )
    if "sentence_transformers" in flavours:
        encoder = flavours.get("python_function", {}).get("data") or "model.sentence_transformer"
        raise InputError(
            f"{who} holds an encoder of sentence-transformers, which is no classifier; a head is trained on your "
            f"labels with 'teacher.model: {_below(folder, str(encoder), who)}'."
        )
    if not isinstance(named, str):
        known = [name for name in flavours if name != "python_function"]
        raise InputError(
            f"{who} holds a model of the flavour {listed(known)}; 'transformers', 'sklearn' (as skops) and 'onnx' are "
            f"read. Save it with mlflow.onnx.save_model, or give a file of its answers ('teacher.answers')."
        )
    return (SkopsFile() if own else OnnxFile()), _below(folder, named, who)


def _of_transformers(folder: Path, flavours: Flavours, named: Named) -> tuple[Path, Path]:
    """The folders of a classifier, and of its tokenizer or image processor.

    Raises:
        InputError: An adapter or a model that is elsewhere; another task; settings that the options do not repeat.
    """
    who, own = f"teacher ({folder})", flavours["transformers"]
    model = own.get("model_binary")
    if own.get("peft_adaptor"):
        raise InputError(
            f"{who} holds a PEFT adapter beside its base model; merge them once: "
            f"pipeline = mlflow.transformers.load_model({str(folder)!r}), "
            f"pipeline.model = pipeline.model.merge_and_unload(), pipeline.save_pretrained('merged')."
        )
    if not isinstance(model, str) or not _below(folder, model, who).is_dir():
        raise InputError(
            f"{who} names the model {own.get('source_model_name')!r} and does not hold it; save it with "
            f"mlflow.transformers.save_model(pipeline, path, save_pretrained=True)."
        )
    if own.get("task") not in TASKS:
        raise InputError(f"{who} is a pipeline for the task {own.get('task')!r}; {listed(TASKS)} are read.")
    kept = flavours.get("python_function", {}).get("config")
    for setting, option in SETTINGS.items():
        # Without a function the pipeline gives logits, of which a softmax makes probabilities as ever.
        given = kept.get(setting) if isinstance(kept, Mapping) else None
        if given not in (None, "none", "default") and option not in named.options:
            raise InputError(
                f"{who} was saved with {setting} {given!r}; repeat it as an option: "
                f"'teacher.options.{option}: {given}'."
            )
    inside = _below(folder, model, who)
    fronts = [folder / "components" / name for name in FRONTS]
    return inside, next((place for place in fronts if place.is_dir()), inside)


def _below(folder: Path, name: str, who: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{who}: {ABOUT} names {name!r}, which is not below its folder.")
    return folder / name


def _named(named: Named, path: Path) -> TeacherName:
    return TeacherName(model=str(path), options=named.options, classes=named.classes)
