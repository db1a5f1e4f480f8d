"""Decides the form of student-label mixing from the estimated accuracies of the pool's answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.methods.composition import Method, override
from overproof.methods.losses import StudentLabelMixing
from overproof.noise import ClassAccuracy, DoubtfulClasses, NoiseEstimate, accuracy_in_words, doubtful_classes


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixing:
    """The form of student-label mixing in a training.

    Args:
        normalized: Whether it was normalised.
        chosen: Whether that was decided here (`auto`), not by the user.
        doubtful: The predicted classes whose estimated accuracy comes near one half.
    """

    normalized: bool
    chosen: bool
    doubtful: DoubtfulClasses

    def warning(self, class_names: Sequence[str]) -> str:
        """What the un-normalised form may lose, with the number of answers; empty where nothing is doubtful.

        Args:
            class_names: K names.
        """
        if self.normalized or not self.doubtful.num_rows:
            return ""
        found = self.doubtful
        classes = ", ".join(
            f"{class_names[index]} {accuracy_in_words(value)}" for index, value in found.accuracy.items()
        )
        return (
            f"{found.num_rows} of {found.num_answers} pool answers are of classes with an estimated accuracy below "
            f"{found.bound:g} ({classes}): the un-normalised mix hardly learns them from the pool, and may lose them; "
            f"use method='slam_auto', 'slam_normalized', 'forward' or 'hard'."
        )


def settled_mixing(
    method: Method, noise: NoiseEstimate, answers: Answers, chosen: Tensor
) -> tuple[Method, Mixing | None]:
    """The method with the form of its student-label mixing decided where it is `auto`, and what was decided.

    Args:
        method: Any; without that loss it is returned as it is, with None.
        noise: The estimate of the teacher's errors.
        answers: The teacher's, on the whole pool.
        chosen: [M], the rows of the pool that are trained on.
    """
    loss = method.pool.loss
    if not isinstance(loss, StudentLabelMixing) or len(chosen) == 0:
        return method, None
    accuracy = noise.accuracy_of(answers)[chosen]
    hard = isinstance(noise.accuracy, ClassAccuracy)
    found = doubtful_classes(accuracy, answers.pseudo_label[chosen], answers.num_classes, hard=hard)
    automatic = loss.normalized == "auto"
    normalized = bool(found.num_rows) if automatic else bool(loss.normalized)
    mixing = Mixing(normalized=normalized, chosen=automatic, doubtful=found)
    return override(method, "pool.loss.normalized", normalized), mixing
