"""What every student of a seed is made from, and what is kept of each training besides the student."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from overproof.answers.predictions import Answers
from overproof.contract import Learning
from overproof.evaluation.findings.least_trusted import doubt_of
from overproof.methods.composition import Method
from overproof.models import Inputs, Placed, Student
from overproof.noise import global_accuracy, transition_interval
from overproof.storage.shard import Ids
from overproof.training.distillation import Distilled
from overproof.training.examples import Answered

KNOWN_ENOUGH = 0.9
"""An oracle row is given where the truth is known for this share of the pool; it then trains on that share."""

NUM_SHOWN = 5
"""The likeliest mistakes of the teacher that a summary names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What every student of a seed is made from: examples encoded once, answers read once.

    Args:
        seed: The run's.
        first: A student nobody trains, from which fresh ones are made.
        inputs: Labelled, pool and validation examples as it reads them.
        answered: The same by role, with the teacher's answers.
        ids: The content ids of each role's examples.
        without_fold: For each fold of a teacher that was trained on the labelled examples its answers on the pool
            without the fold; empty for one that was not, and where no row asks for them.
        truth: The true labels of the roles whose given ones were corrupted.
        trust_labelled_answers: Whether the teacher's answers on the labelled examples are out of sample.
    """

    seed: int
    first: Student
    inputs: Inputs
    answered: dict[str, Answered]
    ids: dict[str, Ids]
    without_fold: tuple[Answers, ...]
    truth: dict[str, Tensor]
    trust_labelled_answers: bool

    @cached_property
    def teacher_accuracy(self) -> dict[str, float]:
        """Mean, low and high of the teacher's accuracy on labelled examples unseen by it; empty without any."""
        label, teacher_probs = self._unseen
        if len(label) == 0:
            return {}
        return dict(zip(("mean", "low", "high"), global_accuracy(label, teacher_probs), strict=True))

    @cached_property
    def accuracy_by_class(self) -> dict[str, list[float]]:
        """Low and high of the teacher's accuracy on each class, as `teacher_accuracy`; empty without any examples."""
        label, teacher_probs = self._unseen
        if len(label) == 0:
            return {}
        ends = zip(("low", "high"), transition_interval(label, teacher_probs), strict=True)
        return {end: [round(value, 4) for value in matrix.diagonal().tolist()] for end, matrix in ends}

    @property
    def _unseen(self) -> tuple[Tensor, Tensor]:
        """True labels and teacher's answers on the labelled examples that it was not trained on."""
        role = "validation" if "validation" in self.answered else "labelled"
        known = self.answered[role]
        if role == "labelled" and not self.trust_labelled_answers:
            return known.label[:0], known.answers.probs()[:0]
        return self.truth.get(role, known.label), known.answers.probs()

    def told(self) -> dict[str, Answered]:
        """The roles whose given labels were corrupted, with the true ones: for the oracle."""
        return {role: replace(self.answered[role], label=label) for role, label in self.truth.items()}

    def num_for(self, pool: str) -> int:
        """How many examples a student is trained on, at most: labelled ones and those of a pool."""
        return len(self.answered["labelled"]) + len(self.answered[pool])

    def id_at(self, place: int) -> str:
        """The content id of the example that stands there in `inputs`, as hex."""
        for ids in self.ids.values():
            if place < len(ids):
                return bytes(ids[place].tobytes()).hex()
            place -= len(ids)
        raise IndexError(place)

    def fresh(self) -> Student:
        """A new student with the seed's initial weights."""
        return self.first.fresh(seed=self.seed)


def selection_of(material: Material, pool: Answered, result: Distilled, unknown_is_foreign: bool) -> dict[str, Any]:
    """What a method kept of a pool: how often the teacher is expected to be right there by its accuracy curve, and,
    where foreign examples are marked, how many are in-domain."""
    kept, accuracy = result.kept, result.noise.accuracy_of(pool.answers.margin, pool.answers.pseudo_label)
    facts: dict[str, Any] = {"num_pool": len(pool), "num_kept": len(kept)}
    if len(kept) == 0:
        return facts
    if unknown_is_foreign:
        own = pool.label >= 0
        facts["in_domain"] = {
            "pool": own.double().mean().item(),
            "kept": own[kept].double().mean().item(),
            "of_all": own[kept].sum().item() / max(own.sum().item(), 1),
        }
    # A method that takes the teacher at its word expects nothing.
    if result.noise.is_constant:
        return facts
    facts["expected_accuracy"] = {"pool": accuracy.mean().item(), "kept": accuracy[kept].mean().item()}
    labelled = material.answered.get("validation", material.answered["labelled"])
    if len(labelled):
        on_labelled = result.noise.accuracy_of(labelled.answers.margin, labelled.answers.pseudo_label)
        facts["expected_accuracy"]["labelled"] = on_labelled.mean().item()
    return facts


def learned_parts(method: Method, result: Distilled) -> dict[str, Tensor]:
    """What the parts of a method learned beside the student, by path and name, such as `pool.loss.transition`."""
    return {
        f"{path}.{name}": value.cpu().contiguous()
        for path, part in method.parts()
        if isinstance(part, Learning)
        for name, value in part.learned(result.memories[path]).items()
    }


def shown(matrix: Float[Tensor, "K K"]) -> dict[str, Any]:
    """A transition matrix for people and for JSON: its diagonal, and its largest other entries as [i, j, share]."""
    num_classes = len(matrix)
    others = matrix.clone().fill_diagonal_(-1.0).flatten()
    largest = others.topk(min(NUM_SHOWN, num_classes * (num_classes - 1))).indices.tolist()
    return {
        "diagonal": [round(value, 4) for value in matrix.diagonal().tolist()],
        "largest": [[*divmod(index, num_classes), round(matrix.flatten()[index].item(), 4)] for index in largest],
    }


def knows_truth(label: Tensor) -> bool:
    """Whether enough of a pool's labels are known for an oracle row."""
    return len(label) > 0 and (label >= 0).double().mean().item() >= KNOWN_ENOUGH


def facts_of(
    material: Material, pool: Answered, method: Method, result: Distilled, *, unknown_is_foreign: bool = False
) -> dict[str, Any]:
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
    if result.choices:
        facts["imitation"] = [asdict(choice) for choice in result.choices]
    if "labelled" in material.truth:
        facts |= _given_mistakes(material, result.student)
    if len(pool) == 0:
        return facts
    if 0 < result.num_pool < len(pool):
        counts = result.pool_classes
        facts["pool_classes"] = {
            "available": dict(zip(counts.names, counts.available, strict=True)),
            "kept": dict(zip(counts.names, counts.kept, strict=True)),
        }
        facts["classes_vanish"] = counts.warning()
    facts["selection"] = selection_of(material, pool, result, unknown_is_foreign)
    logits = result.student.logits(Placed(inputs=material.inputs, place=pool.place))
    own, kept = logits.argmax(dim=1), pool.take(result.kept)
    doubt = doubt_of(method, material.inputs, kept, logits[result.kept], result.noise, result.memories)
    for each in doubt.get("least", ()):
        each["id"] = material.id_at(int(kept.place[each.pop("row")]))
    if doubt:
        facts["doubt"] = doubt
    given = pool.answers.pseudo_label
    wrong = (pool.label >= 0) & (given != pool.label)
    facts["pool_agreement"] = (own == given).double().mean().item()
    if knows_truth(pool.label):
        facts["pool_answers_right"] = 1 - wrong.sum().item() / (pool.label >= 0).sum().item()
        facts["mistakes_learned"] = (own == given)[wrong].double().mean().item() if wrong.any() else 0.0
    return facts


def _given_mistakes(material: Material, student: Student) -> dict[str, Any]:
    """How many of the given labels are wrong, and how many of those mistakes teacher and student repeat."""
    labelled, truth = material.answered["labelled"], material.truth["labelled"]
    wrong = labelled.label != truth
    own = student.probs(Placed(inputs=material.inputs, place=labelled.place)).argmax(dim=1)

    def repeated(named: Tensor) -> float:
        return (named == labelled.label)[wrong].double().mean().item() if wrong.any() else 0.0

    return {
        "given_labels_wrong": wrong.double().mean().item(),
        "teacher_repeats": repeated(labelled.answers.pseudo_label),
        "student_repeats": repeated(own),
    }
