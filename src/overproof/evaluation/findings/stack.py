"""The weight of each teacher of a stack."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.noise.adapter import ADAPTER


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
    idle = [sum(number in each.get("left_out", ()) for each in facts.stacks) for number in range(len(facts.scorers))]
    unused = [2 * times > len(facts.stacks) for times in idle]
    # The answers that an adapter corrects are needed for it.
    unused[0] &= all(without for name, without in zip(facts.scorers, unused, strict=True) if name.split()[0] == ADAPTER)
    together = fmean(each["log_loss"] for each in facts.stacks)
    return [
        f"The teacher is a stack of {len(parts)} scorers, weighed on labelled examples out of sample: "
        f"{', '.join(parts)}; together {together:.3f}.",
        *(
            f"{name} adds nothing to the other teachers ({times} of {len(facts.stacks)} seeds): leave it out of "
            f"'teacher', and it need not be asked any more."
            for name, times, without in zip(facts.scorers, idle, unused, strict=True)
            if without
        ),
    ]
