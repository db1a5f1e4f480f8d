"""The target of a semi-supervised classifier: which rows have a label, and which classes there are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite

from overproof.data.frames import label_array
from overproof.data.labels import given_words
from overproof.errors import InputError

FOLDS = "overproof.sklearn.LabelledFolds(5)"
"""What a search gets as its `cv`; plain folds hold unlabelled rows, which cannot be scored."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KnownLabels:
    """Labels as scikit-learn has them.

    Args:
        known: [N], whether the label is known.
        classes: [K], sorted, as they were given.
        index: [N], into `classes`; -1 where unknown.
    """

    known: NDArray[np.bool_]
    classes: NDArray[Any]
    index: NDArray[np.int64]


def target_of(y: Any, who: str) -> KnownLabels:
    """The target in y: -1 is an unknown label among numbers, None or NaN among strings (and numbers).

    Args:
        y: [N], an array, a list, or a series of pandas or Polars.
        who: What needs it, for error messages.

    Raises:
        ValueError: There is none, it is no target of a classifier, or no label is known.
        InputError: A string that may mean "unlabelled"; labels of several types.
    """
    if y is None:
        raise ValueError(f"{who} requires y to be passed, but the target y is None.")
    values = y if isinstance(y, np.ndarray) and y.dtype.kind in "biuU" else label_array(y)
    values = column_or_1d(values, warn=True)
    if values.dtype.kind == "f":
        assert_all_finite(values, input_name="y")
    if values.dtype.kind in "UO":
        try:
            words = given_words(values.tolist(), (), "y")
        except InputError as error:
            raise InputError(str(error).partition("; if it is a class")[0] + "; no class may be called this.") from None
        words = [None if isinstance(value, float) and value != value else value for value in words]
        values = np.array([*words, None], object)[:-1]
        if odd := [value for value in values if value is not None and not isinstance(value, str)]:
            raise InputError(f"y holds {odd[0]!r} beside strings; all labels must be strings then.")
        known = np.array([value is not None for value in values], bool)
        if isinstance(y, np.ndarray) and y.dtype.kind == "U":
            values = values.astype(y.dtype)
    else:
        known = values != -1 if values.dtype.kind in "iu" else np.ones(len(values), bool)
    check_classification_targets(values[known])
    classes, places = np.unique(values[known], return_inverse=True)
    if len(classes) == 0:
        raise ValueError(
            f"{who}: y has no label; some rows need one, the others have -1, None or NaN. In a search or "
            f"cross-validation give cv={FOLDS}, which leaves unlabelled rows in every training set."
        )
    index = np.full(len(values), -1)
    index[known] = places
    return KnownLabels(known=known, classes=classes, index=index)
