"""What cannot be estimated where the teacher gives hard labels alone."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.noise import accuracy_in_words

NUM_SHOWN = 5
"""Number of classes listed if there are more: those where the teacher is worst."""


def find(facts: RunFacts) -> list[str]:
    """One sentence where every answer has the same margin: what is estimated instead, and what cannot be."""
    known = {
        seed: each["noise"] for (_, seed), each in facts.trainings.items() if "accuracy_by_answer" in each["noise"]
    }
    if not known:
        return []
    names = facts.class_names
    means = {
        name: fmean(noise["accuracy_by_answer"][index] for noise in known.values()) for index, name in enumerate(names)
    }
    worst = sorted(means, key=lambda name: means[name])[:NUM_SHOWN]
    shown = ", ".join(
        f"{name} {accuracy_in_words(means[name], digits=3)}" for name in (names if len(names) <= NUM_SHOWN else worst)
    )
    which = "" if len(names) <= NUM_SHOWN else f", the worst {NUM_SHOWN} of {len(names)} classes"
    return [
        f"The teacher gives hard labels only: all its answers have the same margin, which does not show where it errs. "
        f"Its accuracy is estimated for each predicted class instead ({shown}{which}), any class may be the true one "
        f"where it is wrong, weights on held-out labels depend on the student's margin alone, and a selection by "
        f"confidence is a random one. `soft` and `hard` are the same student then."
    ]
