"""Whether the teacher's published accuracy fits what is estimated here."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence if there are both."""
    known = [each["teacher_accuracy"] for each in facts.trainings.values() if "teacher_accuracy" in each]
    if facts.published_accuracy is None or not known:
        return []
    low, high = (fmean(accuracy[end] for accuracy in known) for end in ("low", "high"))
    fits = "is inside" if low <= facts.published_accuracy <= high else "is outside"
    return [
        f"The teacher's published accuracy {facts.published_accuracy:.3f} {fits} the 95 % interval {low:.3f} to "
        f"{high:.3f} estimated on the labelled examples, which is what the methods use."
    ]
