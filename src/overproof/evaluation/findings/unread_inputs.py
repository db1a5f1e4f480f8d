"""What the student does not read of the examples: ends of long texts, empty ones."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """The remarks of the student's encoder, as they are."""
    return list(facts.input_remarks)
