"""Who answers: trained on the labels and cross-fitted, brought as a model, or brought as files of answers."""

from overproof.teacher.answer_sets import from_files as from_files
from overproof.teacher.by_name import trainable as trainable
from overproof.teacher.crossfit import cross_fitted as cross_fitted
from overproof.teacher.estimator import Estimator as Estimator
from overproof.teacher.fitted import cross_fitted_estimator as cross_fitted_estimator
from overproof.teacher.network import Network as Network
from overproof.teacher.opening import opened as opened
from overproof.teacher.saved_student import SavedTeacher as SavedTeacher
from overproof.teacher.saved_student import open_teacher as open_teacher
from overproof.teacher.scorers import Brought as Brought
from overproof.teacher.scorers import Predictor as Predictor
from overproof.teacher.scorers import Trainable as Trainable
from overproof.teacher.scorers import Whole as Whole
from overproof.teacher.scorers import asked_once as asked_once
