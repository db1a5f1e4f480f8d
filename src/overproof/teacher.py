"""Who answers: a teacher trained on the labels and cross-fitted, or a file of answers.

Statistics of a teacher on the examples it was trained on say that it is never wrong. So a trained teacher is F
teachers: each labelled example is scored by the one that did not see it, everything else by the mean of them all, and
no label is spent on finding out how good the teacher is.
"""

import hashlib
import importlib
import inspect
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from overproof.answer_files import read_answers
from overproof.data import Examples
from overproof.errors import InputError
from overproof.features import gather
from overproof.labels import Answers, answer
from overproof.models import Embedder, ModelSpec, TableEncoder, build, load_student, minilm
from overproof.noise import folds
from overproof.sampler import derived_seed
from overproof.shard import StoreKey
from overproof.store import Progress
from overproof.version import __version__

Predictor = Callable[[Examples], Float[Tensor, "N K"]]
"""A fitted teacher: its probabilities for some examples."""


@runtime_checkable
class Trainable(Protocol):
    """A teacher that can be trained: what `cross_fitted` fits F times."""

    @property
    def fingerprint(self) -> str:
        """Everything its answers follow from, besides the examples and the seed."""
        ...

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Train on labelled examples, none with an unknown label; `folder` may keep what a killed run goes on from."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenEncoder:
    """A frozen text encoder and a logistic head, the encoder asked once an example and its features kept.

    Args:
        embedder: Texts to features [N, D].
        examples: Everything it will be asked about.
        folder: Where the features are kept (`overproof.features`).
        progress: Told (rows done, rows in all).
    """

    embedder: Embedder
    examples: Examples
    folder: Path
    progress: Progress | None = None

    @property
    def fingerprint(self) -> str:
        """The encoder's own fingerprint and the head's recipe."""
        return f"{self.embedder.fingerprint} + logistic head, C by cross-validation"

    @cached_property
    def _features(self) -> tuple[np.ndarray, Tensor]:
        """Ids, sorted, and their features."""

        def compute(some: Examples) -> Tensor:
            texts = some.inputs
            assert not isinstance(texts, Tensor), "trainable() lets text alone through"
            return self.embedder.embed(texts.to_pylist())

        key = StoreKey(teacher=self.embedder.fingerprint, data="", transform="text", code=_code_version())
        return gather(self.folder, self.examples, key, compute, progress=self.progress)

    def _of(self, examples: Examples) -> np.ndarray:
        ids, features = self._features
        where = np.searchsorted(ids, examples.ids.view("S16"))
        assert (ids[where] == examples.ids.view("S16")).all(), "every example was announced"
        return features[torch.from_numpy(where)].numpy()

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Fit the head; its regularisation is chosen by cross-validation on the same labels."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedKFold

        features, label = self._of(labelled), labelled.label.numpy()
        fewest = int(np.bincount(label, minlength=num_classes)[np.unique(label)].min())
        head: Any = LogisticRegression(max_iter=2000)
        if fewest >= 2:
            inner = StratifiedKFold(min(fewest, 5), shuffle=True, random_state=seed % 2**32)
            head = GridSearchCV(head, {"C": [0.3, 1.0, 3.0, 10.0, 30.0, 100.0]}, scoring="neg_log_loss", cv=inner)
        head.fit(features, label)
        return lambda examples: _spread(head.predict_proba(self._of(examples)), head.classes_, num_classes)


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
        """Fit a fresh estimator; one that takes `random_state` gets the seed."""
        factory = _imported(self.path, "teacher.model")
        options = dict(self.options)
        if "random_state" in inspect.signature(factory).parameters:
            options.setdefault("random_state", seed % 2**32)
        try:
            estimator = factory(**options)
        except TypeError as error:
            raise InputError(f"teacher.options do not fit {self.path!r}: {error}.") from None
        if not hasattr(estimator, "predict_proba"):
            raise InputError(f"teacher.model {self.path!r} has no predict_proba; a classifier with one is needed.")
        estimator.fit(self._of(labelled), labelled.label.numpy())
        return lambda examples: _spread(estimator.predict_proba(self._of(examples)), estimator.classes_, num_classes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A student by name, trained on the labels alone by the one training loop.

    Args:
        spec: Which, and its options.
        examples: Labelled and pool, on which its encoder is fitted.
        train: Trains a built student on labelled examples in place: (student, labelled, seed, checkpoint).
        recipe: What `train` follows, as a word for the fingerprint.
    """

    spec: ModelSpec
    examples: tuple[Examples, ...]
    train: Callable[[Any, Examples, int, Path], None]
    recipe: str

    @property
    def fingerprint(self) -> str:
        """The model, its options and how it is trained."""
        return f"{self.spec!r} {self.recipe}"

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Train it, or go on where a killed run left off."""
        if (folder / "student.json").exists():
            student = load_student(folder)
        else:
            student = build(self.spec, self.examples, class_names=labelled.class_names, seed=seed)
            self.train(student, labelled, seed, folder / "checkpoint.pt")
            student.save(folder)
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        return student.probs


def trainable(
    model: str,
    options: Mapping[str, Any],
    *,
    everyone: Examples,
    fitting: tuple[Examples, ...],
    folder: Path,
    train: Callable[[Any, Examples, int, Path], None],
    recipe: str,
    progress: Progress | None = None,
) -> Trainable:
    """The teacher of that name.

    Args:
        model: `minilm`, a student by name, or the import path of a scikit-learn classifier; `auto` by kind of data.
        options: Its own options.
        everyone: Every example it will be asked about.
        fitting: Labelled and pool, never test: what encodings are fitted on.
        folder: Where features are kept.
        train: How a student by name is trained.
        recipe: What `train` follows, for the fingerprint.
        progress: Told (rows done, rows in all) while features are computed.

    Raises:
        InputError: A model that does not suit the data.
    """
    if model == "auto":
        boosted = "sklearn.ensemble:HistGradientBoostingClassifier"
        model = {"text": "minilm", "table": boosted, "image": "cnn"}[everyone.kind]
    if model == "minilm":
        if everyone.kind != "text":
            raise InputError(f"teacher.model 'minilm' reads text, but the data are of kind {everyone.kind!r}.")
        return FrozenEncoder(embedder=minilm(**options), examples=everyone, folder=folder, progress=progress)
    if ":" in model and _is_estimator(model):
        return Estimator(path=model, options=options, examples=fitting)
    return Network(spec=ModelSpec(name=model, options=dict(options)), examples=fitting, train=train, recipe=recipe)


def cross_fitted(
    teacher: Trainable,
    labelled: Examples,
    others: Mapping[str, Examples],
    *,
    num_folds: int,
    seed: int,
    folder: Path,
    apart: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Answers]:
    """Answers for every role, each labelled example's from the teacher that never saw it.

    Args:
        teacher: Fitted `num_folds` times, on all folds but one; only when an answer is missing.
        labelled: N examples with known labels, at least `num_folds` of them.
        others: More examples by role, answered by the mean of all fits.
        num_folds: F; 1 is a single teacher fitted on all of them, whose answers there are in sample.
        seed: Decides the folds and every fit.
        folder: Answers are kept in `folder/ROLE`; a finished store is read and nobody is asked.
        apart: Roles among `others` that every fit answers by itself as well, as role "ROLE-without-fold-NUMBER".
        progress: Told (rows done, rows in all) for each role in turn.

    Returns:
        Answers by role, "labelled" among them, aligned with the examples.

    Raises:
        InputError: Fewer labelled examples than folds, or a store that belongs to other examples.
    """
    num_classes = len(labelled.class_names)
    fold = folds(labelled.label, num_folds, seed) if num_folds > 1 else torch.zeros_like(labelled.label)
    fitted: dict[int, Predictor] = {}

    def predictor(number: int) -> Predictor:
        if number not in fitted:
            fitted[number] = teacher.fit(
                labelled.take(fold != number) if num_folds > 1 else labelled,
                num_classes=num_classes,
                seed=derived_seed(seed, "teacher", number),
                folder=folder / f"fold-{number}",
            )
        return fitted[number]

    def ask_out_of_fold(rows: slice) -> Tensor:
        some, their_fold = labelled.take(torch.arange(rows.start, rows.stop)), fold[rows]
        probs = torch.zeros(len(some), num_classes)
        for number in their_fold.unique().tolist():
            mine = their_fold == number
            probs[mine] = predictor(number)(some.take(mine)).float()
        return probs

    def ask_everybody(role: str) -> Callable[[slice], Tensor]:
        def ask(rows: slice) -> Tensor:
            some = others[role].take(torch.arange(rows.start, rows.stop))
            return torch.stack([predictor(number)(some).float() for number in range(num_folds)]).mean(dim=0)

        return ask

    def ask_one(number: int, role: str) -> Callable[[slice], Tensor]:
        return lambda rows: predictor(number)(others[role].take(torch.arange(rows.start, rows.stop))).float()

    trained_on = hashlib.blake2b(labelled.label.numpy().tobytes(), digest_size=16).hexdigest()
    key_words = f"{teacher.fingerprint} folds={num_folds} seed={seed} labelled={labelled.digest()} labels={trained_on}"
    answers = {}
    asks = {"labelled": ask_out_of_fold, **{role: ask_everybody(role) for role in others}}
    asked = {"labelled": labelled, **others}
    for role, number in itertools.product(apart, range(num_folds)):
        name, examples = f"{role}-without-fold-{number}", others[role]
        asks[name], asked[name] = ask_one(number, role), examples
    for role, examples in asked.items():
        key = StoreKey(teacher=key_words, data=examples.digest(), transform=role, code=_code_version())
        answers[role] = answer(
            folder / role,
            examples.ids,
            key,
            labelled.class_names,
            asks[role],
            source=examples.source,
            progress=progress,
            mmap=examples.mapped is not None,
        )
    return answers


def from_files(
    paths: tuple[str, ...], parties: Mapping[str, Examples], class_names: tuple[str, ...]
) -> dict[str, Answers]:
    """Answers by role from files somebody brought, joined by the id column of the data (or by content id).

    Every role must be answered whole by one of the files.

    Raises:
        InputError: A role that no file answers; the sentence is that of the last file tried.
    """
    answers = {}
    for role, examples in parties.items():
        join = examples.ids if examples.keys is None else examples.keys
        for path in paths:
            try:
                answers[role] = read_answers(path, join, class_names, source=examples.source)
                break
            except InputError:
                if path == paths[-1]:
                    raise
    return answers


def _spread(probs: np.ndarray, classes: np.ndarray, num_classes: int) -> Tensor:
    """Columns of the classes a fit has seen, put in their places among all K."""
    whole = torch.zeros(len(probs), num_classes, dtype=torch.float64)
    whole[:, torch.from_numpy(np.asarray(classes)).long()] = torch.from_numpy(np.asarray(probs, dtype=np.float64))
    return whole


def _imported(path: str, option: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{option} {path!r} cannot be imported: {error}.") from None
    return found


def _is_estimator(path: str) -> bool:
    from sklearn.base import BaseEstimator

    factory = _imported(path, "teacher.model")
    return inspect.isclass(factory) and issubclass(factory, BaseEstimator)


def _code_version() -> str:
    return f"overproof {__version__}"
