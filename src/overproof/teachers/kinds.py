"""The kinds of teacher. A new one is a file in `brought/` or `trained/` that defines its kind, and a line here."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from overproof.data import Examples, Kind
from overproof.models import ModelSpec
from overproof.noise.adapter import ADAPTER
from overproof.storage.store import RowsDone
from overproof.teachers.brought.answer_files import AnswerFiles
from overproof.teachers.brought.hugging_face import HuggingFaceFolder
from overproof.teachers.brought.mlflow_folder import MlflowFolder
from overproof.teachers.brought.onnx_file import OnnxFile
from overproof.teachers.brought.saved_student import SavedStudentFolder
from overproof.teachers.brought.skops_file import SkopsFile
from overproof.teachers.brought.torch_module import TorchModule
from overproof.teachers.brought.zero_shot import ZeroShotByName
from overproof.teachers.by_content import AnswersByContent
from overproof.teachers.endpoint.kind import EndpointByName
from overproof.teachers.kind import BroughtKind, Named, TeacherKind, TeacherName, TrainedKind, TrainingSetting
from overproof.teachers.scorers import Brought, Trainable
from overproof.teachers.trained.adapted import AdapterByName
from overproof.teachers.trained.estimator import EstimatorByPath
from overproof.teachers.trained.frozen_encoder import FrozenEncoderByName
from overproof.teachers.trained.network import NetworkByName, OwnStudent
from overproof.teachers.trained.sentence_folder import SentenceFolder
from overproof.training.options import TrainOptions

ANSWER_FILES: tuple[TeacherKind, ...] = (AnswerFiles(),)
"""Predictions that were made elsewhere, in files."""

BROUGHT: tuple[BroughtKind, ...] = (
    TorchModule(),
    OnnxFile(),
    SkopsFile(),
    MlflowFolder(),
    HuggingFaceFolder(),
    ZeroShotByName(),
    EndpointByName(),
    # Any other path.
    SavedStudentFolder(),
)
"""Pretrained models; the first that matches is taken, so a new kind stands before the one for any other path."""

_SENTENCES = SentenceFolder()
"""A folder too, but of an encoder, which is no pretrained classifier."""

TRAINED: tuple[TrainedKind, ...] = (
    OwnStudent(),
    AdapterByName(),
    _SENTENCES,
    FrozenEncoderByName(),
    EstimatorByPath(),
    # Any other name.
    NetworkByName(),
)
"""Models that are trained on the labels; the first that matches is taken."""

AUTO = {"text": "minilm", "table": "sklearn.ensemble:HistGradientBoostingClassifier", "image": "cnn"}
"""The model that `auto` stands for, by kind of data."""


_SPOKEN = {
    "minilm": "a frozen sentence encoder (MiniLM) with a logistic head",
    "sklearn.ensemble:HistGradientBoostingClassifier": "gradient boosted trees (scikit-learn)",
    "cnn": "a small convolutional network",
    "efficientnet_lite0": "a frozen image encoder (EfficientNet-Lite0) with a logistic head",
    "student": "a student like that of the run",
    ADAPTER: "an adapter, which corrects the first teacher's answers by features of the examples",
}


def _few_labels(kind: Kind, num_labels: int) -> dict[str, int]:
    """Options of the model of `auto` for few labels.

    Boosted trees that keep 20 rows in every leaf, as scikit-learn's do by default, cannot split the 38 rows that a copy
    is trained on where 60 labelled rows are cross-fitted and cross-validated: they answer one class everywhere.
    """
    return {"min_samples_leaf": max(2, num_labels // 5)} if kind == "table" and num_labels < 100 else {}


def short_name(model: str, kind: Kind) -> str:
    """A teacher in a word, for the name of a row.

    Args:
        model: As for `trainable`, or the name of a file.
        kind: Of the data.

    Example:
        >>> short_name("auto", "text"), short_name("auto", "table"), short_name("package.module:Net", "image")
        ('minilm', 'trees', 'Net')
    """
    name = AUTO[kind] if model == "auto" else model
    return "trees" if name == AUTO["table"] else name.rpartition(":")[2].rstrip("/").rpartition("/")[2]


def spoken(model: str, folds: int, kind: Kind, num_labels: int | None = None) -> str:
    """A teacher that is trained on the labels, in words.

    Args:
        model: As for `trainable`.
        folds: Cross-fitting folds.
        kind: Of the data.
        num_labels: How many labels it is trained on, where that is known.

    Example:
        >>> spoken("auto", 5, "table", 300)
        'gradient boosted trees (scikit-learn), trained on the 300 labels and cross-fitted in 5 folds'
    """
    name = AUTO[kind] if model == "auto" else model
    fitted = f"cross-fitted in {folds} folds" if folds > 1 else "not cross-fitted"
    labels = "the labels" if num_labels is None else f"the {num_labels} labels"
    return f"{_SPOKEN.get(name, f'`{name}`')}, trained on {labels} and {fitted}"


def kind_of(named: Named) -> TeacherKind:
    """The kind of a teacher; for `auto` that of a network, until the kind of the data is known.

    Example:
        >>> type(kind_of(TeacherName(model="model.onnx"))).__name__
        'OnnxFile'
    """
    if _SENTENCES.matches(named):
        return _SENTENCES
    return next(each for each in (*ANSWER_FILES, *BROUGHT, *TRAINED) if each.matches(named))


def is_brought(named: Named) -> bool:
    """Whether a teacher is a pretrained model, which predicts as it is.

    Example:
        >>> is_brought(TeacherName(model="runs/a/students/seed-0/slam")), is_brought(TeacherName(model="minilm"))
        (True, False)
    """
    return not _SENTENCES.matches(named) and any(each.matches(named) for each in BROUGHT)


def brought_kind_of(named: Named) -> BroughtKind:
    """The kind of a pretrained model; any other name is taken for a saved student's folder."""
    return next((each for each in BROUGHT if each.matches(named)), BROUGHT[-1])


def remarks_on(named: Named, examples: Examples) -> list[str]:
    """What a teacher that is trained on the labels does not read of some examples.

    Args:
        named: The teacher.
        examples: Those that it answers.
    """
    if named.model == "auto":
        named = TeacherName(model=AUTO[examples.kind])
    kind = kind_of(named)
    return kind.remarks(named, examples) if isinstance(kind, TrainedKind) else []


def opened(
    model: str,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    examples: Examples,
    classes: Sequence[str] = (),
    weights: str = "",
) -> Brought:
    """Open a pretrained model.

    Args:
        model: A file `….onnx` or `….skops`; the folder of a saved student (`student.json` in it) or of a Hugging Face
            classifier (`config.json` in it); with `weights` the import path of a factory of a torch module.
        options: Its own options.
        class_names: The run's, in order.
        examples: Some of those it will answer.
        classes: The names of its outputs, in order, where the model does not name them or names them otherwise.
        weights: A safetensors file, for a torch module.

    Raises:
        InputError: There is no such model, or it does not fit the examples or the classes.
    """
    named = TeacherName(model=model, options=options, classes=classes, weights=weights)
    return brought_kind_of(named).open(named, class_names, examples)


def trainable(
    model: str,
    options: Mapping[str, Any],
    *,
    everyone: Callable[[], Examples],
    fitting: tuple[Examples, ...],
    folder: Path,
    train: Callable[[Any, Examples, int, Path], None],
    recipe: TrainOptions,
    student: ModelSpec | None = None,
    first: AnswersByContent | None = None,
    progress: RowsDone | None = None,
) -> Trainable:
    """A model that can be trained on the labels.

    Args:
        model: `minilm`, `efficientnet_lite0` or `frozen_encoder`; a student by name; the import path of a scikit-learn
            classifier or of a factory of a torch module; `student` for one like the run's; `adapter`; `auto` by kind
            of data.
        options: Its own options. `auto` of a table has leaves of a fifth of the labels where there are fewer than 100.
        everyone: Gives all examples that it will answer.
        fitting: Labelled examples and pool, never test: what encodings are fitted on.
        folder: Where features are stored.
        train: Trains a student on labelled examples in place: (student, labelled, seed, checkpoint).
        recipe: The options that `train` follows, for the fingerprint.
        student: The run's own student.
        first: The answers that an `adapter` corrects.
        progress: Called with (rows done, rows in all) while features are computed.

    Raises:
        InputError: A model that does not fit the data.
    """
    if model == "auto":
        model = AUTO[fitting[0].kind]
        options = {**_few_labels(fitting[0].kind, len(fitting[0])), **options}
    named = TeacherName(model=model, options=options)
    setting = TrainingSetting(
        everyone=everyone,
        fitting=fitting,
        folder=folder,
        train=train,
        recipe=recipe,
        student=student,
        first=first,
        progress=progress,
    )
    return next(each for each in TRAINED if each.matches(named)).make(named, setting)
