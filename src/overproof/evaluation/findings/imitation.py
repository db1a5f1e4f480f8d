"""Which imitation parameter ξ was chosen on held-out labels."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each row that chose its ξ, seed by seed."""
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
