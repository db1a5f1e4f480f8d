"""How often the teacher is right on labelled examples, out of sample, and whether the test contradicts that."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from overproof.evaluation.findings.run_facts import RunFacts
from overproof.evaluation.paired import CROSS_VALIDATED, Row
from overproof.functional.intervals import binomial_bounds

LEVEL = 0.99
"""Of the interval of the difference: of runs whose labelled and test examples are of one kind, at most one in a hundred
is told that they contradict each other."""


def find(facts: RunFacts) -> list[str]:
    """The teacher's accuracy with its interval; nothing where no labelled example is out of sample.

    A second sentence where the test contradicts it. Only what is alike is compared: the examples that the teacher
    answers, those of one content once. Where each labelled example is answered by the teacher of one fold, and the test
    by the mean of all folds' teachers, the test may be higher for that alone, so that only a lower one is told.
    """
    known = [each["teacher_accuracy"] for each in facts.trainings.values() if "teacher_accuracy" in each]
    if not known:
        return []
    mean, low, high = (fmean(accuracy[part] for accuracy in known) for part in ("mean", "low", "high"))
    own = [row for row in facts.rows if row.method == "teacher"]
    elsewhere = ""
    if own and not own[0].num_folds:
        elsewhere = "; its row in the table is on the test"
    elif own and round(fmean(row.metrics["accuracy"] for row in own), 3) != round(mean, 3):
        # Trained here, or of a file that lacks some answers: those of a file are the same in every fold.
        elsewhere = (
            "; its row in the table is cross-validated, with another division of them or guesses where it has no answer"
        )
    shares = [each["commonest_label"] for each in facts.trainings.values() if "commonest_label" in each]
    level = fmean(shares) if shares else 0.0
    return [
        f"Out of sample, on the labelled examples, the teacher is right {mean:.1%} of the time (one seed's 95 % "
        f"interval: {low:.1%} to {high:.1%}){elsewhere}."
        + (
            f" That is no better than naming the most frequent class of the labels ({level:.1%}) for every example: "
            f"compare with labelled_only, and let `auto` choose on the labels."
            if low <= level
            else ""
        ),
        *_contradicted(facts, own),
    ]


def _contradicted(facts: RunFacts, own: list[Row]) -> list[str]:
    labelled = {
        seed: each["teacher_accuracy"] for (_, seed), each in facts.trainings.items() if "teacher_accuracy" in each
    }
    pairs = [(labelled[row.seed], row) for row in own if row.seed in labelled and not row.num_folds]
    compared = [found for pair in pairs if (found := _compared(*pair, facts.labelled_by_fold))]
    if not compared or len(compared) < len(pairs):
        return []
    # Seeds may share labels and test, so that their mean is taken to vary as much as one of them.
    known, seen, seen_low, seen_high, low, high = (fmean(each) for each in zip(*compared, strict=True))
    if low <= 0 <= high or (facts.labelled_by_fold and low > 0):
        return []
    side, seen_before = ("above", "") if low > 0 else ("below", "the teacher had seen the labelled examples, ")
    return [
        f"The test contradicts that: the teacher is right on {seen:.1%} of it (95 % interval: {seen_low:.1%} to "
        f"{seen_high:.1%}), {abs(seen - known) * 100:.1f} points {side} the labelled examples ({LEVEL:.0%} interval of "
        f"the difference: {low * 100:+.1f} to {high * 100:+.1f}). Likely causes: the test has another distribution or "
        f"mix of classes, its labels are another labeller's, {'' if facts.labelled_by_fold else seen_before}or the "
        f"labelled examples were not drawn at random; what was estimated or chosen on them need not hold for the test."
    ]


def _compared(
    labelled: Mapping[str, Any], row: Row, by_fold: bool
) -> tuple[float, float, float, float, float, float] | None:
    """Accuracy on the labelled examples; on the test, with the ends of its interval; ends of that of the difference.

    The ends of the difference are Newcombe's, by the squares of the distances to the ends of each proportion, which are
    Clopper and Pearson's here, so that it is wrong less often than its level says. None where the facts are of an
    earlier version, or the teacher answers nothing of the test.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17, method 10.
    """
    num_labelled, correct = labelled.get("num"), row.correct
    if not num_labelled or correct is None:
        return None
    # An example that the teacher does not answer is right by 1/K.
    answered = (correct == 0) | (correct == 1)
    num = float(answered.sum()) if row.repeats is None else row.repeats.take(answered).num_independent
    if not num:
        return None
    known, seen = labelled["mean"], float(correct[answered].double().mean())
    effective = num_labelled / (CROSS_VALIDATED if by_fold else 1)
    low, high = _ends(known, effective, LEVEL)
    test_low, test_high = _ends(seen, num, LEVEL)
    below, above = (
        ((seen - test_low) ** 2 + (high - known) ** 2) ** 0.5,
        ((test_high - seen) ** 2 + (known - low) ** 2) ** 0.5,
    )
    difference = seen - known
    return known, seen, *_ends(seen, num, 0.95), difference - below, difference + above


def _ends(share: float, num: float, level: float) -> tuple[float, float]:
    low, high = binomial_bounds(share * num, num, tail=(1 - level) / 2)
    return float(low), float(high)
