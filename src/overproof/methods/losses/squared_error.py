"""Squared error of probabilities, a bounded loss whose minimum is the posterior, for teachers."""

from dataclasses import dataclass

from overproof.claims import ZeroAtTheTarget
from overproof.contract import Batch, PerExample
from overproof.functional import squared_error
from overproof.papers import MSE_TEACHER_2024
from overproof.registry import register


@register("loss", "squared_error", paper=MSE_TEACHER_2024, claims=(ZeroAtTheTarget(),))
@dataclass(frozen=True, kw_only=True, slots=True)
class SquaredError:
    """The sum over classes of the squared difference between the student's probability and the target.

    It is for teachers, as `teacher.train.loss: mse`: like cross-entropy it is least at the true posterior, and a
    single wrong label moves it less.
    """

    def __call__(self, batch: Batch) -> PerExample:
        return squared_error(batch.student_logits, batch.target_probs)
