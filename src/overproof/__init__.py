"""Distillation with unlabelled examples: a small student, debiased from an imperfect teacher."""

from overproof.api import distill as distill
from overproof.api import run as run
from overproof.api import self_distill as self_distill
from overproof.deployment import export as export
from overproof.errors import InputError as InputError
from overproof.models import ModelSpec as ModelSpec
from overproof.runs.experiment import Experiment as Experiment
from overproof.runs.result_file import RunResult as RunResult
from overproof.training.distillation import Distilled as Distilled
from overproof.training.options import TrainOptions as TrainOptions
from overproof.version import __version__ as __version__
