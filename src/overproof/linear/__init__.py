"""Self-distillation of linear models with tuned imitation: ridge regression in closed form and softmax regression.

May import `evaluation`, `data`, `functional` and every other folder below `linear`; scikit-learn is imported here at
module level, so that `import overproof` does not import this folder.
"""

from overproof.linear.path import RiskPath as RiskPath
from overproof.linear.plot import plot_accuracy as plot_accuracy
from overproof.linear.plot import plot_imitation as plot_imitation
from overproof.linear.plot import plot_risk as plot_risk
from overproof.linear.ridge import RidgeSelfDistillation as RidgeSelfDistillation
from overproof.linear.ridge import RidgeSelfDistillationCV as RidgeSelfDistillationCV
from overproof.linear.softmax import ImitationGrid as ImitationGrid
from overproof.linear.softmax import SoftmaxSelfDistillation as SoftmaxSelfDistillation
