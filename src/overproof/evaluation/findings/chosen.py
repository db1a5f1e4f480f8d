"""What the names of rows do not say: what they chose on labelled examples, and that a row called `hard` is a method."""

from collections.abc import Mapping, Sequence
from typing import Any

from overproof.evaluation.findings.run_facts import RunFacts

CONVENTIONAL = ("labelled_only", "hard", "soft", "born_again")
"""Names under which readers expect a reference or a conventional row."""


def find(facts: RunFacts) -> list[str]:
    """Rows that are not what they are called, and what rows chose, seed by seed, or that the labels were too few."""
    sentences = [*_misnamed(facts), *_imitations(facts)]
    for row in facts.row_names():
        found = [each["search"] for each in facts.trainings_of(row) if "search" in each]
        if found:
            sentences += _of_search(row, found)
    return sentences


def _misnamed(facts: RunFacts) -> list[str]:
    """One sentence for each method with the name of a conventional row: it has rounds, or options that change it."""
    roles = {row.method: row.role for row in facts.rows}
    return [
        f"The row {name} is a method here, because it has rounds or options that change it, and not the conventional "
        f"row of this name, which the table lacks; give it a `name` of its own, such as {name}_1, and both are shown."
        for name in CONVENTIONAL
        if roles.get(name) == "method"
    ]


def _imitations(facts: RunFacts) -> list[str]:
    """One sentence for each row that chose its ξ."""
    sentences = []
    for row in facts.row_names():
        choices = [each["imitation"][-1] for each in facts.trainings_of(row) if "imitation" in each]
        if choices:
            chosen = ", ".join(f"{choice['imitation']:g}" for choice in choices)
            guesses = ", ".join(
                f"{choice['closed_form']:.2f}" for choice in choices if choice["closed_form"] is not None
            )
            sentences.append(
                f"{row}: the imitation ξ chosen on held-out labels, seed by seed: {chosen}"
                f"{f' (closed-form guess: {guesses})' if guesses else ''}."
            )
    return sentences


def _of_search(row: str, found: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = dict.fromkeys(each["chosen"] for each in found)
    named = "; ".join(
        f"{chosen} ({sum(each['chosen'] == chosen for each in found)} of {len(found)} seeds)"
        if len(found) > 1
        else chosen
        for chosen in counts
    )
    first = found[0]
    sentences = [
        f"{row} chose {named}, from {len(first['tried'])} candidates on {first['num_judged']} labelled examples out of "
        f"sample (the search cost as much as {first['cost']:.3g} trainings)."
    ]
    if any(each["too_few"] for each in found):
        sentences = [f"Warning: {row} could not choose: {first['reason']}."]
    elif all(_undecided(each) for each in found):
        sentences.append(
            f"For {row} the labels do not tell the best candidates apart; more labels, not another method, would."
        )
    return sentences


def _undecided(found: Mapping[str, Any]) -> bool:
    """Whether at least half of the candidates are within a standard error of the lowest log-loss."""
    near = [each for each in found["tried"] if each["behind"] <= each["standard_error"]]
    return len(found["tried"]) > 2 and len(near) * 2 > len(found["tried"])
