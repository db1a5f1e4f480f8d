"""The gain of peer rounds, and whether the student adds information that the teacher lacks."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from overproof.evaluation.findings.run_facts import RunFacts

CORRECTED = 0.95
"""Rounds that leave more than this share of the teacher's log-loss gain as much as an average over students of one
kind: 1.8 % on Fashion-MNIST with one network on both sides, 4 to 34 % on nine other settings. Where peers alone have
more than this share of it, one student of five gained (docs/results_peer_rounds.md)."""

DRIFT = 0.05
"""Rounds that move the pool's class shares this much further from the labelled examples' (total variation) are
reported."""

Rounds = Mapping[str, Any]
"""The peer rounds of one training, as in row.json."""


def find(facts: RunFacts) -> list[str]:
    """For each row with peer rounds what they gained, and a warning where class shares drift."""
    sentences = []
    for row in facts.row_names():
        rounds = [each["rounds"] for each in facts.trainings_of(row) if "rounds" in each]
        if rounds:
            sentences += _of_row(row, rounds)
    return sentences


def _of_row(row: str, rounds: Sequence[Rounds]) -> list[str]:
    losses = f"{row}: on labelled examples out of sample the log-loss is {'; '.join(_losses(rounds))}"
    judged = [each["students"] for each in rounds if "students" in each]
    if judged:
        losses += (
            f"; {fmean(each['own'] for each in judged):.3f} for students of the teacher's own answers, "
            f"{fmean(each['corrected'] for each in judged):.3f} for students of the corrected ones (gain's "
            f"standard error {fmean(each['standard_error'] for each in judged):.3f}; used by "
            f"{sum(each['taken'] for each in judged)} of {len(rounds)} seeds)"
        )
    taken = [each for each in rounds if each["taken"]]
    if not taken:
        reason = (
            "The corrected answers were not used: they are better, but students of them are not"
            if judged
            else "No round was taken: the student adds no information that the teacher lacks"
        )
        return [f"{losses}. {reason}, and the row equals the one without rounds."]
    sentences = [f"{losses}. {_gain(rounds, taken)}"]
    drift = fmean(_last_taken(each)["distance_after"] - each["records"][0]["distance_before"] for each in taken)
    if drift > DRIFT:
        sentences.append(
            f"{row}: the rounds moved the pool's class shares {drift:.1%} further from those of the labelled "
            f"examples; check the classes before you use the row."
        )
    return sentences


def _losses(rounds: Sequence[Rounds]) -> list[str]:
    """The log-losses of the teacher and of each round's peers, alone and stacked."""
    losses = [f"{_of_teacher(rounds):.3f} for the teacher"]
    for number in sorted({record["number"] for each in rounds for record in each["records"]}):
        records = [record for each in rounds for record in each["records"] if record["number"] == number]
        scored = f"peers of round {number}" if number else "students of the labels alone"
        losses.append(
            f"{fmean(record['peer'] for record in records):.3f} for {scored}, "
            f"{fmean(record['both'] for record in records):.3f} with them in the stack (gain's standard error "
            f"{fmean(record['standard_error'] for record in records):.3f}; taken by "
            f"{sum(record['taken'] for record in records)} of {len(rounds)} seeds)"
        )
    return losses


def _gain(rounds: Sequence[Rounds], taken: Sequence[Rounds]) -> str:
    """The source of the gain: the student's own inputs and bias, or an average over students."""
    stacked = fmean(_last_taken(each)["both"] for each in taken)
    if stacked >= CORRECTED * _of_teacher(taken):
        return (
            "That is no more than an average over several students gains; the student adds little information that "
            "the teacher lacks."
        )
    peers = [record["peer"] for each in rounds for record in each["records"] if record["number"] == 1]
    if peers and fmean(peers) > CORRECTED * _of_teacher(rounds):
        return (
            "The student adds information that the teacher lacks, and corrects its answers; but peers alone are no "
            "better than the teacher, and the student gained in only one of five settings where that was so: compare "
            "the row with its method without rounds."
        )
    return "The student adds information that the teacher lacks, and corrects its answers."


def _of_teacher(rounds: Sequence[Rounds]) -> float:
    """The teacher's log-loss before any round."""
    return fmean(each["records"][0]["before"] for each in rounds)


def _last_taken(rounds: Rounds) -> Mapping[str, Any]:
    record: Mapping[str, Any] = [record for record in rounds["records"] if record["taken"]][-1]
    return record
