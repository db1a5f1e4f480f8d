"""What the files of a Hugging Face folder say of a classifier: its kind, its classes, how its scores are meant."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from overproof.data import Kind
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.transformer import check_config

KINDS: Mapping[str, Kind] = {"ForSequenceClassification": "text", "ForImageClassification": "image"}
"""The kind of examples that an architecture reads, by the end of its name."""

ADAPTER = "adapter_config.json"
"""The file of a PEFT adapter."""

CROSS_ENCODER = "CrossEncoder"
"""The `model_type` of a CrossEncoder in a file of sentence-transformers; earlier versions wrote in `config.json`."""

_EARLIER_CROSS_ENCODERS = ("sentence_transformers", "sbert_ce_default_activation_function")

UNNAMED = "LABEL_"
"""Start of the default names of classes in a configuration."""

Activation = Literal["softmax", "sigmoid"]
"""What makes probabilities of logits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """A classifier, by its configuration.

    Args:
        kind: The kind of examples it reads.
        names: Of its outputs, in order.
        activation: What makes probabilities of its logits.
        stored_as: The type of its weights, such as `bfloat16`; "" where the configuration does not say.
    """

    kind: Kind
    names: tuple[str, ...]
    activation: Activation
    stored_as: str


def describe(folder: Path, scores: str, who: str) -> Described:
    """What `config.json` says of a classifier.

    Args:
        folder: Holds it.
        scores: The option: `auto`, `softmax` or `sigmoid`.
        who: What to call the teacher in errors.

    Raises:
        InputError: It cannot be read; no classifier of texts or images, with what to do; scores that are no
            probabilities of one class an example.
    """
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
    # A configuration that names no classes has two of them.
    labels = labels or {0: "LABEL_0", 1: "LABEL_1"}
    if sorted(labels) != list(range(len(labels))):
        raise InputError(f"{who} numbers its classes {listed(sorted(labels))}; 0 to K - 1 is needed.")
    stored_as = str(config.get("dtype") or config.get("torch_dtype") or "")
    return Described(
        kind=kinds[0],
        names=tuple(labels[index] for index in range(len(labels))),
        activation=_activation(folder, config, len(labels), scores, who),
        stored_as=stored_as,
    )


def _activation(folder: Path, config: Mapping[str, Any], width: int, scores: str, who: str) -> Activation:
    """How transformers' own pipeline makes probabilities of logits, or as the option says."""
    problem = config.get("problem_type")
    if problem == "regression" and scores != "sigmoid":
        raise InputError(f"{who} has problem_type 'regression': its numbers are no probabilities of classes.")
    if any(key in config for key in _EARLIER_CROSS_ENCODERS) or model_type(folder) == CROSS_ENCODER:
        raise InputError(
            f"{who} is a CrossEncoder of sentence-transformers, which scores pairs of texts, and a teacher gets one "
            f"text an example; write its answers into a file with the data's ids, and give "
            f"'teacher: {{answers: answers.csv}}'."
        )
    if scores != "auto":
        if scores == "softmax" and width == 1:
            raise InputError(
                f"Option 'teacher.options.scores' is 'softmax'; {who} has one output: 'sigmoid' is needed."
            )
        return "sigmoid" if scores == "sigmoid" else "softmax"
    if problem == "multi_label_classification":
        raise InputError(
            f"{who} has problem_type 'multi_label_classification', a probability for each class by itself, and one "
            f"class an example is needed; 'teacher.options.scores: sigmoid' divides them by their sum."
        )
    return "sigmoid" if width == 1 else "softmax"


def model_type(folder: Path) -> str:
    """What sentence-transformers calls a model that it saved; "" for other folders.

    Args:
        folder: The model's.
    """
    try:
        return str(json.loads((folder / "config_sentence_transformers.json").read_text()).get("model_type") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def is_sentence_folder(model: str) -> bool:
    """Whether a path is a folder of sentence-transformers with an encoder of texts, which is no classifier.

    Args:
        model: As `teacher.model`.
    """
    folder = Path(model).expanduser()
    if "/" not in model or not (folder / "modules.json").is_file() or (folder / "student.json").is_file():
        return False
    return model_type(folder) != CROSS_ENCODER


def outputs(described: Described, classes: Sequence[str], class_names: Sequence[str], who: str) -> tuple[str, ...]:
    """The names of the classes that a model answers for, in order; one output is that of the second of two classes.

    Args:
        described: The model.
        classes: As `teacher.classes`.
        class_names: The run's.
        who: What to call the teacher in errors.

    Raises:
        InputError: It does not name its classes, and the option does not either.
    """
    single = len(described.names) == 1
    if classes:
        return tuple(classes)
    unnamed = [name for name in described.names if name.startswith(UNNAMED) and name[len(UNNAMED) :].isdigit()]
    if single and not unnamed and described.names[0] in class_names and len(class_names) == 2:
        other = next(name for name in class_names if name != described.names[0])
        return other, described.names[0]
    if single:
        raise InputError(
            f"{who} has one output ({described.names[0]!r}), the probability of the second of two classes; name both "
            f"in 'teacher.classes', such as [no, yes]."
        )
    if unnamed:
        raise InputError(
            f"{who} does not name its {len(described.names)} classes ({listed(described.names, limit=3)}); give "
            f"'teacher.classes', their names in the order of its outputs."
        )
    return described.names


def check_adapter(folder: Path, who: str) -> None:
    """Refuse a PEFT adapter, which is no whole model.

    Args:
        folder: The teacher's.
        who: What to call the teacher in errors.

    Raises:
        InputError: It holds one, with how to merge it.
    """
    # Beside a whole model too: transformers would load the base that the adapter names instead.
    if not (folder / ADAPTER).is_file():
        return
    try:
        about = json.loads((folder / ADAPTER).read_text())
        base = str(about.get("base_model_name_or_path") or "its base model")
    except (OSError, ValueError, AttributeError):
        base = "its base model"
    raise InputError(
        f"{who} is a PEFT adapter of {base!r}, and no whole model; merge them once with peft: "
        f"AutoPeftModelForSequenceClassification.from_pretrained({str(folder)!r}, num_labels=K)"
        f".merge_and_unload().save_pretrained('merged'), save the tokenizer there too, and name the classes in "
        f"'teacher.classes' (an adapter keeps no names)."
    )
