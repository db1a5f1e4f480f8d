"""Estimation of the teacher's errors from its out-of-sample predictions on labelled examples."""

from overproof.noise.accuracy import IsotonicAccuracy, isotonic_accuracy, lower_bound
from overproof.noise.adapter import Adapter, adapt, adapted_by_role
from overproof.noise.answer_sets import SetLikelihood, members, set_likelihood
from overproof.noise.calibration import calibrate, fit_temperature
from overproof.noise.candidates import CandidateRule, fixed_candidates, num_candidates
from overproof.noise.class_accuracy import ClassAccuracy, class_accuracy, same_margins
from overproof.noise.combination import Combination, combine, combined_by_role
from overproof.noise.doubtful import DoubtfulClasses, accuracy_in_words, doubtful_classes
from overproof.noise.estimate import NoiseEstimate, NoiseModel
from overproof.noise.likelihood import (
    ConditionalLikelihood,
    LikelihoodRule,
    TransitionLikelihood,
    conditional_likelihood,
)
from overproof.noise.margins import margin
from overproof.noise.named_posterior import named_posterior, named_posterior_by_role, posterior_of
from overproof.noise.neighbours import (
    NeighbourAccuracy,
    QuantileGrid,
    knn_accuracy,
    nearest_neighbour_mean,
    num_cells,
    num_neighbours,
)
from overproof.noise.stacking import Stacking, log_loss, stack, stack_by_role, stacked_out_of_fold
from overproof.noise.transition import global_accuracy, transition_interval, transition_matrix
from overproof.noise.trust_probe import TrustProbe, trust_probe

__all__ = [
    "Adapter",
    "CandidateRule",
    "ClassAccuracy",
    "Combination",
    "ConditionalLikelihood",
    "DoubtfulClasses",
    "IsotonicAccuracy",
    "LikelihoodRule",
    "NeighbourAccuracy",
    "NoiseEstimate",
    "NoiseModel",
    "QuantileGrid",
    "SetLikelihood",
    "Stacking",
    "TransitionLikelihood",
    "TrustProbe",
    "accuracy_in_words",
    "adapt",
    "adapted_by_role",
    "calibrate",
    "class_accuracy",
    "combine",
    "combined_by_role",
    "conditional_likelihood",
    "doubtful_classes",
    "fit_temperature",
    "fixed_candidates",
    "global_accuracy",
    "isotonic_accuracy",
    "knn_accuracy",
    "log_loss",
    "lower_bound",
    "margin",
    "members",
    "named_posterior",
    "named_posterior_by_role",
    "nearest_neighbour_mean",
    "num_candidates",
    "num_cells",
    "num_neighbours",
    "posterior_of",
    "same_margins",
    "set_likelihood",
    "stack",
    "stack_by_role",
    "stacked_out_of_fold",
    "transition_interval",
    "transition_matrix",
    "trust_probe",
]
