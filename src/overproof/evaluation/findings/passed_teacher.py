"""How plain distillation stands to its teacher: whether it passes it, and how far it copies its confidence."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """A sentence where the student of hard labels is better on the test than its teacher, and one about confidence."""
    return [*_passed(facts), *_deviation(facts)]


def _lacks_answers(facts: RunFacts) -> bool:
    """Whether some example that judges has no answer of the teacher: it counts as a guess, right in a share."""
    of_teacher = [each.correct for each in facts.rows if each.method == "teacher" and each.correct is not None]
    return any(bool(((each > 0) & (each < 1)).any()) for each in of_teacher)


def _passed(facts: RunFacts) -> list[str]:
    mean = {each.method: each.mean for each in facts.summary}
    if not {"hard", "teacher"} <= set(mean) or not facts.conventional("hard") or mean["hard"] <= mean["teacher"]:
        return []
    guessed = " (an example without its answer counts as a guess)" if _lacks_answers(facts) else ""
    numbers = f"{mean['hard']:.3f} against {mean['teacher']:.3f}{guessed} {facts.where}"
    teacher = next(each for each in facts.summary if each.method == "teacher")
    if teacher.difference_high is not None and teacher.difference_high >= 0:
        # Against the best conventional row, of which the student of hard labels is one or worse.
        return [f"The student of hard labels and its teacher are not told apart: {numbers}."]
    return [f"The student passes its teacher: {numbers}."]


def _deviation(facts: RunFacts) -> list[str]:
    """By how much the student of the teacher's probabilities exaggerates its confidence, or evens it out."""
    slopes = [each["deviation_slope"] for each in facts.trainings_of("soft") if "deviation_slope" in each]
    if not slopes or not facts.conventional("soft"):
        return []
    slope = fmean(slopes)
    how = "exaggerates" if slope > 1 else "evens out"
    return [
        f"The student of soft labels {how} its teacher's confidence on the pool: where the log-odds of the teacher's "
        f"class rise by 1, the student's rise by {slope:.2f} (least squares; 1 is a copy)."
    ]
