"""A student and its teacher as one scikit-learn classifier. Nothing else of the package imports this folder.

Imports `api` and what is below it; scikit-learn 1.6 or newer is needed.
"""

from overproof.sklearn.classifier import DistilledClassifier as DistilledClassifier
from overproof.sklearn.labelled_folds import LabelledFolds as LabelledFolds
