"""The weight of each teacher of a stack."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """The weights of several scorers, and the log-loss on labelled examples of each alone and of all together."""
    if not facts.stacks:
        return []
    first = facts.stacks[0]["weights"]
    parts = [
        f"{name} {fmean(each['weights'][number]['weight'] for each in facts.stacks):.2f} (one seed's 95 % interval "
        f"{first[number]['low']:.2f} to {first[number]['high']:.2f}; log-loss alone "
        f"{fmean(each['log_loss_alone'][number] for each in facts.stacks):.3f})"
        for number, name in enumerate(facts.scorers)
    ]
    together = fmean(each["log_loss"] for each in facts.stacks)
    return [
        f"The teacher is a stack of {len(parts)} scorers, weighed on labelled examples out of sample: "
        f"{', '.join(parts)}; together {together:.3f}.",
        *(
            f"{name} adds nothing to the other teachers ({idle} of {len(facts.stacks)} seeds): leave it out of "
            f"'teacher', and it need not be asked any more."
            for number, name in enumerate(facts.scorers)
            if 2 * (idle := sum(number in each.get("left_out", ()) for each in facts.stacks)) > len(facts.stacks)
        ),
    ]
