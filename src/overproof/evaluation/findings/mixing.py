"""The form of student-label mixing where an estimated accuracy of the teacher comes near one half."""

from collections.abc import Mapping, Sequence
from typing import Any

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.noise import accuracy_in_words

NUM_SHOWN = 5
"""Number of classes named if there are more: the most doubtful."""


def find(facts: RunFacts) -> list[str]:
    """One sentence for each row with student-label mixing, about the first seed with doubtful classes."""
    sentences: dict[str, str] = {}
    for (row, seed), training in facts.trainings.items():
        found = training.get("mixing")
        if (
            found
            and found["doubtful"]["num_rows"]
            and row not in sentences
            and (found["chosen"] or not found["normalized"])
        ):
            sentences[row] = _sentence(row, seed, found, facts.class_names)
    return list(sentences.values())


def _sentence(row: str, seed: int, found: Mapping[str, Any], names: Sequence[str]) -> str:
    doubtful = found["doubtful"]
    classes = [f"{names[int(index)]} {accuracy_in_words(value)}" for index, value in doubtful["accuracy"].items()]
    shown = ", ".join(classes[:NUM_SHOWN]) + (
        f" and {len(classes) - NUM_SHOWN} more" if len(classes) > NUM_SHOWN else ""
    )
    where = (
        f"{doubtful['num_rows']} of {doubtful['num_answers']} pool answers are of classes with an estimated accuracy "
        f"below {doubtful['bound']:g} ({shown})"
    )
    if found["normalized"]:
        return f"{row} (seed {seed}) used the normalised mix: {where}."
    return (
        f"Warning: {row} (seed {seed}) used the un-normalised mix, and {where}: it hardly learns these classes from "
        f"the pool, and may lose them. Use slam_auto, slam_normalized, forward or hard."
    )
