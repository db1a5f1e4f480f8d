"""Noise models by name: how the teacher's errors are estimated.

Imports `noise`, `registry` and `papers`.
"""

from overproof.methods.noise_models.answer_sets import AnswerSets as AnswerSets
from overproof.methods.noise_models.conditional import Conditional as Conditional
from overproof.methods.noise_models.isotonic import Isotonic as Isotonic
from overproof.methods.noise_models.noiseless import Noiseless as Noiseless
from overproof.methods.noise_models.published import Published as Published
from overproof.methods.noise_models.trust_probe import Probed as Probed
