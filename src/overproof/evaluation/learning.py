"""Whether a student has learned at all: its loss and accuracy beside those of guessing, and the end of its curve."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from overproof.training.checkpoint import EpochRecord

NEAR_GUESSING = 0.95
"""A loss of this share of that of guessing or more is near it."""

LITTLE = 0.15
"""An accuracy is near that of guessing where it closes less than this share of the gap from chance to one."""

BY_CHANCE = 0.5
"""The same where the loss is that of guessing or higher after two epochs or more: random first weights can be right on
more than half of the examples, but a student that has learned has a lower loss than guessing."""

BELOW_CHANCE = 0.8
"""The share of the loss of guessing that is near it for a student which is right less often than chance."""

STEEP = 0.05
"""A learning curve falls steeply where the last epoch lowers the loss by this share of log K or more, ..."""

HIGH = 0.5
"""... from a loss that is this share of log K or more at the end."""


def is_guessing(*, loss: float, accuracy: float, chance: float, guessing: float, first: bool) -> bool:
    """Whether both loss and accuracy are near those of guessing.

    Args:
        loss: In nats.
        accuracy: Share of examples that are right.
        chance: That of naming one class for all.
        guessing: The loss of giving all examples the same probabilities.
        first: Whether it is the loss of the first epoch.
    """
    above = loss >= guessing and not first
    return loss >= NEAR_GUESSING * guessing and _closed(accuracy, chance) <= (BY_CHANCE if above else LITTLE)


def still_falls(*, loss: float, fell: float | None, guessing: float) -> bool:
    """Whether the last epoch lowered a high loss by much.

    Args:
        loss: Of the last epoch, of cross-entropy with weight one.
        fell: How much lower it was than that of the epoch before; None with one epoch.
        guessing: log K.
    """
    return fell is not None and fell >= STEEP * guessing and loss >= HIGH * guessing


def has_steps(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a history is one of the training loop, which counts answers during training; estimators do not.

    Args:
        history: The records of the epochs, as mappings.
    """
    return bool(history) and any(history[-1].get(name) is not None for name in ("labelled_right", "pool_agreement"))


def not_learned(
    probs: Float[Tensor, "n K"],
    label: Int[Tensor, "n"],
    *,
    num_epochs: int,
    agreement: float | None = None,
    answered: Int[Tensor, "N"] | None = None,
    option: str = "'epochs' of train",
) -> str:
    """What is to be said of a student that does not know the labels it was trained on; empty where it does.

    It has not learned where the labels have a probability, and are named, about as seldom as by one that says the same
    of all; and where it does not repeat the teacher's answers to the pool either, which may be wrong themselves. This
    holds for every method, whatever its loss.

    Args:
        probs: [n, K], its probabilities on labelled examples of its training.
        label: [n], their labels.
        num_epochs: Of its training.
        agreement: Share of the pool on which its class is the teacher's; None without a pool.
        answered: [N], the classes that the teacher answers to the pool; None without one.
        option: What sets the epochs.

    Example:
        >>> import torch
        >>> label = torch.tensor([0, 1, 2, 0])
        >>> not_learned(torch.full((4, 3), 1 / 3), label, num_epochs=1)[:75]
        'The student has not learned: of 4 labelled examples that it was trained on,'
        >>> not_learned(torch.eye(3)[label], label, num_epochs=1)
        ''
    """
    if len(label) == 0:
        return ""
    share = label.bincount().double() / len(label)
    guessing, chance = -share[share > 0].mul(share[share > 0].log()).sum().item(), share.max().item()
    own = probs.double()[range(len(label)), label].clamp_min(1e-12).log()
    loss, right = -own.mean().item(), (probs.argmax(dim=1) == label).double().mean().item()
    guesses = is_guessing(loss=loss, accuracy=right, chance=chance, guessing=guessing, first=num_epochs == 1)
    below = right < chance and loss >= BELOW_CHANCE * guessing
    if not (guesses or below) or _repeats(agreement, answered):
        return ""
    return (
        f"The student has not learned: of {len(label)} labelled examples that it was trained on, it is right on "
        f"{right:.1%}, and naming one class for all is right on {chance:.1%}. It was trained for "
        f"{_epochs(num_epochs)}: give {max(30, 4 * num_epochs)} or more ({option}), or a higher learning rate; numbers "
        f"of very different sizes need a scale of their own."
    )


def cut_short(history: Sequence[EpochRecord], num_classes: int) -> str:
    """What is to be said of a training that ends while its loss falls steeply; empty where it does not.

    Args:
        history: Its epochs. Where examples have weights other than one, losses of two epochs are not compared.
        num_classes: K.
    """
    last, guessing = history[-2:], math.log(num_classes) if num_classes > 1 else 0.0
    if len(last) < 2 or not has_steps([asdict(last[1])]) or any(each.weight_min != each.weight_max for each in last):
        return ""
    if not still_falls(loss=last[1].loss, fell=last[0].loss - last[1].loss, guessing=guessing):
        return ""
    return (
        f"The training was too short: the last of {_epochs(len(history))} lowered its loss from {last[0].loss:.3f} to "
        f"{last[1].loss:.3f} (guessing has {guessing:.3f}); give train={{'epochs': {max(15, 3 * len(history))}}} or "
        f"more."
    )


def _closed(accuracy: float, chance: float) -> float:
    """The share of the gap from chance to one that an accuracy closes."""
    return (accuracy - chance) / (1 - chance) if chance < 1 else 0.0


def _repeats(agreement: float | None, answered: Tensor | None) -> bool:
    """Whether a student repeats the teacher's answers, more than by naming the commonest of them for all."""
    if agreement is None or answered is None or len(answered) == 0:
        return False
    return _closed(agreement, answered.bincount().max().item() / len(answered)) > BY_CHANCE


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' if number > 1 else ''}"
