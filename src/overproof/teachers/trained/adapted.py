"""An adapter: the answers of the first teacher of a list, corrected on the labels by features of a frozen encoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pydantic
from jaxtyping import Float
from torch import Tensor

from overproof.data import Examples, Kind, repeats_in
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.models import FROZEN, ImageEmbedder, TableEncoder, frozen_embedder
from overproof.noise import adapt
from overproof.noise.adapter import ADAPTER
from overproof.teachers.brought.cut_texts import texts_cut_by
from overproof.teachers.brought.hugging_face_config import is_sentence_folder
from overproof.teachers.by_content import AnswersByContent
from overproof.teachers.kind import Named, TrainedKind, TrainingSetting
from overproof.teachers.scorers import Predictor, checked_options
from overproof.teachers.trained.frozen_encoder import READS, EncodedOnce
from overproof.teachers.trained.sentence_folder import open_sentence_folder

COLUMNS = "columns"
"""The "encoder" of a table: its columns as numbers, as students see them."""

ENCODERS: Mapping[Kind, str] = {"text": "minilm", "image": "efficientnet_lite0", "table": COLUMNS}
"""The encoder that `auto` stands for, by kind of data."""


class AdapterOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The options of an adapter.

    Args:
        encoder: `minilm`, `efficientnet_lite0`, `frozen_encoder`, the folder of a sentence encoder, `columns` for the
            numbers of a table, or `auto`, which suits the kind of data.
        encoder_options: The encoder's own options, as those of a teacher of that name.
    """

    encoder: str = "auto"
    encoder_options: dict[str, Any] = pydantic.Field({})

    def encoder_for(self, kind: Kind) -> str:
        """The name of the encoder."""
        return ENCODERS[kind] if self.encoder == "auto" else self.encoder


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptedAnswers:
    """p(class | x) in proportion to p_first^power * exp(weight . features + bias), fitted by `overproof.noise.adapt`.

    Args:
        first: The answers that are corrected, which were made without the labels.
        features: Of examples, [N, D].
        encoder: What the features follow from.
    """

    first: AnswersByContent
    features: Callable[[Examples], Float[Tensor, "N D"]]
    encoder: str

    answers_unseen_classes: ClassVar[bool] = True
    """A class without a label is answered as the first teacher answers it."""

    @property
    def fingerprint(self) -> str:
        """The first teacher's answers, the encoder and the recipe."""
        return f"adapter of {self.first.fingerprint}, {self.encoder}, penalty by cross-validation"

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Fit on the labelled examples that the first teacher answers; with fewer than two its answers stay."""
        probs, answered = self.first.find(labelled)
        rows = answered.nonzero()[:, 0]
        if len(rows) < 2:
            return lambda examples: self.first.find(examples)[0]
        known = labelled.take(rows)
        found = adapt(probs[rows], self.features(known), known.label, seed=seed, repeats=repeats_in(known))
        return lambda examples: found(self.first.find(examples)[0], self.features(examples))


class AdapterByName(TrainedKind):
    """`adapter`."""

    def matches(self, named: Named) -> bool:
        """By name."""
        return named.model == ADAPTER

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """The options, and that the encoder reads the data."""
        options = checked_options(AdapterOptions, named.options, "an adapter")
        encoder = options.encoder
        if encoder != "auto" and encoder != COLUMNS and encoder not in FROZEN and not is_sentence_folder(encoder):
            raise InputError(
                f"Option '{option}.options.encoder' is {encoder!r}; it must be {listed(['auto', COLUMNS, *FROZEN])}, "
                f"or the folder of a sentence encoder."
            )
        if kind is None:
            return
        name = options.encoder_for(kind)
        reads = READS.get(name, "table" if name == COLUMNS else "text" if is_sentence_folder(name) else kind)
        if reads != kind or (kind == "table") is not (name == COLUMNS):
            raise InputError(
                f"Option '{option}.options.encoder' is {name!r}, which does not read data of kind {kind!r}; leave it "
                f"out, and the encoder is {ENCODERS[kind]!r}."
            )

    def remarks(self, named: Named, examples: Examples) -> list[str]:
        """How many texts its encoder cuts."""
        options = checked_options(AdapterOptions, named.options, "an adapter")
        name = options.encoder_for(examples.kind)
        if examples.kind != "text":
            return []
        limit = "teacher.options.encoder_options.max_tokens"
        return texts_cut_by(_embedder(name, options), f"adapter's encoder {name}", examples, limit)

    def make(self, named: Named, setting: TrainingSetting) -> AdaptedAnswers:
        """The first teacher's answers and the encoder, to be fitted together."""
        assert setting.first is not None, "an adapter stands behind another teacher"
        options, kind = checked_options(AdapterOptions, named.options, "an adapter"), setting.fitting[0].kind
        name = options.encoder_for(kind)
        if name == COLUMNS:
            table = _Columns(fitting=setting.fitting)
            return AdaptedAnswers(first=setting.first, features=table.of, encoder=table.fingerprint)
        embedder = _embedder(name, options)
        reads = "image" if isinstance(embedder, ImageEmbedder) else "text"
        if kind != reads:
            raise InputError(f"teacher.options.encoder {name!r} reads {reads}, but the data are of kind {kind!r}.")
        encoded = EncodedOnce(
            embedder=embedder, examples=setting.everyone(), folder=setting.folder, progress=setting.progress
        )
        return AdaptedAnswers(first=setting.first, features=encoded.of, encoder=embedder.fingerprint)


def _embedder(name: str, options: AdapterOptions) -> Any:
    if is_sentence_folder(name):
        return open_sentence_folder(Path(name).expanduser(), options.encoder_options)
    return frozen_embedder(name, options.encoder_options)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Columns:
    """The columns of a table as numbers.

    Args:
        fitting: Labelled examples and pool, on which means, deviations and categories are fitted.
    """

    fitting: tuple[Examples, ...]

    @property
    def fingerprint(self) -> str:
        """What the encoding was fitted on."""
        return f"columns fitted on {' and '.join(each.digest() for each in self.fitting)}"

    @cached_property
    def _encoder(self) -> TableEncoder:
        return TableEncoder.fit(self.fitting)

    def of(self, examples: Examples) -> Float[Tensor, "N D"]:
        """[N, D], as students see them."""
        values: Tensor = self._encoder.encode(examples).values
        return values
