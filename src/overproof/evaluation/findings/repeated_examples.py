"""How many training examples are in the test too."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each role that shares examples with the test."""
    return [
        f"{count} {role} examples also stand in the test, letter for letter; set data.duplicates to 'drop' to leave "
        f"them out."
        for role, count in (facts.repeated or {}).items()
        if count
    ]
