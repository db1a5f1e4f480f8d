"""How much each example counts: one number per example."""

from overproof.weights.consensus import Consensus as Consensus
from overproof.weights.debiased import Debiased as Debiased
from overproof.weights.fidelity import Fidelity as Fidelity
from overproof.weights.uniform import Uniform as Uniform
