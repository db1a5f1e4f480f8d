"""The parts of the examples that the student does not use: ends of long texts, empty ones."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """The remarks of the student's encoder, unchanged."""
    return list(facts.input_remarks)
