"""How often the teacher is right on labelled examples, out of sample."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """The teacher's accuracy with its interval; nothing where no labelled example is out of sample."""
    known = [each["teacher_accuracy"] for each in facts.trainings.values() if "teacher_accuracy" in each]
    if not known:
        return []
    mean, low, high = (fmean(accuracy[part] for accuracy in known) for part in ("mean", "low", "high"))
    return [
        f"Out of sample, on the labelled examples, the teacher is right {mean:.1%} of the time (one seed's 95 % "
        f"interval: {low:.1%} to {high:.1%})."
    ]
