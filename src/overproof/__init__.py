"""Distillation with unlabelled examples: a small student, debiased from an imperfect teacher."""

from overproof.arrays import distill as distill
from overproof.deployment import export as export
from overproof.distillation import Distilled as Distilled
from overproof.errors import InputError as InputError
from overproof.experiment import Experiment as Experiment
from overproof.models import ModelSpec as ModelSpec
from overproof.self_distillation import self_distill as self_distill
from overproof.steps import Result as Result
from overproof.steps import run as run
from overproof.train_options import TrainOptions as TrainOptions
from overproof.version import __version__ as __version__
