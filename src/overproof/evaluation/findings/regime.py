"""What a reader must know beside the table: which regime the run was in, and what that means for the methods."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from overproof.evaluation.verdict import Row, Summary

AVERAGING = 0.5
"""A conventional student that repeats less than this share of the teacher's mistakes averages them out."""

SYSTEMATIC = 0.2
"""Mistakes are systematic where a conventional student is right on less than this share of them on the test, where it
never saw an answer."""

CORRECTED = 0.95
"""Rounds that leave more than this share of the teacher's log-loss win what an average over students of one kind wins:
1.8 % on Fashion-MNIST with one network on both sides, 4 to 34 % on nine other settings. Where peers alone have more
than this share of it, one student of five gained (docs/results_peer_rounds.md)."""

DRIFT = 0.05
"""Rounds that move the pool's class shares this much further from the labelled examples' (total variation) are told
of."""


def diagnose(
    rows: Sequence[Row],
    summary: Sequence[Summary],
    details: Mapping[tuple[str, int], Mapping[str, Any]],
    repeated: Mapping[str, int],
) -> list[str]:
    """Sentences for the log, the terminal and the report.

    Args:
        rows: One a method and seed.
        summary: One a method.
        details: What is known of each student's training, by row and seed.
        repeated: How many examples of each role also stand in the test, where that is to be reported.

    Returns:
        Repetitions between training and test; classes that a selection loses; whether the hard student averages the
        teacher's mistakes out or learns them (on the pool's truth where it is known, else by its agreement with the
        answers beyond the teacher's estimated accuracy); whether it passes its teacher; whether labels alone do better.
    """
    mean = {each.method: each.mean for each in summary}
    findings = [
        f"{count} {role} examples also stand in the test, letter for letter; set data.duplicates to 'drop' to leave "
        f"them out."
        for role, count in repeated.items()
        if count
    ]
    accuracies = [facts["teacher_accuracy"] for facts in details.values() if "teacher_accuracy" in facts]
    if accuracies:
        mean_low_high = [fmean(accuracy[part] for accuracy in accuracies) for part in ("mean", "low", "high")]
        findings.append(
            "Out of sample, on the labelled examples, the teacher is right {:.1%} of the time (one seed's 95 % "
            "interval: {:.1%} to {:.1%}).".format(*mean_low_high)
        )
    vanishing: dict[str, str] = {}
    for (name, seed), facts in details.items():
        if facts.get("classes_vanish"):
            vanishing.setdefault(name, f"In what {name} keeps of the pool (seed {seed}), {facts['classes_vanish']}")
    findings += vanishing.values()
    hard = [facts for (name, _), facts in details.items() if name == "hard"]
    if hard and all("mistakes_learned" in facts for facts in hard):
        right = fmean(facts["pool_answers_right"] for facts in hard)
        learned = fmean(facts["mistakes_learned"] for facts in hard)
        findings.append(
            f"The teacher is right on {right:.1%} of the pool; the student trained on its hard labels repeats "
            f"{learned:.0%} of its mistakes there."
        )
        findings.append(_regime(learned, _mean_where_wrong(rows)))
    elif hard and all("pool_agreement" in facts for facts in hard):
        agreement = fmean(facts["pool_agreement"] for facts in hard)
        findings.append(
            f"The student trained on hard labels agrees with {agreement:.1%} of the pool's answers; the pool's truth "
            f"is not known, so how many of them are mistakes it learned cannot be counted."
        )
    if "hard" in mean and mean["hard"] > mean["teacher"]:
        findings.append(
            f"The student passes its teacher: {mean['hard']:.3f} against {mean['teacher']:.3f} on the test."
        )
    findings += given_labels_found(details)
    findings += rounds_found(details)
    alone = next((each for each in summary if each.method == "labelled_only"), None)
    if alone is not None and alone.verdict == "BEATS":
        findings.append(
            "Training on the labels alone BEATS conventional distillation here; compare every method with the "
            "labelled_only row."
        )
    return findings


def given_labels_found(details: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[str]:
    """What came of corrupted labels: who repeats their mistakes, and which ξ held-out labels chose.

    Args:
        details: What is known of each student's training, by row and seed.
    """

    def mean(row: str, fact: str) -> float:
        return fmean(facts[fact] for (name, _), facts in details.items() if name == row)

    found, rows = [], dict.fromkeys(name for name, _ in details)
    known = [
        row for row in rows if all("student_repeats" in facts for (name, _), facts in details.items() if name == row)
    ]
    if known:
        repeated = ", ".join(f"{row} {mean(row, 'student_repeats'):.0%}" for row in known)
        found.append(
            f"{mean(known[0], 'given_labels_wrong'):.1%} of the given labels are wrong. Of these mistakes, on the "
            f"examples they stand beside, the teacher repeats {mean(known[0], 'teacher_repeats'):.0%}; students: "
            f"{repeated}."
        )
    for row in rows:
        choices = [
            facts["imitation"][-1] for (name, _), facts in details.items() if name == row and "imitation" in facts
        ]
        if choices:
            chosen = ", ".join(f"{choice['imitation']:g}" for choice in choices)
            guesses = ", ".join(
                f"{choice['closed_form']:.2f}" for choice in choices if choice["closed_form"] is not None
            )
            found.append(
                f"{row}: the imitation ξ chosen on held-out labels, seed by seed: {chosen}"
                f"{f' (closed-form guess: {guesses})' if guesses else ''}."
            )
    return found


def rounds_found(details: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[str]:
    """What rows with peer rounds came to: a sentence each on whether the student sees what the teacher does not.

    Args:
        details: What is known of each student's training, by row and seed.
    """
    found = []
    for row in dict.fromkeys(name for (name, _), facts in details.items() if "rounds" in facts):
        rounds = [facts["rounds"] for (name, _), facts in details.items() if name == row]
        teacher = fmean(each["records"][0]["before"] for each in rounds)
        told = [f"{teacher:.3f} for the teacher"]
        for number in sorted({record["number"] for each in rounds for record in each["records"]}):
            records = [record for each in rounds for record in each["records"] if record["number"] == number]
            who = f"peers of round {number}" if number else "students of the labels alone"
            told.append(
                f"{fmean(record['peer'] for record in records):.3f} for {who}, "
                f"{fmean(record['both'] for record in records):.3f} with them in the stack (gain's standard error "
                f"{fmean(record['standard_error'] for record in records):.3f}; taken by "
                f"{sum(record['taken'] for record in records)} of {len(rounds)} seeds)"
            )
        words = f"{row}: on labelled examples out of sample the log-loss is {'; '.join(told)}"
        taken = [each for each in rounds if each["taken"]]
        if judged := [each["students"] for each in rounds if "students" in each]:
            words += (
                f"; {fmean(each['own'] for each in judged):.3f} for students of the teacher's own answers, "
                f"{fmean(each['corrected'] for each in judged):.3f} for students of the corrected ones (gain's "
                f"standard error {fmean(each['standard_error'] for each in judged):.3f}; handed on by "
                f"{sum(each['taken'] for each in judged)} of {len(rounds)} seeds)"
            )
        if not taken:
            why = (
                "The corrected answers were not handed on: they are better and students of them are not"
                if judged
                else "No round was taken: the student sees nothing that the teacher does not"
            )
            found.append(f"{words}. {why}, and the row is what it is without rounds.")
            continue
        drift = fmean(
            [record for record in each["records"] if record["taken"]][-1]["distance_after"]
            - each["records"][0]["distance_before"]
            for each in taken
        )
        stacked = fmean([record for record in each["records"] if record["taken"]][-1]["both"] for each in taken)
        seen = stacked < CORRECTED * fmean(each["records"][0]["before"] for each in taken)
        peers = [record["peer"] for each in rounds for record in each["records"] if record["number"] == 1]
        if not seen:
            came_to = (
                "That is no more than an average over several students wins; the student sees little that the teacher "
                "does not."
            )
        elif peers and fmean(peers) > CORRECTED * teacher:
            came_to = (
                "The student sees what the teacher does not, and corrects its answers; but peers alone are no better "
                "than the teacher, and the student gained in only one of five settings where that was so: compare the "
                "row with its method without rounds."
            )
        else:
            came_to = "The student sees what the teacher does not, and corrects its answers."
        found.append(f"{words}. {came_to}")
        if drift > DRIFT:
            found.append(
                f"{row}: the rounds moved the pool's class shares {drift:.1%} further from those of the labelled "
                f"examples; look at the classes before you trust the row."
            )
    return found


def _regime(learned: float, right_where_wrong: float | None) -> str:
    if right_where_wrong is not None and right_where_wrong < SYSTEMATIC:
        return (
            f"The mistakes are systematic: on test examples nobody trained on, the student is right on only "
            f"{right_where_wrong:.0%} of those the teacher gets wrong. They follow from the inputs, so no noise model "
            f"sees them; labels, another view of the data, or a better teacher help."
        )
    if learned < AVERAGING:
        return (
            "That is the averaging regime: the student is too small, or the pool too large, to learn mistakes one by "
            "one, so those that look random cancel out in plain distillation too, and little is left to be won."
        )
    return (
        "That is the memorising regime: the student can learn the teacher's mistakes one by one, so debiasing has "
        "something to win where they look random given the margins."
    )


def _mean_where_wrong(rows: Sequence[Row]) -> float | None:
    """Accuracy of the hard student where the teacher is wrong, on the test, over the seeds."""
    known = [
        row.metrics["accuracy_where_teacher_wrong"]
        for row in rows
        if row.method == "hard" and ("accuracy_where_teacher_wrong" in row.metrics)
    ]
    return fmean(known) if known else None
