"""A fitted scikit-learn classifier: from a skops file, or given from Python; an unfitted one is cross-fitted."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pydantic
import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.cross_fitting import FoldModels, folds
from overproof.data import Examples, Kind, repeats_in
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.classifiers import TYPES
from overproof.models.importing import allowed
from overproof.models.trees import check_trees
from overproof.seeds import derived_seed
from overproof.teachers.brought.onnx_inputs import number_matrix
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import (
    check_named,
    check_two_classes,
    checked_options,
    column_order,
    hash_of_files,
    of_one_class,
    spread,
)


class SkopsOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a skops file is opened.

    Args:
        trusted: Types of scikit-learn in the file that skops does not trust, such as `sklearn.tree._tree.Tree`; those
            in `overproof.models.classifiers.TYPES` are possible. A type of any other package must be allowed in the
            command, by `--allow-import mypackage:MyTransformer` (in Python: `allow_import`): no file can do that.
    """

    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedEstimator:
    """A fitted classifier, its classes matched to a run's by name.

    Args:
        kind: The kind of examples it answers.
        fingerprint: The hash of its file.
        former: The same with the file's name, as earlier versions had it.
        order: [K], which of its columns each of the run's classes is.
        estimator: With `predict_proba`.
        who: What to call it in errors.
    """

    kind: Kind
    fingerprint: str
    former: str = ""
    order: Int[Tensor, "K"]
    estimator: Any
    who: str

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        return probs_of(self.estimator, raw(self.estimator, examples, self.who), self.who)[:, self.order]


def open_skops(
    path: Path,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    classes: Sequence[str],
    examples: Examples,
) -> FittedEstimator:
    """The fitted classifier in a skops file; a file with types that are not trusted is not opened.

    A table is passed by its column names where it was fitted on named columns, else as a matrix of numbers; texts
    as strings, images flattened to numbers in [0, 1].

    Args:
        path: The file.
        options: `SkopsOptions`.
        class_names: The run's, in order.
        classes: The names of its classes in the order of `classes_`, where those are not the names themselves.
        examples: Some of the examples that it will answer.

    Raises:
        InputError: skops is not installed; untrusted types, each named; no classifier with probabilities; class names
            that do not match.
    """
    who = f"teacher ({path})"
    chosen = checked_options(SkopsOptions, options, who)
    try:
        import skops
        import skops.io
    except ImportError:
        raise InputError(f"{who} needs the package skops; install it with: pip install 'overproof[sklearn]'.") from None
    made = f"skops {skops.__version__} {json.dumps(list(classes))}"
    hashes = [hash_of_files([path], "model.skops"), hash_of_files([path])]
    try:
        found = skops.io.get_untrusted_types(file=path)
        named = {each.replace(":", ".") for each in allowed()} | (TYPES & set(chosen.trusted))
        if unknown := [name for name in found if name not in named]:
            lines = [f"--allow-import {':'.join(each.rsplit('.', 1))}" for each in unknown if each not in TYPES]
            how = f"{' '.join(lines)} (in Python: allow_import)" if lines else "'teacher.options.trusted'"
            raise InputError(
                f"{who} holds types that are not trusted: {listed(unknown)}; allow them with {how} if you know what "
                f"they do."
            )
        estimator = skops.io.load(path, trusted=sorted(found))
        check_trees(estimator, who)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{who} cannot be opened by skops: {reason(error)}.") from None
    own = tuple(map(str, checked_classes(estimator, who)))
    names = tuple(classes) or own
    check_named(len(own), names, who)
    return FittedEstimator(
        kind=examples.kind,
        fingerprint=f"{made} file={hashes[0]}",
        former=f"{made} file={hashes[1]}",
        order=column_order(class_names, names, who),
        estimator=estimator,
        who=who,
    )


def cross_fitted_estimator(
    estimator: Any, labelled: Examples, pool: Examples, *, num_folds: int, seed: int
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

    who, names = f"teacher ({type(estimator).__name__})", labelled.class_names
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
        both = [probs_of(estimator, raw(estimator, each, who), who)[:, order] for each in (labelled, pool)]
        return both[0], both[1]

    check_two_classes(labelled)
    fold = folds(labelled.label, num_folds, derived_seed(seed, "teacher folds"), repeats_in(labelled).group)
    models = FoldModels(fold=fold, fit=_fit_of(estimator, labelled, seed))
    out_of_fold = models.out_of_fold(lambda predict, held_out: predict(labelled.take(held_out)))
    return out_of_fold, models.mean(lambda predict: predict(pool), labelled.label)


def pool_without_halves(
    estimator: Any, labelled: Examples, pool: Examples, *, seed: int
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
    fold = folds(labelled.label, 2, seed, repeats_in(labelled).group)
    models = FoldModels(fold=fold, fit=_fit_of(estimator, labelled, seed))
    return models[0](pool), models[1](pool)


def _fit_of(estimator: Any, labelled: Examples, seed: int) -> Callable[[int, Tensor], Callable[[Examples], Tensor]]:
    """The fit of a clone on some of the labelled examples."""
    from sklearn.base import clone

    who, names = f"teacher ({type(estimator).__name__})", labelled.class_names

    def fit(number: int, rows: Tensor) -> Callable[[Examples], Tensor]:
        some, fitted = labelled.take(rows), clone(estimator)
        if len(seen := some.label.unique()) == 1:
            return of_one_class(int(seen), len(names))
        if "random_state" in fitted.get_params() and fitted.get_params()["random_state"] is None:
            fitted.set_params(random_state=derived_seed(seed, "teacher", number) % 2**32)
        try:
            fitted.fit(raw(fitted, some, who), some.label.numpy())
        except InputError as error:
            raise InputError(
                f"{str(error).rstrip('.')}; in Python `overproof.sklearn.DistilledClassifier` gives a teacher, such "
                f"as a pipeline with a ColumnTransformer, the data frame as it is."
            ) from None
        except Exception as error:
            raise InputError(f"{who} cannot be fitted on {labelled.origin}: {reason(error)}.") from None
        own = checked_classes(fitted, who)
        return lambda examples: spread(probs_of(fitted, raw(fitted, examples, who), who).numpy(), own, len(names))

    return fit


def checked_classes(estimator: Any, who: str) -> np.ndarray:
    """The classes of a fitted classifier, in the order of its columns.

    Raises:
        InputError: It is none, or gives no probabilities.
    """
    if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
        raise InputError(
            f"{who} is a {type(estimator).__name__}, without predict_proba and classes_; a classifier is needed."
        )
    return np.asarray(estimator.classes_)


def probs_of(estimator: Any, inputs: Any, who: str) -> Float[Tensor, "N K"]:
    """A fitted classifier's probabilities, in its own order.

    Raises:
        InputError: It cannot read the inputs.
    """
    try:
        with warnings.catch_warnings():
            # Columns go by name or by number as `raw` decides; the warning does not apply.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            probs = estimator.predict_proba(inputs)
    except Exception as error:
        raise InputError(f"{who} cannot answer these examples: {reason(error)}.") from None
    return torch.from_numpy(np.asarray(probs, np.float64))


def raw(estimator: Any, examples: Examples, who: str) -> Any:
    """Examples as the inputs of an estimator that was fitted elsewhere.

    Args:
        estimator: Fitted or about to be.
        examples: A table by the columns it was fitted on, else numbers; texts as a list; images flattened, in [0, 1].
        who: What to call it in errors.

    Raises:
        InputError: Columns that it was fitted on are missing, or a matrix is wanted of columns that hold no numbers.
    """
    if isinstance(examples.inputs, Tensor):
        return examples.inputs.flatten(1).numpy().astype(np.float32) / 255
    if not isinstance(examples.inputs, pa.Table):
        return examples.inputs.to_pylist()
    named = getattr(estimator, "feature_names_in_", None)
    if named is None:
        return number_matrix(examples, examples.inputs.column_names, who)
    if missing := [name for name in named if name not in examples.inputs.column_names]:
        raise InputError(
            f"{who} was fitted on {listed(missing)}; {examples.origin} has {listed(examples.inputs.column_names)}."
        )
    return examples.inputs.select(list(named))


class SkopsFile(BroughtKind):
    """A file `….skops`."""

    def matches(self, named: Named) -> bool:
        """By the end of its name."""
        return named.model.endswith(".skops") and not named.weights

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> FittedEstimator:
        """As `open_skops`."""
        return open_skops(Path(named.model), named.options, class_names, classes=named.classes, examples=examples)
