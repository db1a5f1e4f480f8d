"""Losses by name: the comparison of student and target, one number per example."""

from overproof.methods.losses.adaptation_matrix import AdaptationMatrix as AdaptationMatrix
from overproof.methods.losses.answer_likelihood import AnswerLikelihood as AnswerLikelihood
from overproof.methods.losses.cross_entropy import CrossEntropy as CrossEntropy
from overproof.methods.losses.forward_correction import ForwardCorrection as ForwardCorrection
from overproof.methods.losses.generalized_cross_entropy import GeneralizedCrossEntropy as GeneralizedCrossEntropy
from overproof.methods.losses.squared_error import SquaredError as SquaredError
from overproof.methods.losses.student_label_mixing import StudentLabelMixing as StudentLabelMixing
from overproof.methods.losses.tempered_divergence import TemperedDivergence as TemperedDivergence
