"""Teachers: trained on the labels and cross-fitted, pretrained models, and files of answers. `kinds.py` lists them all.

Imports `training`, `methods`, `answers`, `models`, `data`, `storage`, `cross_fitting` and the modules below them.
"""

from overproof.teachers.ask_once import Asker as Asker
from overproof.teachers.ask_once import SharedPool as SharedPool
from overproof.teachers.ask_once import ask_once as ask_once
from overproof.teachers.brought.answer_files import check_roles as check_roles
from overproof.teachers.brought.answer_files import enough_answered as enough_answered
from overproof.teachers.brought.answer_files import from_files as from_files
from overproof.teachers.brought.answer_files import joined_by as joined_by
from overproof.teachers.brought.answer_files import judged_on as judged_on
from overproof.teachers.brought.given_classifier import GivenRows as GivenRows
from overproof.teachers.brought.given_classifier import cross_fitted_estimator as cross_fitted_estimator
from overproof.teachers.brought.saved_student import SavedTeacher as SavedTeacher
from overproof.teachers.brought.saved_student import open_teacher as open_teacher
from overproof.teachers.by_content import AnswersByContent as AnswersByContent
from overproof.teachers.elsewhere import opened_elsewhere as opened_elsewhere
from overproof.teachers.kinds import brought_kind_of as brought_kind_of
from overproof.teachers.kinds import is_brought as is_brought
from overproof.teachers.kinds import kind_of as kind_of
from overproof.teachers.kinds import opened as opened
from overproof.teachers.kinds import remarks_on as remarks_on
from overproof.teachers.kinds import short_name as short_name
from overproof.teachers.kinds import spoken as spoken
from overproof.teachers.kinds import trainable as trainable
from overproof.teachers.scorers import Brought as Brought
from overproof.teachers.scorers import Predictor as Predictor
from overproof.teachers.scorers import Trainable as Trainable
from overproof.teachers.scorers import remarks_of as remarks_of
from overproof.teachers.trained.cross_fitted import cross_fitted as cross_fitted
from overproof.teachers.trained.estimator import Estimator as Estimator
from overproof.teachers.trained.network import Network as Network
