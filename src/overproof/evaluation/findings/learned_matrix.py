"""The mistakes of the teacher in a learned transition matrix."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence for each learned matrix: its diagonal and its largest other entries."""
    return [sentence for row in facts.row_names() for sentence in _of_row(row, facts)]


def _of_row(row: str, facts: RunFacts) -> list[str]:
    trainings, names = facts.trainings_of(row), facts.class_names
    learned = [each["learned"] for each in trainings if "learned" in each]
    if not learned:
        return []
    noise, sentences = trainings[0]["noise"], []
    for name, matrix in learned[0].items():
        diagonal = matrix["diagonal"]
        if min(diagonal) == 1:
            continue
        mean = noise["mean_accuracy"]
        estimate = (
            f"estimated on {noise['num_examples']} labelled examples: {mean['mean']:.3f}, 95 % interval "
            f"{mean['low']:.3f} to {mean['high']:.3f}"
            if noise["num_examples"]
            else "not estimated: there are no labelled examples"
        )
        shares = ", ".join(f"{names[i]} as {names[j]} {share:.3f}" for i, j, share in matrix["largest"][:3])
        sentences.append(
            f"{row}'s matrix ({name}) has {min(diagonal):.3f} to {max(diagonal):.3f} on its diagonal (the teacher's "
            f"accuracy is {estimate}); the mistakes it learned most: {shares} (first seed)."
        )
    return sentences
