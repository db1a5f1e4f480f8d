"""A scikit-learn classifier that is given from Python: a fitted one answers as it is, another is cross-fitted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from overproof.cross_fitting import FoldModels, folds
from overproof.data import Examples, repeats_in
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.seeds import derived_seed
from overproof.teachers.brought.onnx_inputs import number_matrix
from overproof.teachers.brought.skops_file import checked_classes, probs_of, raw
from overproof.teachers.scorers import check_two_classes, column_order, of_one_class, spread

STATE = "random_state"
"""What estimators of scikit-learn call the seed; that of a part of a pipeline follows its name and two underscores."""


@dataclass(frozen=True, slots=True, eq=False)
class GivenRows:
    """Examples that a classifier is fitted on and asked about.

    Args:
        examples: N examples.
        frame: The data frame of pandas or Polars that they were given as, row by row; None for anything else. A
            pipeline reads its columns by their names, with the types and gaps that they have there.
    """

    examples: Examples
    frame: Any = None

    def take(self, rows: Tensor) -> "GivenRows":
        """Some of them, by row numbers or a mask."""
        from sklearn.utils import _safe_indexing

        chosen = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        frame = None if self.frame is None else _safe_indexing(self.frame, chosen.numpy())
        return GivenRows(self.examples.take(rows), frame)

    def read_by(self, estimator: Any, who: str) -> Any:
        """What an estimator reads of them: the frame with the columns it was fitted on, else as `raw`.

        Raises:
            InputError: As `raw`.
        """
        if self.frame is None:
            return raw(estimator, self.examples, who)
        named = getattr(estimator, "feature_names_in_", None)
        if named is None or set(named) - set(self.frame.columns):
            # A column that is missing is named by scikit-learn.
            return self.frame
        return self.frame[list(named)]


def cross_fitted_estimator(
    estimator: Any, labelled: GivenRows, pool: GivenRows, *, num_folds: int, seed: int
) -> tuple[Float[Tensor, "n K"], Float[Tensor, "N K"]]:
    """A classifier's probabilities on labelled examples and pool, none of them by a fit that saw the example.

    A fitted one predicts as it is, and must not have been trained on the labelled examples.
    Another is cloned and fitted once a fold of the labelled examples, each of which is answered by the fit without it;
    the pool gets the mean of all fits, a class that some of them have not seen the mean of those that have
    (`FoldModels.mean`). A fit on one class only gives it probability 1.

    Args:
        estimator: A scikit-learn classifier with `predict_proba`, of classes 0..K-1 or of the class names.
        labelled: n examples with known labels.
        pool: N more.
        num_folds: F, at least 2, for one that is not fitted.
        seed: Draws the folds.

    Returns:
        [n, K] and [N, K].

    Raises:
        InputError: No classifier; classes that are not those of the labels; examples that it does not read.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    who, names = f"teacher ({type(estimator).__name__})", labelled.examples.class_names
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        pass
    except TypeError:
        raise InputError(f"{who} is no scikit-learn classifier.") from None
    else:
        own = tuple(map(str, checked_classes(estimator, who)))
        numbered = own == tuple(map(str, range(len(names))))
        order = torch.arange(len(names)) if numbered else column_order(names, own, who)
        both = [
            probs_of(estimator, each.read_by(estimator, who), each.examples, who)[:, order] for each in (labelled, pool)
        ]
        return both[0], both[1]

    known = labelled.examples
    check_two_classes(known)
    fold = folds(known.label, num_folds, derived_seed(seed, "teacher folds"), repeats_in(known).group)
    models = FoldModels(fold=fold, fit=_fit_of(estimator, labelled, seed))
    out_of_fold = models.out_of_fold(lambda predict, held_out: predict(labelled.take(held_out)))
    return out_of_fold, models.mean(lambda predict: predict(pool), known.label)


def pool_without_halves(
    estimator: Any, labelled: GivenRows, pool: GivenRows, *, seed: int
) -> tuple[Float[Tensor, "N K"], Float[Tensor, "N K"]]:
    """The probabilities on the pool of two clones of a classifier, each fitted without one of two folds.

    Args:
        estimator: As for `cross_fitted_estimator`, not fitted.
        labelled: n examples with known labels.
        pool: N more.
        seed: Draws the folds: those of students that are judged in two folds with this seed.

    Returns:
        [N, K] twice.

    Raises:
        InputError: As for `cross_fitted_estimator`.
    """
    fold = folds(labelled.examples.label, 2, seed, repeats_in(labelled.examples).group)
    models = FoldModels(fold=fold, fit=_fit_of(estimator, labelled, seed))
    return models[0](pool), models[1](pool)


def _fit_of(estimator: Any, labelled: GivenRows, seed: int) -> Callable[[int, Tensor], Callable[[GivenRows], Tensor]]:
    """The fit of a clone on some of the labelled examples."""
    from sklearn.base import clone

    who, names = f"teacher ({type(estimator).__name__})", labelled.examples.class_names

    def fit(number: int, rows: Tensor) -> Callable[[GivenRows], Tensor]:
        some, fitted = labelled.take(rows), clone(estimator)
        label = some.examples.label
        if len(seen := label.unique()) == 1:
            certain = of_one_class(int(seen), len(names))
            return lambda asked: certain(asked.examples)
        draw = derived_seed(seed, "teacher", number)
        open_states = [name for name, value in fitted.get_params().items() if value is None and _is_state(name)]
        states = {name: draw if name == STATE else derived_seed(draw, name) for name in open_states}
        fitted.set_params(**{name: value % 2**32 for name, value in states.items()})
        try:
            fitted.fit(some.read_by(fitted, who), label.numpy())
        except InputError as error:
            raise InputError(
                f"{str(error).rstrip('.')}; give a data frame of pandas or Polars, of which a pipeline with a "
                f"ColumnTransformer reads columns by their names."
            ) from None
        except Exception as error:
            _check_numbers(some.examples, fitted, who)
            raise InputError(f"{who} cannot be fitted on {some.examples.origin}: {reason(error)}.") from None
        own = checked_classes(fitted, who)

        def answer(asked: GivenRows) -> Tensor:
            probs = probs_of(fitted, asked.read_by(fitted, who), asked.examples, who)
            return spread(probs.numpy(), own, len(names))

        return answer

    return fit


def _is_state(name: str) -> bool:
    return name.rpartition("__")[2] == STATE


def _check_numbers(examples: Examples, estimator: Any, who: str) -> None:
    """Say what to do where a classifier alone was given columns that hold no numbers.

    Raises:
        InputError: It was.
    """
    if hasattr(estimator, "steps") or not isinstance(examples.inputs, pa.Table):
        return
    try:
        number_matrix(examples, examples.inputs.column_names, who)
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')}; give a pipeline that turns it into numbers, such as one with a "
            f"ColumnTransformer."
        ) from None
