"""Synthetic data with known truth: worlds with their posterior, and noise added to labels and to teacher predictions.

Used by tests, tutorials and experiments; imports `functional`, `contract`, `errors` and the names in `registry`.
"""

from overproof.synthetic.corrupt_answers import class_conditional_flips as class_conditional_flips
from overproof.synthetic.corrupt_answers import favouring as favouring
from overproof.synthetic.corrupt_answers import random_flips as random_flips
from overproof.synthetic.corrupt_labels import NoisyLabels as NoisyLabels
from overproof.synthetic.corrupt_labels import adversarial_noise as adversarial_noise
from overproof.synthetic.corrupt_labels import asymmetric_noise as asymmetric_noise
from overproof.synthetic.corrupt_labels import corrupt as corrupt
from overproof.synthetic.corrupt_labels import hierarchical_noise as hierarchical_noise
from overproof.synthetic.corrupt_labels import symmetric_noise as symmetric_noise
from overproof.synthetic.worlds import World as World
from overproof.synthetic.worlds import blobs as blobs
from overproof.synthetic.worlds import margin_world as margin_world
from overproof.synthetic.worlds import rising_accuracy as rising_accuracy
from overproof.synthetic.worlds import systematic_world as systematic_world
from overproof.synthetic.worlds import two_views as two_views
