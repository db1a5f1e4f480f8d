"""Findings about one student that no table judges, for data given in Python: those of a run that need no test."""

from dataclasses import asdict
from typing import Any

from overproof.evaluation.findings import RunFacts, chosen, hard_labels, lost_classes, peer_rounds
from overproof.evaluation.learning import cut_short, has_steps, not_learned
from overproof.models import Inputs, Placed
from overproof.training.distillation import Distilled
from overproof.training.examples import AnsweredExamples


def findings_of_training(
    result: Distilled, name: str, seed: int, inputs: Inputs, labelled: AnsweredExamples, pool: AnsweredExamples
) -> tuple[str, list[str]]:
    """That a student has not learned (empty where it has), and what else is remarkable in its training.

    Args:
        result: The training.
        name: What the sentences call the student.
        seed: Its seed.
        inputs: All encoded examples.
        labelled: The labelled ones.
        pool: Those with a teacher's answers.
    """
    wrong = ""
    if has_steps([asdict(each) for each in result.history]):
        wrong = not_learned(
            result.student.probs(Placed(inputs=inputs, place=labelled.place)),
            labelled.label,
            num_epochs=len(result.history),
            agreement=result.history[-1].pool_agreement,
            answered=pool.answers.pseudo_label[pool.answers.names_class] if len(pool) else None,
        )
    short = cut_short(result.history, len(result.student.class_names))
    training: dict[str, Any] = {"num_labelled": len(labelled), "noise": result.noise.summary()}
    if result.search is not None:
        training["search"] = result.search.facts()
    if result.choices:
        training["imitation"] = [asdict(choice) for choice in result.choices]
    if result.rounds:
        training["rounds"] = result.rounds
    if result.num_classless:
        training["num_classless"] = result.num_classless
    if 0 < result.num_pool < len(pool) - result.num_classless:
        training["classes_vanish"] = result.pool_classes.warning()
    facts = RunFacts(trainings={(name, seed): training}, class_names=result.student.class_names)
    found = [sentence for each in (lost_classes, chosen, peer_rounds, hard_labels) for sentence in each.find(facts)]
    return wrong, [*([short] if short and not wrong else []), *found]
