"""Classes that a method's selection leaves out, and answers that it leaves out because they name no class."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for all rows that leave out as many answers, and one for each row whose selection loses classes.

    Both are about the first seed where it is so.
    """
    vanished: dict[str, str] = {}
    classless: dict[str, int] = {}
    for (row, seed), training in facts.trainings.items():
        if training.get("classes_vanish"):
            vanished.setdefault(row, f"In the selection of {row} (seed {seed}), {training['classes_vanish']}")
        if training.get("num_classless"):
            classless.setdefault(row, training["num_classless"])
    return [*(_left_out(num, classless) for num in dict.fromkeys(classless.values())), *vanished.values()]


def _left_out(num: int, classless: dict[str, int]) -> str:
    rows = [row for row, each in classless.items() if each == num]
    examples = "1 pool example has" if num == 1 else f"{num} pool examples have"
    return (
        f"{examples} no answer, or one that gives every class the same probability, and so no class to learn: "
        f"left out of {', '.join(rows)}."
    )
