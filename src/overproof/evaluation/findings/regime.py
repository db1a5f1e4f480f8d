"""Whether the student averages the teacher's mistakes out or memorises them, or whether they are systematic."""

from collections.abc import Sequence
from statistics import fmean

from overproof.evaluation.findings import not_learned
from overproof.evaluation.findings.run_facts import RunFacts
from overproof.evaluation.verdict import Row

AVERAGING = 0.5
"""A conventional student that repeats less than this share of the teacher's mistakes averages them out."""

SYSTEMATIC = 0.2
"""Mistakes are systematic where a conventional student is right on less than this share of them on the test, whose
answers it was never trained on."""


def find(facts: RunFacts) -> list[str]:
    """The share of the teacher's mistakes that the student of hard labels repeats.

    If the pool has no true labels, only how often it agrees with the answers. Nothing where no student has learned
    (`not_learned`): repeating few mistakes is then no averaging.
    """
    if not_learned.find(facts):
        return []
    hard = facts.trainings_of("hard") if facts.conventional("hard") else []
    if hard and all("mistakes_learned" in each for each in hard):
        right = fmean(each["pool_answers_right"] for each in hard)
        learned = fmean(each["mistakes_learned"] for each in hard)
        judging = "labelled rows" if facts.cross_validated else "test examples"
        return [
            f"The teacher is right on {right:.1%} of the pool; the student trained on its hard labels repeats "
            f"{learned:.0%} of its mistakes there.",
            _regime(learned, _mean_where_wrong(facts.rows), judging),
        ]
    if hard and all("pool_agreement" in each for each in hard):
        agreement = fmean(each["pool_agreement"] for each in hard)
        return [
            f"The student trained on hard labels agrees with {agreement:.1%} of the pool's answers; the pool's truth "
            f"is not known, so how many of them are mistakes it learned cannot be counted."
        ]
    return []


def _regime(learned: float, right_where_wrong: float | None, judging: str) -> str:
    if right_where_wrong is not None and right_where_wrong < SYSTEMATIC:
        return (
            f"The mistakes are systematic: on {judging}, on which no model was trained, the student is right on "
            f"only {right_where_wrong:.0%} of those that the teacher gets wrong. They depend on the inputs, so no "
            f"noise model detects them; labels, another view of the data, or a better teacher help."
        )
    if learned < AVERAGING:
        return (
            "That is the averaging regime: the student is too small, or the pool too large, to learn mistakes one by "
            "one, so those that look random cancel out in plain distillation too, and little is left to gain."
        )
    return (
        "That is the memorising regime: the student can learn the teacher's mistakes one by one, so debiasing "
        "can help where they look random given the margins."
    )


def _mean_where_wrong(rows: Sequence[Row]) -> float | None:
    """Accuracy of the hard student where the teacher is wrong, on the test, over the seeds."""
    known = [
        row.metrics["accuracy_where_teacher_wrong"]
        for row in rows
        if row.method == "hard" and "accuracy_where_teacher_wrong" in row.metrics
    ]
    return fmean(known) if known else None
