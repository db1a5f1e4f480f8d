"""Classes that a method's selection leaves out."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each row whose selection loses classes, about the first seed where it does."""
    sentences: dict[str, str] = {}
    for (row, seed), training in facts.trainings.items():
        if training.get("classes_vanish"):
            sentences.setdefault(row, f"In the selection of {row} (seed {seed}), {training['classes_vanish']}")
    return list(sentences.values())
