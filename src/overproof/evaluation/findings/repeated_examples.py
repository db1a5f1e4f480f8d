"""How many training examples are in the test too."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each role that shares examples with the test."""
    where = "labelled too, and judge," if facts.cross_validated else "also in the test,"
    return [
        f"{count} {role} examples are {where} with the same content; set data.duplicates to 'drop' to remove them."
        for role, count in (facts.repeated or {}).items()
        if count
    ]
