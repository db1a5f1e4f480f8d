"""Cross-validation of which only labelled rows are scored."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from overproof.cross_fitting import folds
from overproof.data import from_arrays, grouped, repeats_in
from overproof.errors import InputError
from overproof.sklearn.labels import target_of


class LabelledFolds:
    """Folds of the labelled rows; all unlabelled rows are in every training set and in no test set.

    Rows of one content, and of one group, are in one fold; folds are stratified by class. For `cv=` of scikit-learn's
    `GridSearchCV`, `cross_validate` and others.

    Args:
        n_splits: Number of folds, at least 2.
        random_state: Draws the folds.

    Example:
        Rows 0 to 3 have a label, of which rows 0 and 3 are the same.

        >>> inputs = np.array([[0.0], [1.0], [2.0], [0.0], [4.0]])
        >>> for fitted, scored in LabelledFolds(2).split(inputs, np.array([0, 1, 1, 0, -1])):
        ...     print(sorted({0, 3} & set(scored.tolist())), 4 in fitted, 4 in scored)
        [0, 3] True False
        [] True False
    """

    def __init__(self, n_splits: int = 5, *, random_state: int = 0) -> None:
        self.n_splits, self.random_state = n_splits, random_state

    def __repr__(self) -> str:
        return f"LabelledFolds({self.n_splits}, random_state={self.random_state})"

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """The rows to fit on and the rows to score, once a fold.

        Args:
            X: [N] examples, as `DistilledClassifier.fit` takes them, or a sparse matrix.
            y: [N], -1, None or NaN where the label is unknown.
            groups: [N], names or numbers of what the rows come from (patients, authors).

        Raises:
            InputError: Fewer labelled rows (or contents, or groups) than folds.
        """
        target = target_of(y, "LabelledFolds")
        examples = from_arrays(_as_words(X) if hasattr(X, "tocsr") else X, origin="X", missing="allow")
        if len(examples) != len(target.index):
            raise InputError(f"X has {len(examples)} rows and y {len(target.index)}; each row needs a label, or -1.")
        if groups is not None:
            examples = grouped(examples, groups, "groups")
        rows = np.flatnonzero(target.known)
        labelled = examples.take(rows)
        label = torch.from_numpy(target.index[rows])
        fold = folds(label, self.n_splits, self.random_state, repeats_in(labelled).group).numpy()
        for number in range(self.n_splits):
            scored = rows[fold == number]
            yield np.setdiff1d(np.arange(len(examples)), scored), scored


def _as_words(matrix: Any) -> list[str]:
    """The content of each row of a sparse matrix, which a later step of a pipeline may read."""
    rows = matrix.tocsr(copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    ends = rows.indptr.tolist()
    return [f"{rows.indices[start:end].tolist()} {rows.data[start:end].tolist()}" for start, end in pairwise(ends)]
