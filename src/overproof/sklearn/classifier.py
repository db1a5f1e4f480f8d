"""A scikit-learn classifier that distils its teacher into a student."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from torch import nn

from overproof.api import distill
from overproof.data import Examples, from_arrays, remarks_on_labels
from overproof.data.frames import gaps_in, is_frame, label_array, table_of_frame
from overproof.data.remarks import remarks_on_frames
from overproof.errors import InputError
from overproof.evaluation.learning import cut_short, has_steps, not_learned
from overproof.methods.composition import Method
from overproof.methods.published import method_given
from overproof.models import ModelSpec, Student, build
from overproof.sklearn.labels import FOLDS, KnownLabels, target_of
from overproof.sklearn.teacher import teacher_answers
from overproof.training.distillation import Distilled
from overproof.training.one_student import train_on_labels
from overproof.training.options import TrainOptions, train_options


class DistilledClassifier(ClassifierMixin, BaseEstimator):
    """A student trained on a few labels and on a teacher's answers to unlabelled rows.

    As with scikit-learn's semi-supervised classifiers, y is -1 where the label is unknown; None or NaN among strings.
    The teacher is a classifier, which is cross-fitted on the labelled rows, by content; or its answers are given to
    `fit`. Without an unlabelled row the student is trained on the labels alone, with a warning.

    Args:
        student: As for `overproof.distill`; a torch module is copied before it is trained.
        teacher: A scikit-learn classifier with probabilities, which reads the rows as they are given; it is cloned. One
            that is fitted elsewhere is given as `sklearn.frozen.FrozenEstimator(classifier)`. None where `fit` gets
            answers.
        method: By name or composed. `auto` chooses it on labelled rows out of sample, which trains several students.
        train: Training options, or a mapping with some of them.
        held_out_share: Share of the labelled rows held out of training, for methods that need held-out labels.
        rounds: Rounds of peers at most, in 0..3.
        random_state: Seeds everything random. A number gives the same student every time.

    Attributes:
        student_: The student; `student_.save(folder)` writes it without pickle.
        classes_: [K], sorted.
        distilled_: The record of the training; None where there was no unlabelled row.
        findings_: What is remarkable in rows and training, in sentences; `distilled_.findings` where there is one. A
            student that has not learned is warned of too (`UserWarning`).
        n_features_in_, feature_names_in_: As scikit-learn has them, where the rows have columns.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from overproof.synthetic import blobs
        >>> world = blobs(num_examples=400, num_classes=3, seed=0)
        >>> X, y = world.inputs.numpy(), world.label.numpy().copy()
        >>> y[100:] = -1
        >>> distilled = DistilledClassifier("linear", LogisticRegression(), method="soft", train={"epochs": 2})
        >>> distilled.fit(X, y).predict_proba(X[100:]).shape
        (300, 3)
    """

    _as_given: bool

    def __init__(
        self,
        student: Any = "auto",
        teacher: Any = None,
        *,
        method: Any = "auto",
        train: Any = None,
        held_out_share: Any = 1 / 3,
        rounds: Any = 0,
        random_state: Any = 0,
    ) -> None:
        # As scikit-learn has it, nothing is checked before `fit`.
        self.student = student
        self.teacher = teacher
        self.method = method
        self.train = train
        self.held_out_share = held_out_share
        self.rounds = rounds
        self.random_state = random_state

    def set_params(self, **params: Any) -> "DistilledClassifier":
        """Set parameters, as scikit-learn has it; `train__epochs` and the like set one training option.

        Args:
            params: By name.

        Raises:
            ValueError: There is no such parameter or training option.
        """
        own = {name: value for name, value in params.items() if not name.startswith("train__")}
        super().set_params(**own)
        for name, value in params.items():
            if name not in own:
                option, known = name.removeprefix("train__"), TrainOptions.model_fields
                if option not in known:
                    raise ValueError(
                        f"Invalid parameter {option!r} for train. Valid parameters are: {sorted(known)!r}."
                    )
                given = self.train or {}
                before = given.model_dump(exclude_unset=True) if isinstance(given, TrainOptions) else dict(given)
                self.train = {**before, option: value}
        return self

    def fit(self, X: Any, y: Any, answers: Any = None) -> "DistilledClassifier":
        """Train the student.

        Args:
            X: N rows: an array of numbers, a data frame (with gaps, categories, dates), or a list of texts.
            y: [N], classes; -1, None or NaN where unknown.
            answers: Of the teacher, in place of `teacher`: [N, K] probabilities in the order of the sorted classes, a
                data frame of them with the classes as its columns, or [N] classes. None, NaN (a row of them), -1, or a
                word that is no class is no answer: the row is left out, or trained on by its label alone. Those on
                labelled rows must be by a teacher that was not trained on them. Metadata: a pipeline passes it on after
                `set_fit_request(answers=True)`, with `enable_metadata_routing`.

        Raises:
            InputError: Rows, labels and answers that do not fit together; unlabelled rows without a teacher; the errors
                of `overproof.distill`. It is a `ValueError`.
        """
        who = type(self).__name__
        inputs = self._checked(X, reset=True)
        target = target_of(y, who)
        check_consistent_length(inputs, target.index)
        if answers is not None:
            check_consistent_length(inputs, answers)
        if answers is not None and self.teacher is not None:
            raise InputError(f"{who} has a teacher, and fit gets answers; give one of them.")
        if len(target.classes) < 2:
            raise InputError(
                f"{who}: y holds one class only, {target.classes.tolist()[0]!r}; two at least are needed. In a search "
                f"or cross-validation give cv={FOLDS}, whose folds are stratified."
            )
        names = tuple(str(each) for each in target.classes)
        examples = from_arrays(inputs, target.index, class_names=names, origin="X", missing=gaps_in(inputs))
        self._check_options()
        seed = _seed_of(self.random_state)
        student = copy.deepcopy(self.student) if isinstance(self.student, nn.Module) else self.student
        train = train_options(self.train)
        if target.known.all():
            warnings.warn(
                "y has no unlabelled row (-1, None, NaN); the student learns from labels alone.", stacklevel=2
            )
            self.distilled_ = None
            self.student_, self.findings_ = _on_labels(student, examples, train, seed)
        else:
            self.distilled_ = self._distilled(student, inputs, examples, target, answers, train, seed)
            self.student_, self.findings_ = self.distilled_.student, self.distilled_.findings
        self.classes_ = target.classes
        return self

    def _distilled(
        self,
        student: str | nn.Module | ModelSpec,
        inputs: Any,
        examples: Examples,
        target: KnownLabels,
        answers: Any,
        train: TrainOptions,
        seed: int,
    ) -> Distilled:
        method = method_given(self.method)
        if answers is None and self.teacher is None:
            raise InputError(
                f"{type(self).__name__}: y has {int((~target.known).sum())} unlabelled rows, and nothing answers them; "
                f"give teacher=… or fit(…, answers=…)."
            )
        if answers is None:
            halves = method.search is not None
            answers = teacher_answers(self.teacher, inputs, examples, target, seed=seed, halves=halves)
        elif not is_frame(answers) and np.ndim(answers) == 1:
            answers = _words(answers, target)
        try:
            return distill(
                student,
                examples,
                teacher_probs=answers,
                labels=torch.from_numpy(target.index),
                method=method,
                class_names=examples.class_names,
                train=train,
                seed=seed,
                held_out_share=self.held_out_share,
                rounds=self.rounds,
            )
        except InputError as error:
            words = str(error).replace("labelled_teacher_probs", "answers").replace("teacher_probs", "answers")
            raise type(error)(words) from None

    def _check_options(self) -> None:
        allowed = {"student": (str, nn.Module, ModelSpec), "method": (str, Method), "train": (TrainOptions, Mapping)}
        for option, types in allowed.items():
            value = getattr(self, option)
            if not isinstance(value, types) and not (option == "train" and value is None):
                names = " or ".join(each.__name__ for each in types)
                raise InputError(f"{option} is {value!r}; a {names} is allowed.")

    def predict(self, X: Any) -> NDArray[Any]:
        """The most likely class of each row, [N]."""
        probs = self.predict_proba(X)
        found: NDArray[Any] = self.classes_[probs.argmax(axis=1)]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """The probabilities of the classes, [N, K], in the order of `classes_`."""
        check_is_fitted(self)
        inputs = self._checked(X, reset=False)
        if isinstance(inputs, np.ndarray) and self._reads_columns():
            inputs = pa.table(dict(zip(_columns(self.student_), inputs.T, strict=True)))
        return self.student_.predict_proba(inputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy on the rows that have a label.

        Rows without one are left out, and a warning says how many: plain folds, such as `cv=3`, hold some. Copies of a
        row may then be in the training set and be scored too; `LabelledFolds` keeps them together.

        Args:
            X: N rows that it was not fitted on.
            y: [N], their classes; -1, None or NaN where the label is unknown.
            sample_weight: [N], how much each row counts.

        Raises:
            ValueError: No row has a label.
        """
        known = target_of(y, "score").known
        if known.all():
            return float(super().score(X, y, sample_weight))
        warnings.warn(
            f"{int((~known).sum())} of {len(known)} rows in y have no label and are not scored; in a search or "
            f"cross-validation cv={FOLDS} puts labelled rows alone into the folds.",
            UserWarning,
            stacklevel=2,
        )
        check_consistent_length(X, y, sample_weight)
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(accuracy_score(label_array(y)[known], self.predict(X)[known], sample_weight=weight))

    def _reads_columns(self) -> bool:
        return bool(self.student_.kind == "table" and self._as_given)

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """The rows: frames, texts and images as they are given, anything else as a matrix of finite numbers."""
        if isinstance(X, Mapping) and is_frame(X):
            X = table_of_frame(X, "X")
        as_given = _is_read_as_given(X) if reset else _is_read_as_given(X) and self._as_given
        if reset:
            self._as_given = as_given
            # Of an earlier fit on a frame; texts have no columns.
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(self, name):
                    delattr(self, name)
        if as_given:
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        return validate_data(self, X, reset=reset, dtype=(np.float64, np.float32))


def _is_read_as_given(X: Any) -> bool:
    if is_frame(X):
        return True
    if isinstance(X, np.ndarray | torch.Tensor) and X.ndim > 1:
        return bool(X.ndim > 2 and str(X.dtype).endswith("uint8"))
    return len(getattr(X, "shape", (0,))) == 1 and hasattr(X, "__len__") and len(X) > 0 and isinstance(_first(X), str)


def _first(X: Any) -> Any:
    return X.iloc[0] if hasattr(X, "iloc") else X[0]


def _columns(student: Student) -> list[str]:
    columns: Any = getattr(student.encoder, "columns")  # noqa: B009  # only encoders of tables have some
    return [each if isinstance(each, str) else each.name for each in columns]


def _seed_of(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _words(answers: Any, target: KnownLabels) -> list[str | None]:
    """[N] classes as the teacher names them, by the names of the target's; None where it has no answer."""
    given = answers.cpu().numpy() if isinstance(answers, torch.Tensor) else label_array(answers)
    if given.dtype.kind == "f":
        raise InputError(
            "answers holds one number a row, not all of them whole; give classes, or [N, K] probabilities."
        )
    names = {value: str(value) for value in target.classes.tolist()}
    gone = {None, *({-1} - set(names))}
    return [None if value in gone else names.get(value, str(value)) for value in given.tolist()]


def _on_labels(
    student: str | nn.Module | ModelSpec, examples: Examples, train: TrainOptions, seed: int
) -> tuple[Student, tuple[str, ...]]:
    """A student of labels alone, and what is remarkable in rows and training."""
    built = build(student, [examples], class_names=examples.class_names, seed=seed)
    encoded = built.encode(examples)
    result = train_on_labels(built, encoded, examples.label, options=train, seed=seed, checkpoint=None)
    wrong = ""
    if has_steps([asdict(each) for each in result.history]):
        wrong = not_learned(built.probs(encoded), examples.label, num_epochs=len(result.history))
    if wrong:
        warnings.warn(wrong, stacklevel=3)
    found = (*remarks_on_labels(examples), *remarks_on_frames([examples]))
    short = cut_short(result.history, len(examples.class_names))
    return built.trained_on(examples), (*found, *(each for each in (wrong or short,) if each))
