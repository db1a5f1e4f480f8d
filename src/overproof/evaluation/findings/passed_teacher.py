"""Whether plain distillation passes the teacher."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence where the student of hard labels is better on the test than its teacher."""
    mean = {each.method: each.mean for each in facts.summary}
    if not {"hard", "teacher"} <= set(mean) or not facts.conventional("hard") or mean["hard"] <= mean["teacher"]:
        return []
    numbers = f"{mean['hard']:.3f} against {mean['teacher']:.3f} {facts.where}"
    teacher = next(each for each in facts.summary if each.method == "teacher")
    if teacher.difference_high is not None and teacher.difference_high >= 0:
        # Against the best conventional row, of which the student of hard labels is one or worse.
        return [f"The student of hard labels and its teacher are not told apart: {numbers}."]
    return [f"The student passes its teacher: {numbers}."]
