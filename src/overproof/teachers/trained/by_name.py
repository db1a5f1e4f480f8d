"""Which teacher that is trained on the labels a word of the experiment names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from overproof.data import Examples
from overproof.errors import InputError
from overproof.models import FROZEN, ImageEmbedder, ModelSpec, frozen_embedder, is_estimator
from overproof.models.importing import imported
from overproof.storage.store import RowsDone
from overproof.teachers.scorers import Trainable
from overproof.teachers.trained.estimator import Estimator
from overproof.teachers.trained.frozen_encoder import FrozenEncoder
from overproof.teachers.trained.network import Network
from overproof.training.options import TrainOptions


def trainable(
    model: str,
    options: Mapping[str, Any],
    *,
    everyone: Examples,
    fitting: tuple[Examples, ...],
    folder: Path,
    train: Callable[[Any, Examples, int, Path], None],
    recipe: TrainOptions,
    progress: RowsDone | None = None,
) -> Trainable:
    """The teacher of that name.

    Args:
        model: `minilm`, `efficientnet_lite0` or `frozen_encoder`; a student by name; the import path of a scikit-learn
            classifier or of a factory of a torch module; `auto` by kind of data.
        options: Its own options.
        everyone: Every example it will be asked about.
        fitting: Labelled and pool, never test: what encodings are fitted on.
        folder: Where features are kept.
        train: How a student by name is trained.
        recipe: The options that `train` follows, for the fingerprint.
        progress: Told (rows done, rows in all) while features are computed.

    Raises:
        InputError: A model that does not suit the data.
    """
    if model == "auto":
        boosted = "sklearn.ensemble:HistGradientBoostingClassifier"
        model = {"text": "minilm", "table": boosted, "image": "cnn"}[everyone.kind]
    if model in FROZEN:
        embedder = frozen_embedder(model, options)
        reads = "image" if isinstance(embedder, ImageEmbedder) else "text"
        if everyone.kind != reads:
            raise InputError(f"teacher.model {model!r} reads {reads}, but the data are of kind {everyone.kind!r}.")
        return FrozenEncoder(
            embedder=embedder, scaled=reads == "image", examples=everyone, folder=folder, progress=progress
        )
    if ":" in model and is_estimator(imported(model, what="teacher")):
        return Estimator(path=model, options=options, examples=fitting)
    return Network(spec=ModelSpec(name=model, options=dict(options)), examples=fitting, train=train, recipe=recipe)
