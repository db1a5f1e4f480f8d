"""How the teacher's errors are estimated, by name.

Imports `noise`, `registry` and `papers`.
"""

from overproof.methods.noise_models.isotonic import Isotonic as Isotonic
from overproof.methods.noise_models.noiseless import Noiseless as Noiseless
from overproof.methods.noise_models.published import Published as Published
