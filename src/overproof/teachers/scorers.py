"""The two protocols of a teacher, trainable and pretrained, and the checks that several kinds of teacher share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import pydantic
import torch
from jaxtyping import Float, Int
from torch import Tensor

from overproof.data import Examples, Kind, check_classes
from overproof.data.wording import listed, nearest
from overproof.errors import InputError
from overproof.options import validated
from overproof.seeds import hasher
from overproof.storage.digests import content_digest

Options = TypeVar("Options", bound=pydantic.BaseModel)

Predictor = Callable[[Examples], Float[Tensor, "N K"]]
"""A fitted teacher: its probabilities for some examples."""


@runtime_checkable
class Trainable(Protocol):
    """A teacher that can be trained: what `cross_fitted` fits F times."""

    @property
    def fingerprint(self) -> str:
        """Everything its answers follow from, besides the examples and the seed."""
        ...

    def fit(self, labelled: Examples, *, num_classes: int, seed: int, folder: Path) -> Predictor:
        """Train on labelled examples, none with an unknown label; an interrupted fit may resume from `folder`."""
        ...


@runtime_checkable
class Brought(Protocol):
    """A pretrained teacher, which was trained on none of the examples unless `trained_on_labelled` is set."""

    @property
    def kind(self) -> Kind:
        """The kind of examples it reads."""
        ...

    @property
    def fingerprint(self) -> str:
        """Everything its answers follow from, besides the examples."""
        ...

    def probs(self, examples: Examples) -> Float[Tensor, "N K"]:
        """Its probabilities, one column for each of the run's classes, in the run's order."""
        ...


def remarks_of(teacher: Brought, examples: Examples) -> list[str]:
    """What a pretrained teacher does not read of some examples, and how it computes; empty where there is nothing.

    Args:
        teacher: Some say nothing.
        examples: What it answers.
    """
    said: Callable[[Examples], list[str]] | None = getattr(teacher, "remarks", None)
    return [] if said is None else said(examples)


FULL = ("", "float32", "float64", "auto", "torch.float32", "torch.float64")
"""Types of weights of which nothing is said; "" where a file does not name one."""


def said_of_weights(who: str, stored_as: str, tool: str) -> list[str]:
    """A sentence, where weights have less precision than the computation; nothing of others.

    Args:
        who: What to call the teacher.
        stored_as: The type of its weights, such as `bfloat16`.
        tool: What else computes with them, and does so in that type.

    Example:
        >>> said_of_weights("teacher (a)", "float32", "torch")
        []
    """
    if stored_as in FULL:
        return []
    name = stored_as.removeprefix("torch.")
    return [
        f"The {who} has weights in {name}; they are computed with in float32, and {tool} itself computes in {name}, "
        f"whose probabilities differ in the second or third digit."
    ]


def check_named(width: int, names: Sequence[str], who: str) -> None:
    """A teacher has a name for each of the classes that it answers for.

    Args:
        width: The number of classes in its answers.
        names: Their names.
        who: The teacher's name in errors.

    Raises:
        InputError: There are more or fewer.
    """
    if len(names) != width:
        raise InputError(f"{who} answers for {width} classes, but {len(names)} are named: {listed(names)}.")


def column_order(class_names: Sequence[str], own: Sequence[str], who: str) -> Int[Tensor, "K"]:
    """Which of a teacher's columns each of the run's classes is: columns are matched by name, in any order.

    Args:
        class_names: The run's, in order.
        own: The teacher's, in the order of its columns.
        who: The teacher's name in errors.

    Example:
        >>> column_order(("no", "yes"), ("yes", "no"), "teacher (model.onnx)").tolist()
        [1, 0]

    Raises:
        InputError: They are not the same names.
    """
    own = list(own)
    known = [name for name in class_names if name in own]
    check_classes(class_names, known + [name for name in own if name not in class_names], who)
    return torch.tensor([own.index(name) for name in class_names])


def spread(probs: np.ndarray, classes: np.ndarray, num_classes: int) -> Float[Tensor, "N K"]:
    """Columns of the classes of one fit, put in their places among all K.

    Example:
        >>> spread(np.array([[0.25, 0.75]]), np.array([2, 0]), 3).tolist()
        [[0.75, 0.0, 0.25]]
    """
    whole = torch.zeros(len(probs), num_classes, dtype=torch.float64)
    whole[:, torch.from_numpy(np.asarray(classes)).long()] = torch.from_numpy(np.asarray(probs, dtype=np.float64))
    return whole


def check_two_classes(labelled: Examples) -> None:
    """A teacher can be trained on labelled examples: they are of two classes at least.

    Args:
        labelled: Examples with known labels.

    Raises:
        InputError: They are all of one class.
    """
    classes = labelled.label.unique().tolist()
    if len(classes) == 1 and len(labelled.class_names) > 1:
        raise InputError(
            f"All {len(labelled)} examples of {labelled.origin} that a teacher is trained on are of class "
            f"{labelled.class_names[classes[0]]!r}, so it cannot tell it from another: label more examples of another "
            f"class. (Where labelled rows are cross-validated, each fold needs some; `data.rows.test: 0` trains "
            f"without an estimate.)"
        )


def of_one_class(index: int, num_classes: int) -> Predictor:
    """A teacher fitted on examples of one class: it gives that class probability 1, whatever the example.

    Args:
        index: The class.
        num_classes: K.
    """

    def predict(examples: Examples) -> Tensor:
        probs = torch.zeros(len(examples), num_classes, dtype=torch.float64)
        probs[:, index] = 1.0
        return probs

    return predict


def without_classes(predict: Predictor, unseen: Sequence[int]) -> Predictor:
    """A fitted teacher that gives probability 0 to the classes that it has not seen.

    Args:
        predict: The teacher as it was fitted.
        unseen: The classes without an example among those that it was fitted on; not all of them.
    """

    def cleared(examples: Examples) -> Tensor:
        probs = predict(examples).double()
        seen = torch.ones(probs.shape[1], dtype=torch.bool)
        seen[list(unseen)] = False
        probs = probs * seen
        total = probs.sum(dim=1, keepdim=True)
        return torch.where(total > 0, probs / total, seen.double() / seen.sum())

    return cleared


def checked_options(model: type[Options], options: Mapping[str, Any], who: str) -> Options:
    """A pretrained teacher's own options, as data.

    Args:
        model: Which there are.
        options: As given in `teacher.options`.
        who: The teacher's name in errors.

    Raises:
        InputError: An option that does not exist, or a value that it cannot have.
    """
    for option in options:
        if option not in model.model_fields:
            raise InputError(
                f"Option 'teacher.options.{option}' does not exist for {who}{nearest(option, model.model_fields)}; its "
                f"options are {listed(model.model_fields)}."
            )
    return validated(model, options, "teacher.options")


def hash_of_files(paths: Sequence[Path], called: str | None = None) -> str:
    """One hash of the names and the content of some files.

    Args:
        paths: The files, in order.
        called: What the first of them counts as, where its name does not matter; those of the others do, because the
            first may refer to them.

    Raises:
        InputError: One of them cannot be read.
    """
    hashed = hasher()
    for number, path in enumerate(paths):
        name = path.name if number or called is None else called
        hashed.update(name.encode() + b"\0")
        try:
            hashed.update(bytes.fromhex(content_digest(path)))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    return hashed.hexdigest()
