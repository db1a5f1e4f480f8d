"""A frozen encoder and a logistic head trained on the labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32
from torch import Tensor

from overproof.cross_fitting import folds
from overproof.data import Examples, Kind, repeats_in
from overproof.errors import InputError
from overproof.models import FROZEN, Embedder, ImageEmbedder, frozen_embedder
from overproof.storage.id_index import IdIndex
from overproof.storage.keys import ENCODINGS
from overproof.storage.shard import StoreKey
from overproof.storage.store import RowsDone
from overproof.teachers.brought.cut_texts import texts_cut_by
from overproof.teachers.feature_cache import gather
from overproof.teachers.kind import Named, TrainedKind, TrainingSetting
from overproof.teachers.scorers import Predictor, spread

READS: Mapping[str, Kind] = {"minilm": "text", "efficientnet_lite0": "image"}
"""The kind of examples that an encoder reads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedOnce:
    """The features of some examples by a frozen encoder, computed once and stored.

    Args:
        embedder: Texts or images to features [N, D].
        examples: All examples that will be asked for.
        folder: Where the features are stored (`overproof.teachers.feature_cache`).
        progress: Called with (rows done, rows in all).
    """

    embedder: Embedder | ImageEmbedder
    examples: Examples
    folder: Path
    progress: RowsDone | None = None

    @cached_property
    def _all(self) -> tuple[IdIndex, Tensor]:
        """The features of all examples, and where each is among them."""

        def compute(some: Examples) -> Tensor:
            given = some.inputs
            if isinstance(self.embedder, ImageEmbedder):
                assert isinstance(given, Tensor), "trainable() lets images alone through"
                return self.embedder.embed_images(given)
            assert isinstance(given, pa.Array), "trainable() lets texts alone through"
            return self.embedder.embed(given.to_pylist())

        key = StoreKey(teacher=self.embedder.fingerprint, data="", transform=self.examples.kind, code=ENCODINGS)
        ids, features = gather(self.folder, self.examples, key, compute, progress=self.progress)
        return IdIndex(ids), features

    def of(self, examples: Examples) -> Float32[Tensor, "N D"]:
        """The features of some of the examples."""
        index, features = self._all
        rows, known = index.find(examples.ids)
        assert known.all(), "the features of every example were computed"
        return features[torch.from_numpy(rows)]


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenEncoder:
    """A frozen encoder of texts or images with a logistic head; the features are computed once and stored.

    Args:
        embedder: Texts or images to features [N, D].
        scaled: Whether the head sees every feature with mean 0 and deviation 1 over the labelled examples, as features
            that have no length of their own need it.
        examples: All examples that it will answer.
        folder: Where the features are stored (`overproof.teachers.feature_cache`).
        progress: Called with (rows done, rows in all).
    """

    embedder: Embedder | ImageEmbedder
    scaled: bool = False
    examples: Examples
    folder: Path
    progress: RowsDone | None = None

    @property
    def fingerprint(self) -> str:
        """The encoder's own fingerprint and the head's recipe."""
        scaled = "scaled, " if self.scaled else ""
        return f"{self.embedder.fingerprint} + logistic head, {scaled}C by cross-validation"

    @cached_property
    def _features(self) -> EncodedOnce:
        return EncodedOnce(embedder=self.embedder, examples=self.examples, folder=self.folder, progress=self.progress)

    def _of(self, examples: Examples) -> np.ndarray:
        return self._features.of(examples).numpy()

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Fit the head; its regularisation is chosen by cross-validation on the same labels."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV

        features, label = self._of(labelled), labelled.label.numpy()
        fewest = int(np.bincount(label, minlength=num_classes)[np.unique(label)].min())
        head: Any = LogisticRegression(max_iter=2000)
        grid = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
        mean, std = 0.0, 1.0
        if self.scaled:
            mean, std = features.mean(axis=0), features.std(axis=0) + 1e-6
            # D features of deviation 1 are longer than one of length 1 by the root of D.
            grid = [value / features.shape[1] for value in grid]
            head.set_params(C=1 / features.shape[1])
        inner = _inner_folds(labelled, min(fewest, 5), seed)
        if inner is not None:
            head = GridSearchCV(head, {"C": grid}, scoring="neg_log_loss", cv=inner)
        head.fit((features - mean) / std, label)

        def predict(examples: Examples) -> Tensor:
            return spread(head.predict_proba((self._of(examples) - mean) / std), head.classes_, num_classes)

        return predict


def _inner_folds(labelled: Examples, most: int, seed: int) -> Any:
    """Folds of examples that a head is fitted on, to choose its regularisation; None where a class has one example.

    Copies of an example, and examples of one group, are in one fold, or the weakest regularisation would always seem
    the best.
    """
    from sklearn.model_selection import PredefinedSplit, StratifiedKFold

    if most < 2:
        return None
    repeats = repeats_in(labelled)
    if not repeats.any:
        return StratifiedKFold(most, shuffle=True, random_state=seed % 2**32)
    if repeats.num_groups < 2:
        return None
    fold = folds(labelled.label, min(most, repeats.num_groups), seed, repeats.group)
    in_one = any(len(fold[labelled.label == each].unique()) < 2 for each in labelled.label.unique())
    return None if in_one else PredefinedSplit(fold.numpy())


class FrozenEncoderByName(TrainedKind):
    """`minilm`, `efficientnet_lite0` or `frozen_encoder`."""

    def matches(self, named: Named) -> bool:
        """By name."""
        return named.model in FROZEN

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """What the encoder reads; one by import path reads texts or images."""
        reads = READS.get(named.model, kind)
        if kind is not None and reads != kind:
            raise InputError(
                f"Option '{option}.model' is {named.model!r}, which reads {reads}; the data are of kind {kind!r}."
            )

    def remarks(self, named: Named, examples: Examples) -> list[str]:
        """How many texts are cut."""
        return texts_cut_by(frozen_embedder(named.model, named.options), f"frozen encoder {named.model}", examples)

    def make(self, named: Named, setting: TrainingSetting) -> FrozenEncoder:
        """The encoder, and a head to be fitted."""
        embedder, kind = frozen_embedder(named.model, named.options), setting.fitting[0].kind
        reads = "image" if isinstance(embedder, ImageEmbedder) else "text"
        if kind != reads:
            raise InputError(f"teacher.model {named.model!r} reads {reads}, but the data are of kind {kind!r}.")
        return FrozenEncoder(
            embedder=embedder,
            scaled=reads == "image",
            examples=setting.everyone(),
            folder=setting.folder,
            progress=setting.progress,
        )
