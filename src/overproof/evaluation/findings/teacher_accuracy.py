"""How often the teacher is right on labelled examples, out of sample."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """The teacher's accuracy with its interval; nothing where no labelled example is out of sample."""
    known = [each["teacher_accuracy"] for each in facts.trainings.values() if "teacher_accuracy" in each]
    if not known:
        return []
    mean, low, high = (fmean(accuracy[part] for accuracy in known) for part in ("mean", "low", "high"))
    own = [row for row in facts.rows if row.method == "teacher"]
    elsewhere = ""
    if own and not own[0].num_folds:
        elsewhere = "; its row in the table is on the test"
    elif own and round(fmean(row.metrics["accuracy"] for row in own), 3) != round(mean, 3):
        # Trained here, or of a file that lacks some answers: those of a file are the same in every fold.
        elsewhere = (
            "; its row in the table is cross-validated, with another division of them or guesses where it has no answer"
        )
    shares = [each["commonest_label"] for each in facts.trainings.values() if "commonest_label" in each]
    level = fmean(shares) if shares else 0.0
    return [
        f"Out of sample, on the labelled examples, the teacher is right {mean:.1%} of the time (one seed's 95 % "
        f"interval: {low:.1%} to {high:.1%}){elsewhere}."
        + (
            f" That is no better than naming the most frequent class of the labels ({level:.1%}) for every example: "
            f"compare with labelled_only, and let `auto` choose on the labels."
            if low <= level
            else ""
        )
    ]
