"""Self-distillation of linear models with the imitation tuned: ridge in closed form, softmax heads to convergence.

The only package here that imports scikit-learn; `import overproof` does not import it.
"""

from overproof.linear.path import RiskPath as RiskPath
from overproof.linear.plot import plot_accuracy as plot_accuracy
from overproof.linear.plot import plot_imitation as plot_imitation
from overproof.linear.plot import plot_risk as plot_risk
from overproof.linear.ridge import RidgeSelfDistillation as RidgeSelfDistillation
from overproof.linear.ridge import RidgeSelfDistillationCV as RidgeSelfDistillationCV
from overproof.linear.softmax import ImitationGrid as ImitationGrid
from overproof.linear.softmax import SoftmaxSelfDistillation as SoftmaxSelfDistillation
