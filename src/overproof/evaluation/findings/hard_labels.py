"""What a reader must know of answers that say less than probabilities: hard labels, and votes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from overproof.answers.files import ParsedFiles, vote_counts
from overproof.teachers.options import ScorerOptions

NUM_SHOWN = 5
"""Of many classes those are named where the teacher is worst."""

COUNTED = {
    "soft": "the shares of the votes are taken for probabilities",
    "majority": "the class with the most votes is taken for certain, of equals the first",
    "reliability": "each annotator counts by how often it seems right (Dawid and Skene, one accuracy each, by EM)",
}


def hard_labels_found(details: Mapping[tuple[str, int], Mapping[str, Any]], class_names: Sequence[str]) -> list[str]:
    """A sentence where every answer has the same margin: what is estimated instead, and what cannot be.

    Args:
        details: What is known of each student's training, by row and seed.
        class_names: K names.
    """
    known = {seed: facts["noise"] for (_, seed), facts in details.items() if "accuracy_by_answer" in facts["noise"]}
    if not known:
        return []
    means = {
        name: fmean(noise["accuracy_by_answer"][index] for noise in known.values())
        for index, name in enumerate(class_names)
    }
    worst = sorted(means, key=lambda name: means[name])[:NUM_SHOWN]
    told = ", ".join(f"{name} {means[name]:.3f}" for name in (class_names if len(class_names) <= NUM_SHOWN else worst))
    which = "" if len(class_names) <= NUM_SHOWN else f", the worst {NUM_SHOWN} of {len(class_names)} classes"
    return [
        f"The teacher gives hard labels only: all its answers have the same margin, which cannot tell where it errs. "
        f"Its accuracy is estimated for each class that it names instead ({told}{which}), every class may be meant "
        f"where it is wrong, weights on held-out labels follow the student's margin alone, and a selection by "
        f"confidence is one at random."
    ]


def votes_found(
    scorers: Sequence[ScorerOptions], class_names: tuple[str, ...], parsed: ParsedFiles | None = None
) -> list[str]:
    """A sentence for every file of votes: how many there are, how often they agree, and how they were counted.

    Args:
        scorers: Everybody who is asked.
        class_names: K names.
        parsed: Keeps the files' content.
    """
    sentences = []
    for scorer in scorers:
        for path in scorer.answers:
            if (counts := vote_counts(path, class_names, parsed=parsed)) is not None:
                sentences.append(
                    f"{Path(path).name} holds {counts[0]:.1f} votes an example, which agree on {counts[1]:.1%} of "
                    f"them; {COUNTED[scorer.vote]}."
                )
    return sentences
