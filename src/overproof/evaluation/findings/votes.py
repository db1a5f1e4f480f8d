"""How files of votes were counted."""

from overproof.evaluation.findings.run_facts import RunFacts

COUNTED = {
    "soft": "the shares of the votes are used as probabilities",
    "set": "they are the set of the classes that may hold, each equally likely",
    "majority": "the class with the most votes has probability 1, of equals the first",
    "reliability": "each annotator is weighted by its estimated accuracy (Dawid and Skene, one accuracy each, by EM)",
}


def find(facts: RunFacts) -> list[str]:
    """One sentence for each file of votes: how many there are, how often they agree, and how they were counted."""
    return [
        f"{each.file} holds {each.per_example:.1f} votes an example, which agree on {each.agreement:.1%} of "
        f"them; {COUNTED[each.vote]}."
        for each in facts.votes
    ]
