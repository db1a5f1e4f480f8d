"""Published formulas of linear self-distillation: optimal imitation, noise threshold, risks, logistic bands.

There are three conventions for the regularization, and the docstring of every function names the one it uses:

* *un-normalised*: ridge minimises ||y - X b||^2 + regularization ||b||^2; the fixed-design functions, after the paper.
* *normalised*: ridge minimises ||y - X b||^2 / n + regularization ||b||^2, so that it inverts X'X/n + regularization I:
  the estimators and `proportional_risk`. Un-normalised = n times normalised.
* *mean loss*: mean logistic loss + regularization/2 ||w||^2: `logistic_bands` and `SoftmaxSelfDistillation`.

`imitation` is the weight of the teacher in the student's targets: imitation * teacher + (1 - imitation) * label.
"""

from overproof.linear.theory.fixed_design import estimation_error as estimation_error
from overproof.linear.theory.fixed_design import gain_over_tuned_ridge as gain_over_tuned_ridge
from overproof.linear.theory.fixed_design import noise_threshold as noise_threshold
from overproof.linear.theory.fixed_design import optimal_imitation as optimal_imitation
from overproof.linear.theory.fixed_design import optimal_regularization as optimal_regularization
from overproof.linear.theory.logistic import logistic_bands as logistic_bands
from overproof.linear.theory.mixture import distilled_risk as distilled_risk
from overproof.linear.theory.mixture import mixture_weights as mixture_weights
from overproof.linear.theory.proportional import proportional_moments as proportional_moments
from overproof.linear.theory.proportional import proportional_risk as proportional_risk
