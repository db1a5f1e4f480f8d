"""Distillation with unlabelled examples: a small student, debiased from an imperfect teacher.

Most names are imported when they are first used: `import overproof` alone imports neither torch nor any other package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from overproof.errors import InputError as InputError
from overproof.version import __version__ as __version__

if TYPE_CHECKING:
    from overproof.api import distill as distill
    from overproof.api import run as run
    from overproof.api import self_distill as self_distill
    from overproof.assessment.assess import assess as assess
    from overproof.deployment import export as export
    from overproof.methods.own_loop import Weights as Weights
    from overproof.models import ModelSpec as ModelSpec
    from overproof.runs.experiment import Experiment as Experiment
    from overproof.runs.folder.result_file import RunResult as RunResult
    from overproof.training.distillation import Distilled as Distilled
    from overproof.training.options import TrainOptions as TrainOptions

_MODULES = {
    "distill": "overproof.api",
    "run": "overproof.api",
    "self_distill": "overproof.api",
    "assess": "overproof.assessment.assess",
    "export": "overproof.deployment",
    "Weights": "overproof.methods.own_loop",
    "ModelSpec": "overproof.models",
    "Experiment": "overproof.runs.experiment",
    "RunResult": "overproof.runs.folder.result_file",
    "Distilled": "overproof.training.distillation",
    "TrainOptions": "overproof.training.options",
}
"""Where the names imported on first use are: those above, which type checkers read; a test compares the two."""

_FOLDERS = (
    "answers",
    "assessment",
    "commands",
    "data",
    "deployment",
    "evaluation",
    "functional",
    "huggingface",
    "linear",
    "methods",
    "models",
    "noise",
    "options",
    "report",
    "runs",
    "sklearn",
    "storage",
    "synthetic",
    "teachers",
    "training",
)
"""The folders, so that `overproof.models.load_student` needs no second import."""


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        return import_module(f"overproof.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_FOLDERS})
