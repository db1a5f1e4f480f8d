"""What is compared with what: one loss per example."""

from overproof.losses.adaptation_matrix import AdaptationMatrix as AdaptationMatrix
from overproof.losses.cross_entropy import CrossEntropy as CrossEntropy
from overproof.losses.forward_correction import ForwardCorrection as ForwardCorrection
from overproof.losses.generalized_cross_entropy import GeneralizedCrossEntropy as GeneralizedCrossEntropy
from overproof.losses.student_label_mixing import StudentLabelMixing as StudentLabelMixing
from overproof.losses.tempered_divergence import TemperedDivergence as TemperedDivergence
