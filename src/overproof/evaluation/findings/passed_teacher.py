"""Whether plain distillation passes the teacher."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence where the student of hard labels is better on the test than its teacher."""
    mean = {each.method: each.mean for each in facts.summary}
    if not {"hard", "teacher"} <= set(mean) or not facts.conventional("hard") or mean["hard"] <= mean["teacher"]:
        return []
    return [f"The student passes its teacher: {mean['hard']:.3f} against {mean['teacher']:.3f} {facts.where}."]
