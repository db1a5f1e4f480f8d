"""How many corrupted labels teacher and students repeat."""

from statistics import fmean

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence if it is recorded which given labels are wrong."""
    known = [row for row in facts.row_names() if all("student_repeats" in each for each in facts.trainings_of(row))]
    if not known:
        return []

    def mean(row: str, fact: str) -> float:
        return fmean(each[fact] for each in facts.trainings_of(row))

    students = ", ".join(f"{row} {mean(row, 'student_repeats'):.0%}" for row in known)
    return [
        f"{mean(known[0], 'given_labels_wrong'):.1%} of the given labels are wrong. Of these mistakes, on the same "
        f"examples, the teacher repeats {mean(known[0], 'teacher_repeats'):.0%}; students: {students}."
    ]
