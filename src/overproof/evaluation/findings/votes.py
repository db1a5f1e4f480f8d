"""How files of votes were counted."""

from overproof.evaluation.findings.run_facts import RunFacts, VoteFacts

COUNTED = {
    "soft": "the shares of the votes are used as probabilities",
    "majority": "the class with the most votes has probability 1, of equals the first",
    "reliability": "each annotator is weighted by its estimated accuracy (Dawid and Skene, one accuracy each, by EM)",
}


def find(facts: RunFacts) -> list[str]:
    """One sentence for each file of votes: how many there are, how often they agree, and how they were counted."""
    return [_set(each) if each.vote == "set" else _votes(each) for each in facts.votes]


def _votes(votes: VoteFacts) -> str:
    return (
        f"{votes.file} holds {votes.per_example:.1f} votes an example, which agree on {votes.agreement:.1%} of "
        f"them; {COUNTED[votes.vote]}."
    )


def _set(votes: VoteFacts) -> str:
    """A set of classes is no election: what counts is how many classes it leaves open."""
    return (
        f"{votes.file} holds a set of classes that may hold for each example, {votes.per_example:.1f} on average and "
        f"one alone for {votes.agreement:.1%} of them; each class of a set is equally likely."
    )
