"""Whether training on the labels alone does better than distillation."""

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.evaluation.verdict import LABELLED_ONLY


def find(facts: RunFacts) -> list[str]:
    """One sentence where the labels alone beat conventional distillation."""
    alone = next((each for each in facts.summary if each.method == LABELLED_ONLY), None)
    if alone is None or alone.verdict != "BEATS":
        return []
    return [
        "Training on the labels alone BEATS conventional distillation here; compare every method with the "
        "labelled_only row."
    ]
