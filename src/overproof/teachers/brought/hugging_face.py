"""A Hugging Face classifier of texts or images from a local folder: safetensors only, no code of the folder's own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pydantic
import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.embeddings import quiet
from overproof.models.transformer import check_config
from overproof.teachers.kind import BroughtKind, Named
from overproof.teachers.scorers import check_named, checked_options, column_order, hash_of_files

KINDS: Mapping[str, Kind] = {"ForSequenceClassification": "text", "ForImageClassification": "image"}
"""The kind of examples that an architecture reads, by the end of its name."""

UNNAMED = re.compile(r"LABEL_\d+")
"""Default names of classes in a configuration."""


class HuggingFaceOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a Hugging Face classifier is applied.

    Args:
        max_tokens: A text is cut after that many tokens.
        batch_size: Examples at a time; texts are sorted by length first, so that little is padded.
    """

    max_tokens: int = pydantic.Field(256, ge=2)
    batch_size: int = pydantic.Field(32, ge=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class HuggingFaceTeacher:
    """A classifier from a folder, its classes matched to a run's by name.

    Args:
        kind: The kind of examples it reads.
        fingerprint: The hashes of its files and how it is applied.
        order: [K], which of its columns each of the run's classes is.
        model: In evaluation mode.
        inputs: Some examples, together in a batch, to what the model takes by keyword.
        batch_size: Examples at a time.
    """

    kind: Kind
    fingerprint: str
    order: Int[Tensor, "K"]
    model: Any = field(repr=False)
    inputs: Callable[[Examples], Mapping[str, Tensor]] = field(repr=False)
    batch_size: int

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities for some examples, one column for each of the run's classes."""
        if examples.kind != self.kind:
            raise InputError(
                f"{examples.origin} holds examples of kind {examples.kind!r}; the teacher reads {self.kind!r}."
            )
        order = torch.arange(len(examples))
        if self.kind == "text":
            assert isinstance(examples.inputs, pa.Array)
            order = torch.tensor([len(text) for text in examples.inputs.to_pylist()]).argsort(stable=True)
        probs = torch.empty(len(examples), len(self.order))
        with torch.no_grad():
            for rows in order.split(self.batch_size):
                try:
                    logits = self.model(**self.inputs(examples.take(rows))).logits
                except torch.OutOfMemoryError:
                    raise
                except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
                    raise InputError(
                        f"teacher: the Hugging Face model and its tokenizer or image processor do not fit each other: "
                        f"{reason(error)}."
                    ) from error
                probs[rows] = logits.float().softmax(dim=1)[:, self.order]
        return probs


def open_hugging_face(
    folder: Path,
    options: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    classes: Sequence[str],
    examples: Examples,
) -> HuggingFaceTeacher:
    """The classifier that `save_pretrained` wrote into a folder, with its tokenizer or image processor.

    Nothing is downloaded, no code from the folder is run, and weights are read from safetensors alone.

    Args:
        folder: With `config.json`, `model.safetensors` (or its shards), and tokenizer or image processor.
        options: `HuggingFaceOptions`.
        class_names: The run's, in order.
        classes: The names of its outputs, in order, where its configuration calls them LABEL_0, LABEL_1 … or otherwise.
        examples: Some of the examples that it will answer.

    Raises:
        InputError: transformers is not installed; the folder holds no such classifier; another kind of examples; class
            names that do not match.
    """
    who = f"teacher ({folder})"
    chosen = checked_options(HuggingFaceOptions, options, who)
    kind, names = _described(folder, who)
    names = tuple(classes) if classes else names
    if examples.kind != kind:
        raise InputError(f"{who} reads {kind}s, but the data are of kind {examples.kind!r}.")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(
            f"{who} holds no safetensors; only such weights are read: save the model anew with save_pretrained."
        )
    if not classes and any(UNNAMED.fullmatch(name) for name in names):
        raise InputError(
            f"{who} does not name its {len(names)} classes ({listed(names, limit=3)}); give 'teacher.classes', their "
            f"names in the order of its outputs."
        )
    order = column_order(class_names, names, who)
    made = json.dumps({"hugging face": chosen.model_dump(mode="json"), "classes": list(names)}, sort_keys=True)
    files = hash_of_files(sorted([*weights, *folder.glob("*.json"), *folder.glob("*.txt"), *folder.glob("*.model")]))
    model, inputs, version = _loaded(folder, kind, chosen, who)
    check_named(model.config.num_labels, names, who)
    return HuggingFaceTeacher(
        kind=kind,
        fingerprint=f"{made} transformers={version} files={files}",
        order=order,
        model=model,
        inputs=inputs,
        batch_size=chosen.batch_size,
    )


def _described(folder: Path, who: str) -> tuple[Kind, tuple[str, ...]]:
    """The kind of examples that the model reads and the names of its classes, by its configuration."""
    try:
        config = json.loads((folder / "config.json").read_text())
        architectures = list(config.get("architectures") or [])
        labels = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{who}: config.json cannot be read: {reason(error)}.") from None
    # Code that `auto_map` names is not run; an implementation by name would be loaded.
    check_config({key: value for key, value in config.items() if key.endswith("_implementation")}, f"config of {who}")
    kinds = [kind for end, kind in KINDS.items() if any(name.endswith(end) for name in architectures)]
    if not kinds:
        raise InputError(
            f"{who} is {listed(architectures) or 'of no architecture'}; a classifier is needed: "
            f"{listed(f'…{end}' for end in KINDS)}."
        )
    if config.get("problem_type") in ("regression", "multi_label_classification"):
        raise InputError(f"{who} has problem_type {config['problem_type']!r}; one class an example is needed.")
    # A configuration that names no classes has two of them.
    labels = labels or {0: "LABEL_0", 1: "LABEL_1"}
    if sorted(labels) != list(range(len(labels))) or len(labels) < 2:
        raise InputError(f"{who} numbers its classes {listed(sorted(labels))}; 0 to K - 1 is needed, K at least 2.")
    return kinds[0], tuple(labels[index] for index in range(len(labels)))


def _loaded(folder: Path, kind: Kind, chosen: HuggingFaceOptions, who: str) -> tuple[Any, Any, str]:
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
                transformers.AutoTokenizer.from_pretrained(folder, **local)
                if kind == "text"
                # The one backend that needs no torchvision: the same numbers on every machine.
                else transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", **local)
            )
    except Exception as error:
        raise InputError(f"{who} cannot be loaded: {reason(error)}.") from None
    if lacking := sorted(info["missing_keys"]):
        # transformers would draw them at random: a body without the head that was trained on it.
        raise InputError(f"{who} lacks the weights {listed(lacking, limit=5)}; it is no trained classifier.")

    def tokens(some: Examples) -> Mapping[str, Tensor]:
        assert isinstance(some.inputs, pa.Array)
        texts = some.inputs.to_pylist()
        batch: Mapping[str, Tensor] = front(
            texts, padding=True, truncation=True, max_length=chosen.max_tokens, return_tensors="pt"
        )
        return batch

    def pixels(some: Examples) -> Mapping[str, Tensor]:
        assert isinstance(some.inputs, Tensor)
        images = some.inputs.expand(-1, 3, -1, -1) if some.inputs.shape[1] == 1 else some.inputs
        arrays = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]
        batch: Mapping[str, Tensor] = front(images=arrays, return_tensors="pt", input_data_format="channels_last")
        return batch

    return model, (tokens if kind == "text" else pixels), transformers.__version__


class HuggingFaceFolder(BroughtKind):
    """A folder with `config.json`."""

    def matches(self, named: Named) -> bool:
        """A saved student's folder may hold a `config.json` too."""
        folder = Path(named.model)
        is_path = "/" in named.model and not named.weights
        return is_path and (folder / "config.json").is_file() and not (folder / "student.json").is_file()

    def open(self, named: Named, class_names: Sequence[str], examples: Examples) -> HuggingFaceTeacher:
        """As `open_hugging_face`."""
        return open_hugging_face(
            Path(named.model), named.options, class_names, classes=named.classes, examples=examples
        )
