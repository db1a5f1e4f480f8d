"""Distillation in the `Trainer` of Hugging Face: one loss function and one callback. Nothing else imports this folder.

Imports `training` and what is below it. It needs transformers and accelerate: pip install 'overproof[huggingface]'.
"""

from overproof.huggingface.distillation import Distillation as Distillation
from overproof.huggingface.distillation import distillation_of as distillation_of
