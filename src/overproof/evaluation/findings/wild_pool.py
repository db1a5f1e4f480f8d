"""What a reader must know where a pool is wild or no label is at hand: what cannot be said, what was kept of the pool,
whether the teacher is as good there, and what a method learned of its mistakes."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

Details = Mapping[tuple[str, int], Mapping[str, Any]]
"""What is known of each student's training, by row and seed."""


def wild_findings(details: Details, class_names: Sequence[str], published_accuracy: float | None) -> list[str]:
    """Sentences for the log, the terminal and the report.

    Args:
        details: What is known of each student's training.
        class_names: K names.
        published_accuracy: The teacher's, where somebody gave it.

    Returns:
        Which numbers a run without labels cannot give; how a published accuracy stands beside the estimated one; for
        every row that keeps a part of the pool how much of it is in-domain and whether the teacher's accuracy
        shifted; and the likeliest mistakes that an adaptation matrix learned.
    """
    return [
        *_without_labels(details, published_accuracy),
        *_published(details, published_accuracy),
        *_in_domain(details),
        *(sentence for row in _rows(details) for sentence in _shift(row, _of(details, row))),
        *(sentence for row in _rows(details) for sentence in _matrix(row, _of(details, row), class_names)),
    ]


def _rows(details: Details) -> list[str]:
    return list(dict.fromkeys(row for row, _ in details))


def _of(details: Details, row: str) -> list[Mapping[str, Any]]:
    return [facts for (name, _), facts in details.items() if name == row]


def _without_labels(details: Details, published_accuracy: float | None) -> list[str]:
    # A teacher that has seen all the labels has no accuracy to state either, but there are labels.
    if any("teacher_accuracy" in facts or facts["num_labelled"] for facts in details.values()):
        return []
    sentence = (
        "There are no labelled examples beside the test, so this run cannot give the teacher's accuracy with an "
        "interval before the test is opened, where it errs, a labelled_only row, weights or early stopping on held-out "
        "labels, or a warning that its accuracy shifted on the pool."
    )
    if published_accuracy is not None:
        sentence += f" The published accuracy {published_accuracy:.3f} is taken as it is, unchecked."
    return [sentence]


def _published(details: Details, published_accuracy: float | None) -> list[str]:
    known = [facts["teacher_accuracy"] for facts in details.values() if "teacher_accuracy" in facts]
    if published_accuracy is None or not known:
        return []
    low, high = (fmean(accuracy[end] for accuracy in known) for end in ("low", "high"))
    fits = "lies inside" if low <= published_accuracy <= high else "lies outside"
    return [
        f"The teacher's published accuracy {published_accuracy:.3f} {fits} the 95 % interval {low:.3f} to {high:.3f} "
        f"estimated on the labelled examples, which is what the methods use."
    ]


def _in_domain(details: Details) -> list[str]:
    """How much of what is kept belongs, one sentence for all rows that keep as much of the same kind."""
    alike: dict[tuple[int, int, float, float, float], list[str]] = {}
    for row in _rows(details):
        kept = _parts_kept(_of(details, row))
        if kept and all("in_domain" in each for each in kept):
            shares = [fmean(each["in_domain"][part] for each in kept) for part in ("kept", "pool", "of_all")]
            alike.setdefault((kept[0]["num_kept"], kept[0]["num_pool"], shares[0], shares[1], shares[2]), []).append(
                row
            )
    return [
        f"Kept by {', '.join(rows)}: {num_kept} of {num_pool} pool examples; {inside:.1%} of them are in-domain "
        f"({pool:.1%} of the pool), which is {of_all:.1%} of all that are."
        for (num_kept, num_pool, inside, pool, of_all), rows in alike.items()
    ]


def _parts_kept(seeds: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What a row kept, seed by seed, where it kept a part of the pool in all of them."""
    kept = [facts["selection"] for facts in seeds if "selection" in facts]
    return kept if all(0 < each["num_kept"] < each["num_pool"] for each in kept) else []


def _shift(row: str, seeds: list[Mapping[str, Any]]) -> list[str]:
    """A sentence where the accuracy expected on the selection leaves the interval of that on the labelled examples."""
    kept = _parts_kept(seeds)
    if not kept:
        return []
    if not all("labelled" in each.get("expected_accuracy", {}) and "teacher_accuracy" in facts
               for each, facts in zip(kept, seeds, strict=True)):  # fmt: skip
        return []
    selected, labelled = (fmean(each["expected_accuracy"][part] for each in kept) for part in ("kept", "labelled"))
    low, high = (fmean(facts["teacher_accuracy"][end] for facts in seeds) for end in ("low", "high"))
    # A method that takes the teacher at its word, or at a published one, expects the same everywhere.
    if labelled == selected or low <= selected <= high:
        return []
    return [
        f"On what {row} keeps, the teacher's accuracy shifted: its margins there promise {selected:.1%}, those of the "
        f"labelled examples {labelled:.1%} (95 % interval {low:.1%} to {high:.1%}); a promise that holds for in-domain "
        f"examples only."
    ]


def _matrix(row: str, seeds: list[Mapping[str, Any]], class_names: Sequence[str]) -> list[str]:
    learned = [facts["learned"] for facts in seeds if "learned" in facts]
    if not learned:
        return []
    noise, sentences = seeds[0]["noise"], []
    for name, matrix in learned[0].items():
        diagonal = matrix["diagonal"]
        if min(diagonal) == 1:
            continue
        mean = noise["mean_accuracy"]
        source = (
            f"estimated on {noise['num_examples']} labelled examples: {mean['mean']:.3f}, 95 % interval "
            f"{mean['low']:.3f} to {mean['high']:.3f}"
            if noise["num_examples"]
            else "not estimated: there are no labelled examples"
        )
        shares = ", ".join(f"{class_names[i]} as {class_names[j]} {share:.3f}" for i, j, share in matrix["largest"][:3])
        sentences.append(
            f"{row}'s matrix ({name}) has {min(diagonal):.3f} to {max(diagonal):.3f} on its diagonal (the teacher's "
            f"accuracy is {source}); the mistakes it learned most: {shares} (first seed)."
        )
    return sentences
