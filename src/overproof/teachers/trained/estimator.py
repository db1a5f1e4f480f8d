"""A scikit-learn classifier by import path, trained on the labels."""

import importlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models import TableEncoder, is_estimator
from overproof.models.importing import check_options_of, imported
from overproof.teachers.kind import Named, TrainedKind, TrainingSetting
from overproof.teachers.scorers import Predictor, spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimator:
    """A scikit-learn classifier on table features (encoded as for students) or on flattened images.

    Args:
        path: Import path `package.module:factory`.
        options: Arguments of the factory.
        examples: Labelled and pool, on which the encoding of a table is fitted.
    """

    path: str
    options: Mapping[str, Any]
    examples: tuple[Examples, ...]

    @property
    def fingerprint(self) -> str:
        """Import path, options and the version of the package that holds the factory."""
        imported(self.path, what="teacher")
        package = importlib.import_module(self.path.partition(".")[0].partition(":")[0])
        version = getattr(package, "__version__", "")
        return f"{self.path} {version} {json.dumps(dict(self.options), sort_keys=True)}"

    @cached_property
    def _encoder(self) -> TableEncoder:
        return TableEncoder.fit(self.examples)

    def _of(self, examples: Examples) -> np.ndarray:
        if examples.kind == "text":
            raise InputError(f"teacher.model {self.path!r} reads tables and images; for text use 'minilm' or 'ngram'.")
        if isinstance(examples.inputs, Tensor):
            return examples.inputs.flatten(1).numpy().astype(np.float32) / 255
        encoded: np.ndarray = self._encoder.encode(examples).values.numpy()
        return encoded

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Fit a fresh estimator; one that takes `random_state` gets the seed.

        Raises:
            InputError: The estimator rejects the examples, when it is fitted or when it predicts.
        """
        estimator = made(self.path, self.options, seed)
        inputs = self._of(labelled)
        try:
            estimator.fit(inputs, labelled.label.numpy())
        except Exception as error:
            raise InputError(
                f"teacher.model {self.path!r} cannot be fitted on {len(labelled)} labelled examples: {reason(error)}."
            ) from None

        def predict(examples: Examples) -> Tensor:
            inputs = self._of(examples)
            try:
                probs = estimator.predict_proba(inputs)
            except Exception as error:
                raise InputError(
                    f"teacher.model {self.path!r}, fitted on {len(labelled)} labelled examples, cannot predict: "
                    f"{reason(error)}."
                ) from None
            return spread(probs, estimator.classes_, num_classes)

        return predict


def made(path: str, options: Mapping[str, Any], seed: int = 0) -> Any:
    """A fresh classifier; one that takes `random_state` gets the seed.

    Args:
        path: Import path `package.module:factory`.
        options: Arguments of the factory.
        seed: Decides what is random in it.

    Raises:
        InputError: There is no such factory, it does not take the options, or what it makes gives no probabilities.
    """
    factory = imported(path, what="teacher")
    check_options_of(path, options, "teacher.options")
    taken = dict(options)
    if "random_state" in inspect.signature(factory).parameters:
        taken.setdefault("random_state", seed % 2**32)
    try:
        estimator = factory(**taken)
    except TypeError as error:
        raise InputError(f"teacher.options do not fit {path!r}: {error}.") from None
    if not hasattr(estimator, "predict_proba"):
        raise InputError(f"teacher.model {path!r} has no predict_proba; a classifier with one is needed.")
    return estimator


class EstimatorByPath(TrainedKind):
    """The import path of a scikit-learn classifier."""

    def matches(self, named: Named) -> bool:
        """By what is at the path."""
        return ":" in named.model and is_estimator(imported(named.model, what="teacher"))

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """That it can be made with its options, and reads the data."""
        if kind is None:
            return
        made(named.model, named.options)
        if kind == "text":
            raise InputError(
                f"Option '{option}.model' is {named.model!r}, which reads tables and images; for text use 'minilm' or "
                f"'ngram'."
            )

    def make(self, named: Named, setting: TrainingSetting) -> Estimator:
        """A fresh classifier for each fit."""
        return Estimator(path=named.model, options=named.options, examples=setting.fitting)
