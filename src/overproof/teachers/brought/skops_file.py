"""A fitted scikit-learn classifier in a skops file."""

import importlib.util
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pydantic
import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.classifiers import TYPES
from overproof.models.importing import allowed
from overproof.models.trees import check_trees
from overproof.teachers.brought.decision import Decision, check_decision
from overproof.teachers.brought.onnx_inputs import number_matrix
from overproof.teachers.brought.onnx_scores import Meaning, ScoreReading
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import (
    check_named,
    checked_options,
    column_order,
    hash_of_files,
)


class SkopsOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a skops file is opened.

    Args:
        trusted: Types of scikit-learn in the file that skops does not trust, such as `sklearn.tree._tree.Tree`; those
            in `overproof.models.classifiers.TYPES` are possible. A type of any other package must be allowed in the
            command, by `--allow-import mypackage:MyTransformer` (in Python: `allow_import`): no file can do that.
        decision: Where the class that the model predicts is not the one of its largest probability (a tuned threshold):
            `predict` or `probabilities` says which is the answer.
        scores: `sigmoid` takes rows that do not sum to one for a probability of each class by itself, as of a model
            of several labels, and divides them by their sum.
    """

    trusted: tuple[str, ...] = ()
    decision: Decision = ""
    scores: Literal["auto", "sigmoid"] = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedEstimator:
    """A fitted classifier, its classes matched to a run's by name.

    Args:
        kind: The kind of examples it answers.
        fingerprint: The hash of its file.
        former: The same with the file's name, as earlier versions had it.
        order: [K], which of its columns each of the run's classes is.
        estimator: With `predict_proba`.
        names: K, its own, in the order of its columns.
        who: What to call it in errors.
        decision: As in `SkopsOptions`.
        scores: What predict_proba gives: `probabilities`, or `sigmoid`.
    """

    kind: Kind
    fingerprint: str
    former: str = ""
    order: Int[Tensor, "K"]
    estimator: Any
    names: tuple[str, ...]
    who: str
    decision: Decision
    scores: Meaning

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        inputs = raw(self.estimator, examples, self.who)
        given = _given(self.estimator, inputs, self.who)
        probs = _reading(self.scores, self.who).probs(given, examples)
        if self.decision != "probabilities":
            predicted = _predicted(self.estimator, inputs, self.who)
            column = check_decision(self.decision, predicted, probs.numpy(), self.names, self.who, examples)
            if column is not None:
                probs = torch.nn.functional.one_hot(torch.from_numpy(column), len(self.names)).double()
        return probs[:, self.order]


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
    chosen_of = chosen.model_dump(mode="json", exclude_defaults=True, include={"decision", "scores"})
    made += f" {json.dumps(chosen_of, sort_keys=True)}" if chosen_of else ""
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
        names=names,
        who=who,
        decision=chosen.decision,
        scores="sigmoid" if chosen.scores == "sigmoid" else "probabilities",
    )


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


def probs_of(estimator: Any, inputs: Any, examples: Examples, who: str) -> Float[Tensor, "N K"]:
    """A fitted classifier's probabilities, in its own order.

    Args:
        estimator: Fitted.
        inputs: As `raw` gives them.
        examples: What they were made of, for errors.
        who: What to call it in errors.

    Raises:
        InputError: It cannot read the inputs, or gives no probabilities of one class an example.
    """
    return _reading("probabilities", who).probs(_given(estimator, inputs, who), examples)


def _reading(meaning: Meaning, who: str) -> ScoreReading:
    return ScoreReading(meaning=meaning, why="predict_proba must give them", who=who, may_be_logits=False)


def _given(estimator: Any, inputs: Any, who: str) -> np.ndarray:
    probs = np.asarray(_asked(estimator, "predict_proba", inputs, who))
    if probs.ndim != 2:
        raise InputError(f"{who} gives an array of shape {probs.shape}: several answers an example; one is needed.")
    return probs.astype(np.float64)


def _predicted(estimator: Any, inputs: Any, who: str) -> np.ndarray:
    return np.asarray(_asked(estimator, "predict", inputs, who))


def _asked(estimator: Any, method: str, inputs: Any, who: str) -> Any:
    try:
        with warnings.catch_warnings():
            # Columns go by name or by number as `raw` decides; the warning does not apply.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return getattr(estimator, method)(inputs)
    except Exception as error:
        asks = "pandas" in str(error) and importlib.util.find_spec("pandas") is None
        more = "; it asks for a pandas frame, which it gets once pandas is installed" if asks else ""
        raise InputError(f"{who} cannot answer these examples: {reason(error)}{more}.") from None


def raw(estimator: Any, examples: Examples, who: str) -> Any:
    """Examples as the inputs of an estimator that was fitted elsewhere.

    Args:
        estimator: Fitted or about to be.
        examples: A table by the columns it was fitted on (a pandas frame where pandas is installed), else numbers;
            texts as a list; images flattened, in [0, 1].
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
    return _frame(examples.inputs.select(list(named)))


def _frame(table: pa.Table) -> Any:
    """A table as a pandas frame, which a ColumnTransformer that passes columns through needs; Arrow without pandas."""
    return table.to_pandas() if importlib.util.find_spec("pandas") else table


class SkopsFile(BroughtKind):
    """A file `….skops`."""

    def matches(self, named: Named) -> bool:
        """By the end of its name."""
        return named.model.endswith(".skops") and not named.weights

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> FittedEstimator:
        """As `open_skops`."""
        return open_skops(Path(named.model), named.options, class_names, classes=named.classes, examples=examples)
