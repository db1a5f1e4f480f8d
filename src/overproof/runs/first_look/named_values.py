"""The names that a key of an experiment takes: of students, teachers, methods, selectors, formats."""

from collections.abc import Callable, Mapping

from overproof.answers.tools import FORMATS
from overproof.methods.published import method_names
from overproof.models import ZOO
from overproof.registry import Kind, entries
from overproof.teachers.trained.frozen_encoder import READS
from overproof.training.augmentation import STEPS

_PARTS: Mapping[str, Kind] = {
    "select": "select",
    "noise": "noise",
    "pool.loss": "loss",
    "pool.target": "target",
    "pool.weight": "weight",
}


def _students() -> list[str]:
    return ["auto", *(f"{name} ({', '.join(each.kinds)})" for name, each in ZOO.items())]


def _teachers() -> list[str]:
    trained = [*(f"{name} ({kind})" for name, kind in READS.items()), "frozen_encoder", *_students()[1:]]
    return ["auto", "student", *dict.fromkeys(trained), "zero_shot (text)", "endpoint", "answers"]


_NAMES: Mapping[str, Callable[[], list[str]]] = {
    "student": _students,
    "student.name": _students,
    "teacher": _teachers,
    "teacher.model": _teachers,
    "teacher.format": lambda: list(FORMATS),
    "methods": lambda: list(method_names()),
    "methods.method": lambda: list(method_names()),
    "methods.options": lambda: [
        f"{option}: {', '.join(each.name for each in entries(kind))}" for option, kind in _PARTS.items()
    ],
    "train.augmentation": lambda: ["none", "crop", "crop_flip", *(name for name in STEPS if name != "crop")],
}


def names_for(key: str) -> tuple[str, ...]:
    """The names that a key takes, those of students with the kinds of data that they read; empty where it takes none.

    Args:
        key: Its whole path.

    Example:
        >>> names_for("student.name")[:3], names_for("train.epochs")
        (('auto', 'linear (image, table)', 'mlp (image, table)'), ())
    """
    return tuple(_NAMES[key]()) if key in _NAMES else ()
