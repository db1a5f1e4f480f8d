"""What every student of a seed is made from, and what is kept of each training besides the student."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from overproof.answered import Answered, Placed
from overproof.distillation import Distilled
from overproof.models import Inputs, Student
from overproof.noise import global_accuracy
from overproof.shard import Ids

KNOWN_ENOUGH = 0.9
"""An oracle row is given where the truth is known for this share of the pool; it then trains on that share."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What every student of a seed is made from: examples encoded once, answers read once.

    Args:
        seed: The run's.
        first: A student nobody trains, from which fresh ones are made.
        inputs: Labelled, pool and validation examples as it reads them.
        answered: The same by role, with the teacher's answers.
        ids: The content ids of each role's examples.
    """

    seed: int
    first: Student
    inputs: Inputs
    answered: dict[str, Answered]
    ids: dict[str, Ids]

    @cached_property
    def teacher_accuracy(self) -> dict[str, float]:
        """Mean, low and high of the teacher's accuracy on labelled examples unseen by it; empty without any."""
        known = self.answered.get("validation", self.answered["labelled"])
        if len(known) == 0:
            return {}
        return dict(zip(("mean", "low", "high"), global_accuracy(known.label, known.answers.probs()), strict=True))

    def fresh(self) -> Student:
        """A new student with the seed's initial weights."""
        return self.first.fresh(seed=self.seed)


def knows_truth(label: Tensor) -> bool:
    """Whether enough of a pool's labels are known for an oracle row."""
    return len(label) > 0 and (label >= 0).double().mean().item() >= KNOWN_ENOUGH


def facts_of(material: Material, pool: Answered, result: Distilled) -> dict[str, Any]:
    """What is kept of one training besides the student: the same bytes for the same seed, so no times."""
    facts: dict[str, Any] = {
        "num_labelled": result.num_labelled,
        "num_held_out": result.num_held_out,
        "num_pool": result.num_pool,
        "num_parameters": result.student.num_parameters,
        "noise": result.noise.summary(),
        "history": [asdict(record) for record in result.history],
    }
    if material.teacher_accuracy:
        facts["teacher_accuracy"] = material.teacher_accuracy
    if len(pool) == 0:
        return facts
    if 0 < result.num_pool < len(pool):
        counts = result.pool_classes
        facts["pool_classes"] = {
            "available": dict(zip(counts.names, counts.available, strict=True)),
            "kept": dict(zip(counts.names, counts.kept, strict=True)),
        }
        facts["classes_vanish"] = counts.warning()
    own = result.student.probs(Placed(inputs=material.inputs, place=pool.place)).argmax(dim=1)
    given = pool.answers.pseudo_label
    wrong = (pool.label >= 0) & (given != pool.label)
    facts["pool_agreement"] = (own == given).double().mean().item()
    if knows_truth(pool.label):
        facts["pool_answers_right"] = 1 - wrong.sum().item() / (pool.label >= 0).sum().item()
        facts["mistakes_learned"] = (own == given)[wrong].double().mean().item() if wrong.any() else 0.0
    return facts
