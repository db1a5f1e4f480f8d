"""Weights by name: how much each example counts, one number per example."""

from overproof.methods.weights.class_balanced import ClassBalanced as ClassBalanced
from overproof.methods.weights.consensus import Consensus as Consensus
from overproof.methods.weights.debiased import Debiased as Debiased
from overproof.methods.weights.fidelity import Fidelity as Fidelity
from overproof.methods.weights.uniform import Uniform as Uniform
