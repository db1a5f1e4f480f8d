"""Encoders, which turn examples into tensors: pixels, n-grams, embeddings, numbers; never fitted on the test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from overproof.data import Examples, ImageOptions, Kind
from overproof.data.source import AS_THEY_ARE
from overproof.errors import InputError
from overproof.models.frozen.texts import SHAPES, embedder_by_name
from overproof.models.inputs import Dense, Ragged
from overproof.models.ngram_hashes import Normalization
from overproof.models.ngrams import Ngrams
from overproof.models.saved.checked_fields import checked_fields, checked_names
from overproof.models.tables import TableEncoder, numbers_of, table_of
from overproof.models.transformer import TokenEncoder

Shape = tuple[int, ...]


@runtime_checkable
class Encoder(Protocol):
    """Turns examples into the tensors of a module. It consists of data only and is saved as JSON."""

    @property
    def kind(self) -> Kind:
        """The kind of examples it reads."""
        ...

    @property
    def input_shape(self) -> Shape:
        """The shape of one encoded example, an argument of a student's factory."""
        ...

    def encode(self, examples: Examples) -> Dense | Ragged:
        """The tensors of these examples.

        Raises:
            InputError: They do not match the examples it was fitted on.
        """
        ...

    def config(self) -> dict[str, Any]:
        """The argument of `encoder_from` that builds it again."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageEncoder:
    """Images unchanged, as uint8: the module converts them.

    Args:
        shape: Channels, height and width that every image must have.
        image: How the images were resized and converted when read, at fitting.
    """

    shape: tuple[int, int, int]
    image: ImageOptions = AS_THEY_ARE

    @classmethod
    def fit(cls, parts: Sequence[Examples]) -> "ImageEncoder":
        """The shape of the first part; the others must have it too."""
        encoder = cls(shape=_image_shape(parts[0]), image=parts[0].image)
        for part in parts:
            encoder.check(part)
        return encoder

    @property
    def kind(self) -> Kind:
        """Images."""
        return "image"

    @property
    def input_shape(self) -> Shape:
        """Channels, height, width."""
        return self.shape

    def check(self, examples: Examples) -> None:
        """Check that images have the shape at fitting, without reading them.

        Raises:
            InputError: They do not.
        """
        if _image_shape(examples) != self.shape:
            raise InputError(
                f"{examples.origin} holds images of shape {_image_shape(examples)} (channels, height, width); the "
                f"student reads {self.shape}."
            )

    def encode(self, examples: Examples) -> Dense:
        """uint8 [N, C, H, W]."""
        self.check(examples)
        assert isinstance(examples.inputs, Tensor)
        return Dense(values=examples.inputs)

    def config(self) -> dict[str, Any]:
        """Its fields."""
        plain: dict[str, Any] = {"type": "image", "shape": list(self.shape)}
        return plain if self.image == AS_THEY_ARE else {**plain, "image": asdict(self.image)}

    @property
    def reading(self) -> ImageOptions:
        """The image options of a `Source` for the student: its channels, and its size if one was chosen."""
        _, height, width = self.shape
        size = None if self.image.size is None else (height, width)
        return replace(self.image, size=size, channels="grey" if self.shape[0] == 1 else "rgb")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ImageEncoder":
        """The inverse of `config`."""
        image = config.get("image", {})
        if not isinstance(image, dict):
            raise ValueError(f"image is {str(image)[:60]}; an object is needed")
        options = checked_fields(ImageOptions, image, "image")
        shaped = checked_fields(_Shaped, {"shape": config["shape"]}, "the encoder")
        if min(shaped.shape) < 1:
            raise ValueError(f"the encoder has shape {shaped.shape}; sides must be at least 1")
        return cls(shape=shaped.shape, image=options)


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramEncoder:
    """Texts as sets of hashed n-grams; there is nothing to fit (`overproof.models.ngram_hashes` gives the hash).

    Args:
        words: Shortest and longest word n-gram; None for no words.
        characters: Shortest and longest n-gram of characters within a word; None for no characters.
        buckets: Size of the embedding table, in 2..2**31.
        max_characters: Longer texts are truncated to so many characters, so that one text cannot fill a batch.
        normalization: `casefold`, or the `lower` case of students saved by old versions.
    """

    words: tuple[int, int] | None
    characters: tuple[int, int] | None
    buckets: int
    max_characters: int
    normalization: Normalization = "casefold"

    @property
    def kind(self) -> Kind:
        """Texts."""
        return "text"

    @property
    def input_shape(self) -> Shape:
        """The number of buckets."""
        return (self.buckets,)

    def encode(self, examples: Examples) -> Ragged:
        """The sorted set of buckets of every text; a batch is int64 [B, L] padded with 0."""
        check_kind(examples, "text")
        texts = pc.utf8_slice_codeunits(examples.inputs, 0, self.max_characters)
        ngrams = Ngrams(
            words=self.words, characters=self.characters, buckets=self.buckets, normalization=self.normalization
        )
        return ngrams.encode(texts)

    def remarks(self, examples: Examples) -> list[str]:
        """Warnings about these texts: how many are truncated, and how many are empty."""
        num_long, num_empty = 0, 0
        for part in examples.parts():
            lengths = pc.utf8_length(part.inputs)
            num_long += pc.sum(pc.greater(lengths, self.max_characters)).as_py() or 0
            num_empty += pc.sum(pc.equal(pc.utf8_trim_whitespace(part.inputs), "")).as_py() or 0
        sentences = []
        if num_long:
            sentences.append(
                f"{num_long} of the {len(examples)} texts of {examples.origin} {'is' if num_long == 1 else 'are'} "
                f"truncated to the first {self.max_characters} characters (student.options.max_characters)."
            )
        if num_empty:
            sentences.append(
                f"{num_empty} of the {len(examples)} texts of {examples.origin} {'is' if num_empty == 1 else 'are'} "
                f"empty; the student predicts the same for all empty texts."
            )
        return sentences

    def config(self) -> dict[str, Any]:
        """Its fields."""
        return {"type": "ngram", **asdict(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NgramEncoder":
        """The inverse of `config`, which takes lists for the two ranges, and the options of a student too.

        Raises:
            ValueError: A field is missing, of another type, or a length of n-grams that cannot be.
        """
        own = {each.name for each in fields(cls)}
        given = {"normalization": "lower", **{name: config[name] for name in config if name in own}}
        encoder = checked_fields(cls, given, "the encoder")
        for name, lengths in (("words", encoder.words), ("characters", encoder.characters)):
            if lengths is not None and not 1 <= lengths[0] <= lengths[1]:
                raise ValueError(f"{name} is {list(lengths)}; shortest and longest n-gram must be 1 or more, in order")
        return encoder


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingEncoder:
    """Texts as vectors of a frozen embedding model.

    Args:
        embedder: `minilm` or the import path of a factory of an `Embedder`.
        options: The factory's arguments.
        dimension: Length of the vectors.
        fingerprint: Of the embedder at fitting; the student cannot use the vectors of another one.
    """

    embedder: str
    options: Mapping[str, Any]
    dimension: int
    fingerprint: str

    @classmethod
    def fit(cls, embedder: str, options: Mapping[str, Any]) -> "EmbeddingEncoder":
        """The embedder's fingerprint and dimension; no example is read."""
        made = embedder_by_name(embedder, options)
        dimension = made.embed(["a"]).shape[1]
        return cls(embedder=embedder, options=dict(options), dimension=dimension, fingerprint=made.fingerprint)

    @property
    def kind(self) -> Kind:
        """Texts."""
        return "text"

    @property
    def input_shape(self) -> Shape:
        """The dimension."""
        return (self.dimension,)

    def encode(self, examples: Examples) -> Dense:
        """float32 [N, dimension]."""
        check_kind(examples, "text")
        embedder = embedder_by_name(self.embedder, self.options)
        # For students of old versions without batch shapes in the fingerprint: vectors differ in the last bits only.
        if self.fingerprint not in (embedder.fingerprint, embedder.fingerprint.partition(SHAPES)[0]):
            raise InputError(
                f"Embedder {self.embedder!r} is {embedder.fingerprint!r} here, but the student was trained with "
                f"{self.fingerprint!r}; install that version."
            )
        assert isinstance(examples.inputs, pa.Array)
        return Dense(values=embedder.embed(examples.inputs.to_pylist()))

    def config(self) -> dict[str, Any]:
        """Its fields."""
        return {"type": "embedding", **asdict(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "EmbeddingEncoder":
        """The inverse of `config`."""
        return checked_fields(cls, {name: each for name, each in config.items() if name != "type"}, "the encoder")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainTable:
    """Tables of numbers unchanged, in the order of the columns at fitting: for modules made in Python.

    Args:
        columns: Names of the columns.
    """

    columns: tuple[str, ...]

    @classmethod
    def fit(cls, parts: Sequence[Examples]) -> "PlainTable":
        """The columns of the first part; the others must have them too."""
        assert isinstance(parts[0].inputs, pa.Table)
        encoder = cls(columns=tuple(parts[0].inputs.column_names))
        for part in parts:
            encoder.encode(part)
        return encoder

    @property
    def kind(self) -> Kind:
        """Tables."""
        return "table"

    @property
    def input_shape(self) -> Shape:
        """The number of columns."""
        return (len(self.columns),)

    def encode(self, examples: Examples) -> Dense:
        """float32 [N, D]."""
        table = table_of(examples, self.columns)
        values = torch.empty(len(examples), len(self.columns))
        for index, name in enumerate(self.columns):
            column = table.column(name)
            numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
            if not numbers or pc.any(pc.is_null(column, nan_is_null=True)).as_py():
                raise InputError(
                    f"{examples.origin} has {'a missing value' if numbers else f'values of type {column.type}'} in "
                    f"column {name!r}; your own module needs numbers without missing values, or use a TableEncoder in "
                    f"`wrap`."
                )
            values[:, index] = torch.from_numpy(numbers_of(column))
        return Dense(values=values)

    def config(self) -> dict[str, Any]:
        """Its fields."""
        return {"type": "plain", "columns": list(self.columns)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "PlainTable":
        """The inverse of `config`."""
        return cls(columns=checked_names(config["columns"], "columns"))


@dataclass(frozen=True)
class _Shaped:
    shape: tuple[int, int, int]


_BY_TYPE: dict[str, Callable[[Mapping[str, Any]], Encoder]] = {
    "image": ImageEncoder.from_config,
    "ngram": NgramEncoder.from_config,
    "embedding": EmbeddingEncoder.from_config,
    "plain": PlainTable.from_config,
    "table": TableEncoder.from_config,
    "tokens": TokenEncoder.from_config,
}


def encoder_from(config: Mapping[str, Any]) -> Encoder:
    """The encoder with this `config()`.

    Example:
        >>> encoder_from({"type": "image", "shape": [1, 28, 28]}).shape
        (1, 28, 28)
    """
    return _BY_TYPE[config["type"]](config)


def class_names_from(names: Any) -> tuple[str, ...]:
    """The class names that a student's file lists.

    Raises:
        ValueError: They are no list of different strings.
    """
    return checked_names(names, "class_names")


def check_kind(examples: Examples, kind: Kind) -> None:
    """Check that examples are of the kind an encoder reads.

    Raises:
        InputError: They are of another kind.
    """
    if examples.kind != kind:
        raise InputError(f"{examples.origin} holds examples of kind {examples.kind!r}; the student reads {kind!r}.")


def _image_shape(examples: Examples) -> tuple[int, int, int]:
    check_kind(examples, "image")
    return examples.image_shape
