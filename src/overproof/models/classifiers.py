"""The scikit-learn classifiers that an experiment or a saved student may name by import path, and their options."""

import re
from collections.abc import Mapping
from typing import Any

from overproof.errors import InputError

_NAMES = {
    "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "sklearn.dummy": "DummyClassifier",
    "sklearn.ensemble": (
        "AdaBoostClassifier BaggingClassifier ExtraTreesClassifier GradientBoostingClassifier "
        "HistGradientBoostingClassifier RandomForestClassifier"
    ),
    "sklearn.gaussian_process": "GaussianProcessClassifier",
    "sklearn.linear_model": "LogisticRegression LogisticRegressionCV SGDClassifier",
    "sklearn.naive_bayes": "BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB",
    "sklearn.neighbors": "KNeighborsClassifier NearestCentroid RadiusNeighborsClassifier",
    "sklearn.neural_network": "MLPClassifier",
    "sklearn.svm": "NuSVC SVC",
    "sklearn.tree": "DecisionTreeClassifier ExtraTreeClassifier",
}

KNOWN = frozenset(f"{module}:{name}" for module, names in _NAMES.items() for name in names.split())
"""Import paths that need no permission: classifiers of scikit-learn whose options are plain values, none of which names
code or a file."""

TYPES = frozenset(
    {
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""The types in the archives of fitted classifiers of `KNOWN` that skops leaves to its caller."""

_WORD = re.compile(r"[A-Za-z0-9_+. -]{0,60}")


def check_classifier_options(path: str, options: Mapping[str, Any], option: str) -> None:
    """Check that the options of a classifier of `KNOWN` are plain values: numbers, words, and lists and groups of them.

    Args:
        path: Its import path.
        options: By name.
        option: What to call them in errors: "student.options".

    Example:
        >>> check_classifier_options("sklearn.svm:SVC", {"kernel": "rbf", "C": 0.5}, "student.options")

    Raises:
        InputError: One is not.
    """
    for name, value in options.items():
        if (odd := _odd_in(value)) is not None:
            raise InputError(
                f"Option '{option}.{name}' of {path!r} holds {odd!r}; numbers, true, false, null and words of letters, "
                f"digits and _ + - . are allowed."
            )


def _odd_in(value: Any) -> Any:
    """The first value that is not plain, or None."""
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return next((odd for each in value if (odd := _odd_in(each)) is not None), None)
    if isinstance(value, str):
        return None if _WORD.fullmatch(value) else value
    return None if value is None or isinstance(value, int | float) else value
