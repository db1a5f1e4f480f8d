"""Sentences about a finished run that its report shows beside the table. One file per finding, listed here in order.

To add one, write a file with a function `find` (`RunFacts` to sentences) and put it in `FINDINGS`. Imports the rest of
`evaluation` only.
"""

from overproof.evaluation.findings import (
    accuracy_shift,
    chosen,
    given_labels,
    hard_labels,
    labels_alone,
    learned_matrix,
    lost_classes,
    mixing,
    no_labels,
    not_learned,
    passed_teacher,
    peer_rounds,
    published_accuracy,
    regime,
    repeated_examples,
    stack,
    teacher_accuracy,
    unread_inputs,
    votes,
    wild_pool,
)
from overproof.evaluation.findings.run_facts import Finding
from overproof.evaluation.findings.run_facts import RunFacts as RunFacts
from overproof.evaluation.findings.run_facts import VoteFacts as VoteFacts

FINDINGS: tuple[Finding, ...] = (
    repeated_examples.find,
    teacher_accuracy.find,
    lost_classes.find,
    mixing.find,
    not_learned.find,
    regime.find,
    passed_teacher.find,
    given_labels.find,
    chosen.find,
    peer_rounds.find,
    labels_alone.find,
    votes.find,
    stack.find,
    hard_labels.find,
    unread_inputs.find,
    no_labels.find,
    published_accuracy.find,
    wild_pool.find,
    accuracy_shift.find,
    learned_matrix.find,
)
"""In the order of the report."""


def findings_of(facts: RunFacts) -> list[str]:
    """The sentences of all findings that apply to a run.

    Args:
        facts: A finished run.
    """
    return [sentence for find in FINDINGS for sentence in find(facts)]
