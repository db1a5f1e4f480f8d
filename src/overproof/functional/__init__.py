"""The mathematics of every method as plain functions on tensors, for any training loop.

All losses return one number per example, [B]; nothing is averaged. Half precision is converted to float32 first;
float64 stays float64. Imports `contract` and `errors` only.
"""

from overproof.functional.likelihood import (
    answer_nll,
    candidate_likelihood,
    set_likelihood,
    transition_likelihood,
)
from overproof.functional.losses import (
    candidate_mask,
    generalized_cross_entropy,
    mix_student_label,
    soft_cross_entropy,
    squared_error,
    student_label_mixing,
    tempered_divergence,
)
from overproof.functional.probabilities import (
    SMALLEST_PROBABILITY,
    label_distribution,
    likeliest,
    margin,
    names_none,
    one_hot,
)
from overproof.functional.targets import calibrated_target, held_out_imitation, self_distilled_target
from overproof.functional.transition import adaptation_nll, adaptation_nll_of_logs, log_adaptation_matrix
from overproof.functional.weights import debiased_weight

__all__ = [
    "SMALLEST_PROBABILITY",
    "adaptation_nll",
    "adaptation_nll_of_logs",
    "answer_nll",
    "calibrated_target",
    "candidate_likelihood",
    "candidate_mask",
    "debiased_weight",
    "generalized_cross_entropy",
    "held_out_imitation",
    "label_distribution",
    "likeliest",
    "log_adaptation_matrix",
    "margin",
    "mix_student_label",
    "names_none",
    "one_hot",
    "self_distilled_target",
    "set_likelihood",
    "soft_cross_entropy",
    "squared_error",
    "student_label_mixing",
    "tempered_divergence",
    "transition_likelihood",
]
