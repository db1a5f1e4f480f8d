"""A Hugging Face classifier of texts or images from a local folder: safetensors only, no code of the folder's own."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pydantic
import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.frozen.texts import quiet
from overproof.teachers.brought.cut_texts import texts_cut_by
from overproof.teachers.brought.decision import which
from overproof.teachers.brought.hugging_face_config import (
    ADAPTER,
    Activation,
    check_adapter,
    describe,
    is_sentence_folder,
    outputs,
)
from overproof.teachers.brought.hugging_face_texts import Texts, texts_for
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import check_named, checked_options, column_order, hash_of_files, said_of_weights

READING = 2
"""The number of the rules by which folders are read: raised where the same options give other answers."""


class HuggingFaceOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a Hugging Face classifier is applied.

    Args:
        max_tokens: A text is cut after that many tokens; by default where the model and its tokenizer end, and after
            8,192 at the latest.
        scores: What makes probabilities of its logits: `auto` is what transformers' own pipeline takes, a softmax, and
            for one output a sigmoid; `sigmoid` is one for each class, and divides them by their sum.
        batch_size: Examples at a time. Only texts of the same number of tokens are in a batch, so that none is padded.
    """

    max_tokens: int | None = pydantic.Field(None, ge=2)
    scores: Literal["auto", "softmax", "sigmoid"] = "auto"
    batch_size: int = pydantic.Field(32, ge=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class HuggingFaceTeacher:
    """A classifier from a folder, its classes matched to a run's by name.

    Args:
        kind: The kind of examples it reads.
        fingerprint: The hashes of its files and how it is applied.
        order: [K], which of its columns each of the run's classes is.
        model: In evaluation mode.
        front: What turns texts into tokens, or images into what the model takes.
        activation: What makes probabilities of its logits.
        batch_size: Examples at a time.
        who: What to call it in errors.
        stored_as: The type of its weights, where it is not that of the computation.
    """

    kind: Kind
    fingerprint: str
    order: Int[Tensor, "K"]
    model: Any = field(repr=False)
    front: "Texts | Callable[[Examples], Mapping[str, Tensor]]" = field(repr=False)
    activation: Activation
    batch_size: int
    who: str
    stored_as: str = ""

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        if examples.kind != self.kind:
            raise InputError(
                f"{examples.origin} holds examples of kind {examples.kind!r}; the teacher reads {self.kind!r}."
            )
        probs = torch.empty(len(examples), len(self.order))
        with torch.no_grad():
            try:
                for rows, batch in self._batches(examples):
                    probs[rows] = self._of_logits(self.model(**batch).logits.float())[:, self.order]
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
                raise InputError(
                    f"teacher: the Hugging Face model and its tokenizer or image processor do not fit each other: "
                    f"{reason(error)}."
                ) from error
        bad = ~probs.isfinite().all(dim=1)
        if bad.any():
            row = int(bad.nonzero()[0])
            raise InputError(f"{self.who} gives {which(examples, row)} no finite probabilities.")
        return probs

    def remarks(self, examples: Examples) -> list[str]:
        """How many texts are cut, and weights of less precision than the computation."""
        said = said_of_weights(self.who, self.stored_as, "transformers")
        return [*said, *texts_cut_by(self.front, self.who, examples)]

    def _batches(self, examples: Examples) -> Iterator[tuple[Tensor, Mapping[str, Tensor]]]:
        if isinstance(self.front, Texts):
            assert isinstance(examples.inputs, pa.Array)
            yield from self.front.batches(examples.inputs.to_pylist(), self.batch_size)
            return
        for rows in torch.arange(len(examples)).split(self.batch_size):
            yield rows, self.front(examples.take(rows))

    def _of_logits(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n K"]:
        if self.activation == "softmax":
            return logits.softmax(dim=1)
        probs = logits.sigmoid()
        return torch.cat([1 - probs, probs], dim=1) if probs.shape[1] == 1 else probs / probs.sum(dim=1, keepdim=True)


def open_hugging_face(
    folder: Path,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    classes: Sequence[str],
    examples: Examples,
    front: Path | None = None,
) -> HuggingFaceTeacher:
    """The classifier that `save_pretrained` wrote into a folder, with its tokenizer or image processor.

    Nothing is downloaded, no code from the folder is run, and weights are read from safetensors alone.

    Args:
        folder: With `config.json`, `model.safetensors` (or its shards), and tokenizer or image processor.
        options: `HuggingFaceOptions`.
        class_names: The run's, in order.
        classes: The names of its outputs, in order, where its configuration calls them LABEL_0, LABEL_1 … or otherwise.
        examples: Some of the examples that it will answer.
        front: The folder of its tokenizer or image processor, where that is another.

    Raises:
        InputError: transformers is not installed; the folder holds no such classifier; another kind of examples; class
            names that do not match.
    """
    who = f"teacher ({folder})"
    chosen = checked_options(HuggingFaceOptions, options, who)
    check_adapter(folder, who)
    described = describe(folder, chosen.scores, who)
    if examples.kind != described.kind:
        raise InputError(f"{who} reads {described.kind}s, but the data are of kind {examples.kind!r}.")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(
            f"{who} holds no safetensors; only such weights are read: save the model anew with save_pretrained."
        )
    names = outputs(described, classes, class_names, who)
    order = column_order(class_names, names, who)
    given = {**chosen.model_dump(mode="json", exclude_defaults=True), "reading": READING}
    made = json.dumps({"hugging face": given, "classes": list(names)}, sort_keys=True)
    read = sorted([*weights, *_described_by(folder)])
    files = hash_of_files([*read, *(sorted(_described_by(front)) if front else ())])
    model, reader, version = _loaded(folder, front or folder, described.kind, chosen, who)
    check_named(max(model.config.num_labels, 2), names, who)
    return HuggingFaceTeacher(
        kind=described.kind,
        fingerprint=f"{made} transformers={version} files={files}",
        order=order,
        model=model,
        front=reader,
        activation=described.activation,
        batch_size=chosen.batch_size,
        who=who,
        stored_as=described.stored_as,
    )


def _described_by(folder: Path) -> list[Path]:
    return [path for end in ("json", "txt", "model") for path in folder.glob(f"*.{end}")]


def _loaded(folder: Path, beside: Path, kind: Kind, chosen: HuggingFaceOptions, who: str) -> tuple[Any, Any, str]:
    try:
        import transformers
    except ImportError:
        raise InputError(
            f"{who} needs the package transformers; install it with: pip install 'overproof[text]'."
        ) from None
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    classifier = {
        "text": transformers.AutoModelForSequenceClassification,
        "image": transformers.AutoModelForImageClassification,
    }[kind]
    try:
        # Weights drawn before the stored ones are read must not move the caller's random numbers.
        with quiet(), torch.random.fork_rng(devices=[]):
            model, info = classifier.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
            )
            model.eval()
            front: Any = (
                transformers.AutoTokenizer.from_pretrained(beside, **local)
                if kind == "text"
                # The one backend that needs no torchvision: the same numbers on every machine.
                else transformers.AutoImageProcessor.from_pretrained(beside, backend="pil", **local)
            )
    except Exception as error:
        raise InputError(f"{who} cannot be loaded: {reason(error)}.") from None
    if lacking := sorted(info["missing_keys"]):
        # transformers would draw them at random: a body without the head that was trained on it.
        raise InputError(f"{who} lacks the weights {listed(lacking, limit=5)}; it is no trained classifier.")

    if kind == "text":
        return model, texts_for(model, front, chosen.max_tokens, who), transformers.__version__

    def pixels(some: Examples) -> Mapping[str, Tensor]:
        assert isinstance(some.inputs, Tensor)
        images = some.inputs.expand(-1, 3, -1, -1) if some.inputs.shape[1] == 1 else some.inputs
        arrays = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]
        batch: Mapping[str, Tensor] = front(images=arrays, return_tensors="pt", input_data_format="channels_last")
        return batch

    return model, pixels, transformers.__version__


class HuggingFaceFolder(BroughtKind):
    """A folder with `config.json`; one with an adapter alone is refused in words."""

    def matches(self, named: Named) -> bool:
        """A saved student's folder may hold a `config.json` too."""
        folder = Path(named.model)
        is_path = "/" in named.model and not named.weights and not is_sentence_folder(named.model)
        has_model = (folder / "config.json").is_file() or (folder / ADAPTER).is_file()
        return is_path and has_model and not (folder / "student.json").is_file()

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> HuggingFaceTeacher:
        """As `open_hugging_face`."""
        return open_hugging_face(
            Path(named.model), named.options, class_names, classes=named.classes, examples=examples
        )
