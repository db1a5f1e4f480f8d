"""The result of a noise model (`NoiseEstimate`) and the interface of noise models."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float16, Float32, Int, Int64
from torch import Tensor

from overproof.functional.repeats import Repeats
from overproof.noise.accuracy import IsotonicAccuracy
from overproof.noise.candidates import CandidateRule
from overproof.noise.class_accuracy import ClassAccuracy
from overproof.noise.likelihood import LikelihoodRule
from overproof.noise.margins import margin
from overproof.noise.trust_probe import TrustProbe


@runtime_checkable
class StoredAnswer(Protocol):
    """What an estimate reads of stored answers."""

    @property
    def margin(self) -> Float16[Tensor, "N"]:
        """Likeliest minus second."""
        ...

    @property
    def pseudo_label(self) -> Int64[Tensor, "N"]:
        """The likeliest class."""
        ...

    def probs(self) -> Float32[Tensor, "N K"]:
        """All probabilities."""
        ...


SHOWN_MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Margins at which a summary states accuracy and candidates."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NoiseEstimate:
    """The accuracy of the teacher as a function of its answer, the candidate classes and the confusion of classes.

    Args:
        accuracy: P(right) as a function of the teacher's margin, of the predicted class if all margins are equal, or of
            the whole answer.
        candidates: The number of candidates as a function of the teacher's margin.
        transition: [K, K], P(pseudo-label j | true class i); rows sum to one.
        likelihood: P(the teacher's answer | true class) of every example; by the transition matrix, or conditional on
            more.
        temperature: Calibrates the teacher's probabilities (`calibrate`).
        mean_accuracy: Overall accuracy on the examples of the fit: mean, and low and high of its 95 % interval.
        num_examples: Number of labelled examples that it was fitted on, each content once.
    """

    accuracy: IsotonicAccuracy | ClassAccuracy | TrustProbe
    candidates: CandidateRule
    transition: Float32[Tensor, "K K"]
    likelihood: LikelihoodRule
    temperature: float
    mean_accuracy: tuple[float, float, float]
    num_examples: int

    @property
    def lower_bound(self) -> float:
        """The lower bound of the accuracy."""
        return self.accuracy.lower

    def teacher_accuracy(self, teacher_probs: Float[Tensor, "N K"]) -> Float32[Tensor, "N"]:
        """P(the pseudo-label is right) of every answer."""
        if isinstance(self.accuracy, ClassAccuracy):
            return self.accuracy(teacher_probs.argmax(dim=1))
        return self.accuracy(teacher_probs if isinstance(self.accuracy, TrustProbe) else margin(teacher_probs))

    def accuracy_of(self, answers: "StoredAnswer") -> Float32[Tensor, "N"]:
        """The same of stored answers: by their margins in half precision, by their predicted classes, or by all of it.

        Args:
            answers: `overproof.answers.predictions.Answers`.
        """
        if isinstance(self.accuracy, ClassAccuracy):
            return self.accuracy(answers.pseudo_label)
        return (
            self.accuracy(answers.probs())
            if isinstance(self.accuracy, TrustProbe)
            else self.accuracy.lookup(answers.margin)
        )

    @property
    def is_constant(self) -> bool:
        """Whether every answer has the same estimated accuracy, as under the `noiseless` model."""
        return isinstance(self.accuracy, IsotonicAccuracy) and len(self.accuracy.knots) == 1

    def num_candidates(self, teacher_probs: Float[Tensor, "N K"]) -> Int64[Tensor, "N"]:
        """The number of likeliest classes that contain the true one often enough, for every answer, in 2..K."""
        return self.candidates(margin(teacher_probs))

    def summary(self) -> dict[str, Any]:
        """The estimate as values for JSON: curves at five margins; of the transition matrix the diagonal.

        If all margins are equal there is no curve, but the accuracy by predicted class.
        """
        shown = torch.tensor(SHOWN_MARGINS)
        mean, low, high = self.mean_accuracy
        return {
            "num_examples": self.num_examples,
            "mean_accuracy": {"mean": mean, "low": low, "high": high},
            "lower_bound": self.lower_bound,
            "temperature": self.temperature,
            **self._shown_accuracy(),
            "num_candidates_at_margin": _at(self.candidates(shown)),
            "accuracy_by_class": [round(value, 4) for value in self.transition.diagonal().tolist()],
        }

    def _shown_accuracy(self) -> dict[str, Any]:
        match self.accuracy:
            case ClassAccuracy():
                return {"accuracy_by_answer": [round(value, 4) for value in self.accuracy.values.tolist()]}
            case TrustProbe():
                return {"probe": self.accuracy.summary()}
        return {"accuracy_at_margin": _at(self.accuracy(torch.tensor(SHOWN_MARGINS)))}


@runtime_checkable
class NoiseModel(Protocol):
    """Estimates the teacher's errors from its answers on labelled examples that it was not trained on."""

    def fit(
        self, teacher_probs: Float[Tensor, "_ _"], label: Int[Tensor, "_"], repeats: Repeats | None = None
    ) -> NoiseEstimate:
        """Estimate from out-of-sample answers [V, K] and true classes [V]; of repeated examples the first counts."""
        ...


def _at(values: Tensor) -> dict[str, float | int]:
    return {str(shown): round(value, 4) for shown, value in zip(SHOWN_MARGINS, values.tolist(), strict=True)}
