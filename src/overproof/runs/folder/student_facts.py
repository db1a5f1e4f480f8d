"""What row.json holds: what is known of one training besides the student, the same for the same seed."""

from dataclasses import asdict
from typing import Any

from jaxtyping import Float
from torch import Tensor

from overproof.contract import Learning
from overproof.evaluation.metrics import deviation_slope
from overproof.methods.composition import Method
from overproof.models import Placed, Student
from overproof.runs.roles import knows_truth
from overproof.runs.seed_inputs import SeedInputs
from overproof.training.distillation import Distilled
from overproof.training.examples import AnsweredExamples
from overproof.training.least_trusted import least_trusted

NUM_SHOWN = 5
"""The likeliest mistakes of the teacher that a summary names."""


def facts_of(
    seed_inputs: SeedInputs,
    pool: AnsweredExamples,
    method: Method,
    result: Distilled,
    *,
    unknown_is_foreign: bool = False,
) -> dict[str, Any]:
    """What is known of one training besides the student. It is the same for the same seed, so it holds no times.

    Args:
        seed_inputs: What the student was made from.
        pool: The examples it was distilled on, with their true labels where they are known.
        method: By which.
        result: The training.
        unknown_is_foreign: Whether a pool example without a label is known to belong to no class.
    """
    facts: dict[str, Any] = {
        "num_labelled": result.num_labelled,
        "num_held_out": result.num_held_out,
        "num_pool": result.num_pool,
        "num_parameters": result.student.num_parameters,
        "noise": result.noise.summary(),
        "history": [asdict(record) for record in result.history],
    }
    labels = seed_inputs.answered["labelled"].label
    if len(labels):
        facts["commonest_label"] = labels.bincount().max().item() / len(labels)
    if seed_inputs.teacher_accuracy:
        facts["teacher_accuracy"] = seed_inputs.teacher_accuracy
    if result.mixing is not None:
        facts["mixing"] = asdict(result.mixing)
    if result.search is not None:
        facts["search"] = result.search.facts()
    if result.choices:
        facts["imitation"] = [asdict(choice) for choice in result.choices]
    if "labelled" in seed_inputs.truth:
        facts |= _given_mistakes(seed_inputs, result.student)
    if len(pool):
        facts |= _pool_facts(seed_inputs, pool, method, result, unknown_is_foreign)
    return facts


def _pool_facts(
    seed_inputs: SeedInputs, pool: AnsweredExamples, method: Method, result: Distilled, unknown_is_foreign: bool
) -> dict[str, Any]:
    """What was kept of the pool, which examples counted least, and which mistakes the student learned."""
    facts: dict[str, Any] = {}
    if result.num_classless:
        facts["num_classless"] = result.num_classless
    if 0 < result.num_pool < len(pool) - result.num_classless:
        counts = result.pool_classes
        facts["pool_classes"] = {
            "available": dict(zip(counts.names, counts.available, strict=True)),
            "kept": dict(zip(counts.names, counts.kept, strict=True)),
        }
        facts["classes_vanish"] = counts.warning()
    facts["selection"] = _selection(seed_inputs, pool, result, unknown_is_foreign)
    logits = result.student.logits(Placed(inputs=seed_inputs.inputs, place=pool.place))
    own = logits.argmax(dim=1).short()
    # Ascending rows, so that as many as there are are all of them; a copy of a large pool takes memory.
    everything = len(result.kept) == len(pool)
    kept, kept_logits = (pool, logits) if everything else (pool.take(result.kept), logits[result.kept])
    doubt = least_trusted(method, seed_inputs.inputs, kept, kept_logits, result.noise, result.memories)
    for each in doubt.get("least", ()):
        each["id"] = seed_inputs.id_at(int(kept.place[each.pop("row")]))
    if doubt:
        facts["doubt"] = doubt
    named = pool.answers.names_class
    given, truth, confidence = pool.answers.class_indices[:, 0], pool.label, pool.answers.class_probs[:, 0]
    if not named.all():
        given, truth, confidence = given[named], truth[named], confidence[named]
        own, logits = own[named], logits[named]
    wrong = (truth >= 0) & (given != truth)
    if len(given):
        facts["pool_agreement"] = (own == given).sum().item() / len(given)
        slope = deviation_slope(logits, given, confidence)
        if slope is not None:
            facts["deviation_slope"] = slope
    if knows_truth(truth):
        facts["pool_answers_right"] = 1 - wrong.sum().item() / (truth >= 0).sum().item()
        facts["mistakes_learned"] = (own == given)[wrong].double().mean().item() if wrong.any() else 0.0
    return facts


def _selection(
    seed_inputs: SeedInputs, pool: AnsweredExamples, result: Distilled, unknown_is_foreign: bool
) -> dict[str, Any]:
    """What a method kept of a pool: how often the teacher is expected to be right there by its accuracy curve, and,
    where foreign examples are marked, how many are in-domain."""
    kept, accuracy = result.kept, result.noise.accuracy_of(pool.answers)
    facts: dict[str, Any] = {"num_pool": len(pool) - result.num_classless, "num_kept": len(kept)}
    if len(kept) == 0:
        return facts
    if unknown_is_foreign:
        own = pool.label >= 0
        facts["in_domain"] = {
            "pool": own.double().mean().item(),
            "kept": own[kept].double().mean().item(),
            "of_all": own[kept].sum().item() / max(own.sum().item(), 1),
        }
    # A method that takes the answers as they are expects nothing.
    if result.noise.is_constant:
        return facts
    named = pool.answers.names_class
    everyone = accuracy[named] if named.any() else accuracy
    facts["expected_accuracy"] = {"pool": everyone.mean().item(), "kept": accuracy[kept].mean().item()}
    labelled = seed_inputs.answered.get("validation", seed_inputs.answered["labelled"]).answered.once
    if len(labelled):
        on_labelled = result.noise.accuracy_of(labelled.answers)
        facts["expected_accuracy"]["labelled"] = on_labelled.mean().item()
    return facts


def _given_mistakes(seed_inputs: SeedInputs, student: Student) -> dict[str, Any]:
    """How many of the given labels are wrong, and how many of those mistakes teacher and student repeat."""
    labelled, truth = seed_inputs.answered["labelled"], seed_inputs.truth["labelled"]
    wrong = labelled.label != truth
    own = student.probs(Placed(inputs=seed_inputs.inputs, place=labelled.place)).argmax(dim=1)

    def repeated(named: Tensor, where: Tensor = wrong) -> float:
        return (named == labelled.label)[where].double().mean().item() if where.any() else 0.0

    return {
        "given_labels_wrong": wrong.double().mean().item(),
        "teacher_repeats": repeated(labelled.answers.pseudo_label, wrong & labelled.answers.answered),
        "student_repeats": repeated(own),
    }


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
