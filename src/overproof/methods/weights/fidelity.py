"""The weight that is the teacher's accuracy on the example."""

from dataclasses import dataclass

from overproof.claims import OneWithoutNoise
from overproof.contract import Batch, PerExample
from overproof.papers import FIDELITY_2018
from overproof.registry import register


@register("weight", "fidelity", paper=FIDELITY_2018, claims=(OneWithoutNoise(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class Fidelity:
    """The estimated accuracy of the teacher at the example.

    Differs from the paper: the confidence is the isotonic accuracy on labelled examples, not the posterior variance of
    a Gaussian process, and it scales the loss, not the learning rate (the same for plain SGD).
    """

    def __call__(self, batch: Batch) -> PerExample:
        return batch.teacher_accuracy
