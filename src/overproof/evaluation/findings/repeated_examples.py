"""How many training examples are in the test too."""

from overproof.data.wording import counted
from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each role that shares examples with the test."""
    return [_sentence(count, role, facts.cross_validated) for role, count in (facts.repeated or {}).items() if count]


def _sentence(count: int, role: str, cross_validated: bool) -> str:
    judges = f"labelled too, and {'judges' if count == 1 else 'judge'}," if cross_validated else "also in the test,"
    return (
        f"{counted(count, f'{role} example is', f'{role} examples are')} {judges} with the same content; set "
        f"data.duplicates to 'drop' to remove {'it' if count == 1 else 'them'}."
    )
