"""The table of built-in students (`ZOO`), and how a student's module and encoder are made from name and options."""

import inspect
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from overproof.data import Examples, Kind
from overproof.data.wording import listed, nearest, reason
from overproof.errors import InputError
from overproof.models import layers
from overproof.models.encoders import EmbeddingEncoder, Encoder, ImageEncoder, NgramEncoder, Shape
from overproof.models.estimator import EstimatorBody
from overproof.models.factories import call_factory
from overproof.models.importing import check_options_of, imported, is_estimator
from overproof.models.inputs import Inputs
from overproof.models.layers import Normalise, UnitRange
from overproof.models.ngram_bag import NgramBag, inverse_document_frequency
from overproof.models.options import check_options
from overproof.models.tables import TableEncoder
from overproof.models.tensor_files import hash_of_start, put_tensors, read_tensors
from overproof.models.transformer import spelt_out, token_encoder, transformer

Optimizer = Literal["adamw", "sgd"]

GIVEN = "given"
"""The name of a student whose module was made in Python, not from a name."""

FITTED = ("idf", "front.mean", "front.std")
"""Buffers that are fitted once on labelled and pool examples, not trained."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ModelSpec:
    """Name and options of a student.

    Args:
        name: `auto` (by kind of data), a name in `ZOO`, or the import path of a factory
            `factory(input_shape, num_classes, **options) -> torch.nn.Module` or of a scikit-learn classifier; one that
            is not in `overproof.models.classifiers.KNOWN` must be allowed (`allow_import`).
        options: JSON values by name.
        start: A safetensors file of initial weights; if empty, they are drawn from the seed.
        afresh: Prefixes of names of tensors that are drawn from the seed nevertheless, such as those of a head.
    """

    name: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""
    afresh: tuple[str, ...] = ()

    def __repr__(self) -> str:
        start = f", start={self.start!r} {hash_of_start(self.start)}, afresh={self.afresh!r}" if self.start else ""
        return f"ModelSpec(name={self.name!r}, options={self.options!r}{start})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """The definition of a built-in student.

    Args:
        factory: Makes the module from input shape, number of classes and keyword options.
        kinds: The kinds of examples it reads.
        optimizer: The default optimizer.
        learning_rate: The default peak learning rate, at batches of 128.
        table_learning_rate: The same for tables; None where it does not differ.
        encoder_options: Options of its encoder, with their defaults.
    """

    factory: Callable[..., nn.Module]
    kinds: tuple[Kind, ...]
    learning_rate: float
    table_learning_rate: float | None = None
    optimizer: Optimizer = "adamw"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)


_NGRAMS = {"words": [1, 2], "characters": [4, 4], "buckets": 2**17, "max_characters": 4000, "normalization": "casefold"}

ZOO: Mapping[str, Architecture] = {
    "linear": Architecture(
        factory=layers.linear,
        kinds=("image", "table"),
        learning_rate=3e-3,
        # A few hundred rows make a hundred steps, in which 3e-3 moves no weight far enough (docs/log.md). Thousands of
        # pixels need the smaller one.
        table_learning_rate=2e-2,
    ),
    "mlp": Architecture(factory=layers.mlp, kinds=("image", "table"), learning_rate=2e-3),
    "cnn": Architecture(factory=layers.cnn, kinds=("image",), learning_rate=5e-3),
    "resnet": Architecture(factory=layers.resnet, kinds=("image",), learning_rate=2e-3),
    "resnet18": Architecture(factory=layers.resnet18, kinds=("image",), optimizer="sgd", learning_rate=0.1),
    "resnet34": Architecture(factory=layers.resnet34, kinds=("image",), optimizer="sgd", learning_rate=0.1),
    "ngram": Architecture(
        factory=layers.ngram,
        kinds=("text",),
        # AdamW updates a rare n-gram as much as a frequent one and so overfits the rare ones, which costs 5 to 10
        # points of accuracy.
        optimizer="sgd",
        learning_rate=0.05,
        encoder_options=_NGRAMS,
    ),
    "minilm": Architecture(
        factory=layers.head,
        kinds=("text",),
        learning_rate=0.02,
        encoder_options={"max_tokens": 128},
    ),
    "embedding": Architecture(
        factory=layers.head,
        kinds=("text",),
        learning_rate=0.01,
        encoder_options={"embedder": None, "embedder_options": {}},
    ),
    "transformer": Architecture(
        factory=transformer,
        kinds=("text",),
        learning_rate=5e-4,
        encoder_options={"tokenizer": None, "max_tokens": 128},
    ),
}

_DEFAULTS: Mapping[Kind, str] = {"image": "cnn", "text": "ngram", "table": "mlp"}


def optimizer_for(spec: ModelSpec, kind: Kind) -> tuple[Optimizer, float]:
    """The default optimizer of a student and its peak learning rate at batches of 128.

    Args:
        spec: As in `Student.spec`.
        kind: What it reads.

    Example:
        >>> optimizer_for(ModelSpec(name="ngram"), "text")
        ('sgd', 0.05)
    """
    built_in = ZOO.get(spec.name)
    if built_in is None:
        return "adamw", 1e-3
    rate = built_in.table_learning_rate if kind == "table" else None
    return built_in.optimizer, built_in.learning_rate if rate is None else rate


def described_student(spec: ModelSpec) -> dict[str, Any]:
    """A student as plain data that later versions write the same way, for keys: its name and what is not a default.

    Args:
        spec: From the user, or resolved; the description is the same for both.

    Example:
        >>> described_student(ModelSpec(name="ngram", options={"buckets": 64, "normalization": "casefold"}))
        {'name': 'ngram', 'options': {'buckets': 64}}

    Raises:
        InputError: The file of first weights cannot be read.
    """
    defaults = _as_json(spec.name, _defaults_of(spec.name)) if spec.name in ZOO else {}
    given = _as_json(spec.name, spec.options)
    options = {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}
    plain: dict[str, Any] = {"name": spec.name, **({"options": options} if options else {})}
    if spec.start:
        plain["start"] = hash_of_start(spec.start)
        plain |= {"afresh": list(spec.afresh)} if spec.afresh else {}
    return plain


def resolved(spec: ModelSpec, examples: Examples) -> ModelSpec:
    """The same with `auto` replaced by a name and, for built-in students, with every option.

    Args:
        spec: Name and options from the user.
        examples: The examples it has to read.

    Raises:
        InputError: An unknown name or option, or a student that reads another kind of examples.
    """
    return resolved_for(spec, examples.kind, examples.origin)


def resolved_for(spec: ModelSpec, kind: Kind, origin: str) -> ModelSpec:
    """`resolved` if only the kind of the examples is known.

    Args:
        spec: Name and options from the user.
        kind: The kind of examples it has to read.
        origin: Where the examples come from, for error messages.

    Raises:
        InputError: As for `resolved`.
    """
    name = _DEFAULTS[kind] if spec.name == "auto" else spec.name
    if ":" in name:
        return replace(spec, name=name, options=_as_json(name, spec.options))
    if name not in ZOO:
        raise InputError(
            f"There is no student {name!r}{nearest(name, ZOO)}; allowed are auto, {', '.join(ZOO)}, or an import path "
            f"'package.module:factory'."
        )
    if kind not in ZOO[name].kinds:
        suited = [other for other, architecture in ZOO.items() if kind in architecture.kinds]
        texts = "; texts are given as one column by itself" if kind == "table" and "text" in ZOO[name].kinds else ""
        raise InputError(
            f"Student {name!r} does not read {origin}, which holds examples of kind {kind!r}; "
            f"allowed for these are {', '.join(suited)}{texts}."
        )
    defaults = _defaults_of(name)
    for option in spec.options:
        if option not in defaults:
            known = f"its options are {listed(defaults)}" if defaults else "it has none"
            raise InputError(f"Student {name!r} has no option {option!r}{nearest(option, defaults)}; {known}.")
    options = _as_json(name, {**defaults, **spec.options})
    check_options(name, options)
    if name == "transformer":
        options = spelt_out(options)
    return replace(spec, name=name, options=options)


def check_stored_options(spec: ModelSpec) -> None:
    """Check the options of a built-in student that a file describes.

    Args:
        spec: With a name in `ZOO`.

    Raises:
        InputError: An option that the student does not have, or a value that is not allowed.
    """
    defaults = _defaults_of(spec.name)
    if unknown := [option for option in spec.options if option not in defaults]:
        raise InputError(f"Student {spec.name!r} has no option {unknown[0]!r}{nearest(unknown[0], defaults)}.")
    check_options(spec.name, spec.options)


def fit_encoder(spec: ModelSpec, parts: Sequence[Examples]) -> Encoder:
    """The encoder of a resolved student, fitted on labelled and pool examples.

    Raises:
        InputError: The parts do not match, or an option of the encoder is out of range.
    """
    kind, options = parts[0].kind, spec.options
    if kind == "image":
        return ImageEncoder.fit(parts)
    if kind == "table":
        return TableEncoder.fit(parts)
    if spec.name == "minilm":
        return EmbeddingEncoder.fit("minilm", {"max_tokens": options["max_tokens"]})
    if spec.name == "embedding":
        return EmbeddingEncoder.fit(options["embedder"], options["embedder_options"])
    if spec.name == "transformer":
        return token_encoder(options)
    # The user's own module reads the default n-grams.
    return NgramEncoder.from_config(options if spec.name == "ngram" else _NGRAMS)


def assemble(spec: ModelSpec, encoder: Encoder, num_classes: int, seed: int) -> nn.Module:
    """The module of a resolved student, with initial weights from the seed and without fitted buffers.

    Raises:
        InputError: An option is out of range, or a factory does not take the options or does not return a module.
    """
    body = module_of(spec, encoder.input_shape, num_classes, seed)
    module = with_front(body, Normalise(encoder.input_shape[0])) if encoder.kind == "image" else body
    if spec.start:
        tensors = read_tensors(spec.start, "student.start")
        # Buffers that are fitted on labelled and pool examples are not loaded.
        put_tensors(module, tensors, f"student.start {spec.start!r}", afresh=spec.afresh, kept=FITTED)
    return module


def module_of(spec: ModelSpec, input_shape: Shape, num_classes: int, seed: int) -> nn.Module:
    """The module that the factory of a resolved student returns, with initial weights from the seed.

    Raises:
        InputError: The factory does not take the options, or does not return a module.
    """
    factory, options = _factory(spec)
    # The caller's random state does not change.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        body = factory(input_shape, num_classes, **options)
    if not isinstance(body, nn.Module):
        raise InputError(f"Student {spec.name!r} is a {type(body).__name__}; a torch.nn.Module is needed.")
    return body


def with_front(body: nn.Module, front: Normalise | UnitRange) -> nn.Module:
    """The module after the layer that scales pixels."""
    return nn.Sequential(OrderedDict(front=front, body=body))


Encode = Callable[[Encoder, Examples], Inputs]
"""Encodes examples: `in_memory`, or with a cache on disk."""


def in_memory(encoder: Encoder, examples: Examples) -> Inputs:
    """Encode examples without a cache."""
    return encoder.encode(examples)


def fitted_buffers(
    module: nn.Module, encoder: Encoder, parts: Sequence[Examples], encode: Encode = in_memory
) -> dict[str, Tensor]:
    """The buffers of a module that are fitted before training: pixel statistics or inverse document frequencies.

    Args:
        module: From `assemble`.
        encoder: Its encoder.
        parts: Labelled and pool examples.
        encode: Encodes them.

    Returns:
        Buffers by their names in the module.
    """
    if isinstance(module, NgramBag | EstimatorBody) and encoder.kind == "text":
        # Texts on disk may not fit into memory together: without a cache they are encoded and counted part by part.
        some = (each for part in parts for each in part.parts()) if encode is in_memory else parts
        return {"idf": inverse_document_frequency((encode(encoder, each) for each in some), len(module.idf))}
    if encoder.kind != "image":
        return {}
    counts = torch.stack([_value_counts(each.inputs) for part in parts for each in part.parts()]).sum(dim=0)
    values, total = torch.arange(256.0, dtype=torch.float64), counts.sum(dim=1)
    mean = (counts * values).sum(dim=1) / total
    std = ((counts * (values - mean.unsqueeze(1)).square()).sum(dim=1) / total).sqrt()
    std = torch.where(std > 0, std, 255.0)
    return {"front.mean": mean.float().view(1, -1, 1, 1), "front.std": std.float().view(1, -1, 1, 1)}


def _value_counts(images: Tensor) -> Tensor:
    """[C, 256], exact counts of each pixel value."""
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    # In blocks, because counting converts every pixel to eight bytes.
    for block in images.split(4096):
        for channel, pixels in enumerate(block.unbind(dim=1)):
            counts[channel] += torch.bincount(pixels.flatten(), minlength=256)
    return counts


def _as_json(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options after a JSON round trip: lists instead of tuples."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"The options of student {name!r} must be JSON values: {reason(error)}.") from None
    return plain


def _factory(spec: ModelSpec) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    if spec.name not in ZOO:
        factory = imported(spec.name, what="student")
        check_options_of(spec.name, spec.options, "student.options")
        if is_estimator(factory):
            return partial(EstimatorBody, factory, spec.options, spec.name), {}
        call_factory(factory, spec.name, {"input_shape": (), "num_classes": 0}, spec.options)

        def made(input_shape: Shape, num_classes: int, **options: Any) -> Any:
            shapes = {"input_shape": input_shape, "num_classes": num_classes}
            return call_factory(factory, spec.name, shapes, options)()

        return made, dict(spec.options)
    architecture = ZOO[spec.name]
    own = {name: value for name, value in spec.options.items() if name not in architecture.encoder_options}
    return architecture.factory, own


def _defaults_of(name: str) -> dict[str, Any]:
    return {**ZOO[name].encoder_options, **_keywords(ZOO[name].factory)}


def _keywords(factory: Callable[..., nn.Module]) -> dict[str, Any]:
    parameters = inspect.signature(factory).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
