"""The numbers that a run without labelled examples cannot give."""

from overproof.evaluation.findings.run_facts import RunFacts


def find(facts: RunFacts) -> list[str]:
    """One sentence where there are no labelled examples beside a test."""
    # A teacher trained on all the labels has no accuracy to report either, but there are labels.
    if any("teacher_accuracy" in each or each["num_labelled"] for each in facts.trainings.values()):
        return []
    beside = " beside the test" if facts.rows else ""
    sentence = (
        f"There are no labelled examples{beside}, so this run cannot give the teacher's accuracy with an interval "
        f"before the test is opened, where it errs, a labelled_only row, weights or early stopping on held-out labels, "
        f"or a warning that its accuracy shifted on the pool."
    )
    if facts.published_accuracy is not None:
        sentence += f" The published accuracy {facts.published_accuracy:.3f} is taken as it is, unchecked."
    return [sentence]
