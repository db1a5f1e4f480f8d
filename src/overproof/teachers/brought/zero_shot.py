"""A zero-shot teacher of texts: the class whose description is nearest to the text, in one embedding space."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import pydantic
import torch
from jaxtyping import Float
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import listed
from overproof.errors import InputError
from overproof.models.frozen.texts import Embedder, minilm
from overproof.teachers.brought.cut_texts import texts_cut_by
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import checked_options

ZERO_SHOT = "zero_shot"
"""Its name in `teacher.model`."""


class ZeroShotOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How classes are described.

    Args:
        descriptions: A text for each class, by the class's name; a class without one is described by its name.
        scale: The probabilities are the softmax of this times the cosine of text and description.
        answers: `probabilities`, or `labels`: the likeliest class with probability 1, as a language model's answers
            come.
        max_tokens: Longer texts are truncated to so many tokens.
        precision: `float32`, `bfloat16`, or `auto` for bfloat16 where the device multiplies it in hardware.
    """

    descriptions: Mapping[str, str] = pydantic.Field({})
    scale: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] = 20.0
    answers: Literal["probabilities", "labels"] = "probabilities"
    max_tokens: Annotated[int, pydantic.Field(ge=2, le=512)] = 128
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ZeroShot:
    """A sentence encoder and a description of each class.

    Args:
        embedder: Vectors of length 1.
        described: K texts, in the run's order of classes.
        scale: As in `ZeroShotOptions`.
        labels: Whether it names the likeliest class alone.

    Source: Radford et al. (2021), arXiv 2103.00020 (the softmax of scaled cosines between inputs and class texts).
    """

    embedder: Embedder
    described: tuple[str, ...]
    scale: float
    labels: bool

    @property
    def kind(self) -> Kind:
        """Texts."""
        return "text"

    @property
    def fingerprint(self) -> str:
        """Encoder, descriptions, scale and form of the answers."""
        made = {"described": self.described, "scale": self.scale, "labels": self.labels}
        return json.dumps({"zero_shot": self.embedder.fingerprint, **made}, sort_keys=True)

    def remarks(self, examples: Examples) -> list[str]:
        """How many texts are cut."""
        return texts_cut_by(self.embedder, "zero-shot teacher (minilm)", examples)

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """The softmax of the scaled cosines, or the likeliest class.

        Args:
            examples: N texts.
        """
        assert isinstance(examples.inputs, pa.Array), "only texts are let through"
        texts = self.embedder.embed(examples.inputs.to_pylist())
        logits = self.scale * texts @ self.embedder.embed(self.described).T
        if self.labels:
            return torch.nn.functional.one_hot(logits.argmax(dim=1), len(self.described)).float()
        return logits.softmax(dim=1)


class ZeroShotByName(BroughtKind):
    """`zero_shot`."""

    def matches(self, named: Named) -> bool:
        """By name."""
        return named.model == ZERO_SHOT

    def paths(self, named: Named) -> Iterable[tuple[str, str]]:
        """It has no file."""
        return []

    def files(self, named: Named) -> list[Path]:
        """The encoder is an installed package, whose version and weights are in the fingerprint."""
        return []

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """That the data are texts."""
        if kind not in (None, "text"):
            raise InputError(
                f"Option '{option}.model' is 'zero_shot', which reads texts; the data are of kind {kind!r}."
            )
        checked_options(ZeroShotOptions, named.options, "'zero_shot'")

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> ZeroShot:
        """With the descriptions of the run's classes."""
        if named.classes:
            raise InputError(
                "Option 'teacher.classes' is given, but 'zero_shot' answers for the run's classes; leave it out."
            )
        options = checked_options(ZeroShotOptions, named.options, "'zero_shot'")
        if unknown := [name for name in options.descriptions if name not in class_names]:
            raise InputError(
                f"Option 'teacher.options.descriptions' describes {listed(unknown)}, which is no class of the data; "
                f"the classes are {listed(class_names)}."
            )
        return ZeroShot(
            embedder=minilm(max_tokens=options.max_tokens, precision=options.precision),
            described=tuple(options.descriptions.get(name, name) for name in class_names),
            scale=options.scale,
            labels=options.answers == "labels",
        )
