"""What to do after a run, in words: which student to deploy, what it is worth, what to beware of, what comes next."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from overproof.data.wording import listed
from overproof.evaluation.confusions import Tally
from overproof.evaluation.deployable import deployable
from overproof.evaluation.findings.not_learned import NOT_LEARNED
from overproof.evaluation.verdict import LABELLED_ONLY, Summary
from overproof.models.classifiers import KNOWN
from overproof.models.importing import is_import_path
from overproof.report.sentence import best_of
from overproof.runs.costs import Cost, Task, costs_of
from overproof.runs.folder.result_file import RunResult
from overproof.runs.folder.resume import experiment_in, holds_run, student_folder

HARDLY = 0.2
"""A class is hardly named where it is predicted for fewer than this share of as many examples as it has."""
ENOUGH = 10
"""Fewest examples of a class of which that is said."""
HOPELESS = 100
"""Of more than so many times the examples no number is named."""
RARER = 0.05
"""Another row is named where its macro F1 is by so much higher."""
SHOWN = 8
"""So many classes have their recall; of more of them the lowest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to do after a run.

    Args:
        row: The row of the student to deploy.
        seed: Its seed.
        accuracy: Of this student, with its 95 % interval; None where it is unknown.
        low: Lower end of the interval.
        high: Its upper end.
        mean: Accuracy of the row, the mean over its seeds.
        num_seeds: Number of these seeds.
        deploy: Which student to deploy, and what it is worth.
        beware: How much of each class it finds and what is not well with it, in sentences.
        steps: Commands that come next: what for, and the command.
    """

    row: str
    seed: int
    accuracy: float | None
    low: float | None
    high: float | None
    mean: float
    num_seeds: int
    deploy: str
    beware: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]


def decision_of(found: RunResult) -> Decision | None:
    """The decision that a finished run is for; None for a table without students.

    Args:
        found: The run's result.
    """
    chosen = deployable(found.summary, found.rows)
    if chosen is None:
        return None
    row = next(each for each in found.summary if each.method == chosen.row)
    seed = chosen.seed
    worth = [f"It {chosen.worth}"]
    labels = next((each for each in found.summary if each.method == LABELLED_ONLY), None)
    if labels is not None and labels is not row:
        points = 100 * (row.mean - labels.mean)
        low, high = labels.difference_low, labels.difference_high
        unsure = labels.baseline == row.method and low is not None and high is not None and low <= 0 <= high
        of = "that mean is " if row.num_seeds > 1 else ""
        worth.append(
            f"{of}{abs(points):.1f} points {'above' if points >= 0 else 'below'} training on your labels alone"
            f"{', which may be chance' if unsure else ''}"
        )
    own = next(each.metrics for each in found.rows if (each.method, each.seed) == (row.method, seed))
    about = [f"macro F1 {100 * own['macro_f1']:.1f} %"] if "macro_f1" in own else []
    about += _costs(found, chosen.row, seed)
    folder = shlex.quote(str(found.folder))
    allow = _code_option(found.folder)
    steps = [("deploy it", f"overproof export {folder} --out {shlex.quote(f'{found.name}-student')}{allow}")]
    rival = best_of(found.summary, ["method"])
    if rival is not None and _labels_may_tell(found, rival, row, seed):
        between = f"{rival.method},{chosen.row}"
        what = f"find out whether {rival.method} is better than {chosen.row}, by labels where they differ"
        command = (
            f"overproof next {folder} --purpose verdict --between {shlex.quote(between)} --out to_label.csv{allow}"
        )
        steps.append((what, command))
    # What is said of classes is said of this student.
    tallies = [each for each in found.tallies if each.seed == seed]
    beware = [
        *filter(None, [recalls(tallies, row.method, found.class_names)]),
        *_beware(found, row, tallies),
        *([] if rival is None or rival.baseline != chosen.row else rows_that_would_tell(rival)),
    ]
    first = f", the first of {row.num_seeds}" if row.num_seeds > 1 else ""
    deploy = f"Deploy {chosen.row} (seed {seed}{first}). {'; '.join(worth)}.{_sentence(about)}"
    if unlearned := next((each for each in found.findings if each.startswith(NOT_LEARNED)), ""):
        deploy, beware, steps = "Deploy none of these students: none has learned.", [unlearned], []
    return Decision(
        row=chosen.row,
        seed=seed,
        accuracy=chosen.accuracy,
        low=chosen.low,
        high=chosen.high,
        mean=row.mean,
        num_seeds=row.num_seeds,
        deploy=deploy,
        beware=tuple(beware),
        steps=tuple(steps),
    )


def _labels_may_tell(found: RunResult, rival: Summary, chosen: Summary, seed: int) -> bool:
    """Whether labels of pool rows on which two students differ may decide which is better.

    Not where the table does, nor where the difference is too small for it, nor where both are trained on the labels
    alone or in one way: they hardly differ.
    """
    if rival.verdict != "INCONCLUSIVE" or rival.method == chosen.method:
        return False
    if rival.baseline == chosen.method and (_times(rival) or 0) > HOPELESS:
        return False
    if rival.high is not None and chosen.low is not None and rival.high < chosen.low:
        return False
    if holds_run(found.folder) and experiment_in(found.folder).data.without("pool"):
        return False
    own = {each["method"]: each for each in found.students if each["seed"] == seed}
    facts = [own.get(each.method, {}) for each in (rival, chosen)]
    used = [
        each.get("search", {}).get("row") or {"method": row.method}
        for each, row in zip(facts, (rival, chosen), strict=True)
    ]
    return any(each.get("num_pool", 1) for each in facts) and used[0] != used[1]


def _times(row: Summary) -> float | None:
    """How many times as many examples and seeds would tell a row from the baseline; None where that is unknown."""
    low, high, points = row.difference_low, row.difference_high, row.difference
    return None if low is None or high is None or not points else ((high - low) / 2 / points) ** 2


def rows_that_would_tell(row: Summary) -> list[str]:
    """How many examples would tell a row from the baseline, where those that judged could not, in a sentence.

    The width of an interval falls with the square root of the number of examples, and of seeds where there are several.

    Args:
        row: With its difference from the baseline.
    """
    low, high, points = row.difference_low, row.difference_high, row.difference
    times = _times(row)
    if row.verdict != "INCONCLUSIVE" or times is None or not row.num_judged:
        return []
    assert points is not None
    assert low is not None
    assert high is not None
    exact = row.num_judged * times
    step = 10 ** max(0, math.floor(math.log10(exact)) - 1)
    needed = math.ceil(exact / step) * step
    if times > HOPELESS:
        would = f"even {HOPELESS} times as many would not"
    else:
        seeds = f" with {math.ceil(row.num_pairs * times):,} seeds" if row.num_pairs > 1 else ""
        would = f"about {needed:,}{seeds} would"
    return [
        f"The {row.num_judged} examples that judge cannot tell {row.method} from {row.baseline} ({100 * points:+.1f} "
        f"points [{100 * low:+.1f}, {100 * high:+.1f}]); {would}, if that difference is the true one."
    ]


def _code_option(folder: Path) -> str:
    """The option that a command needs for a student of the user's own code; empty for any other."""
    name = experiment_in(folder).student.name if holds_run(folder) else ""
    return f" --allow-import {name}" if is_import_path(name) and name not in KNOWN else ""


def hardly_named(tallies: Sequence[Tally], row: str, class_names: Sequence[str]) -> list[str]:
    """The classes that a row predicts for hardly any example, by name; empty where confusions are not kept.

    Args:
        tallies: Of a run, one a method and seed.
        row: The row of the table.
        class_names: In order.
    """
    matrices = [each.confusion for each in tallies if each.method == row and each.confusion]
    if not matrices:
        return []
    true = _true(matrices)
    named = [sum(line[each] for matrix in matrices for line in matrix) for each in range(len(class_names))]
    return [
        name
        for name, num_true, num_named in zip(class_names, true, named, strict=True)
        if num_true >= ENOUGH and num_named < HARDLY * num_true
    ]


def recalls(tallies: Sequence[Tally], row: str, class_names: Sequence[str]) -> str:
    """How much of each class a row finds, the classes with the most examples first; empty without confusions.

    Args:
        tallies: Of a run, one a method and seed.
        row: The row of the table.
        class_names: In order.
    """
    matrices = [each.confusion for each in tallies if each.method == row and each.confusion]
    true = _true(matrices)
    order = sorted((each for each, num in enumerate(true) if num), key=lambda each: (-true[each], each))
    found = [(sum(matrix[each][each] for matrix in matrices) / true[each], class_names[each]) for each in order]
    lowest = sorted(found, key=lambda each: each[0])[:SHOWN]
    few = len(found) <= SHOWN
    shown = ", ".join(f"{name} {100 * share:.0f} %" for share, name in (found if few else lowest))
    return f"{'Recall' if few else f'Lowest recall of {len(found)} classes'}: {shown}." if found else ""


def _true(matrices: Sequence[Sequence[Sequence[int]]]) -> list[int]:
    """How many examples of each class there are, in all of the matrices."""
    return [sum(map(sum, lines)) for lines in zip(*matrices, strict=True)]


def _beware(found: RunResult, row: Summary, tallies: Sequence[Tally]) -> list[str]:
    sentences = []
    if lost := hardly_named(tallies, row.method, found.class_names):
        sentences.append(f"It hardly ever names {listed(lost)}.")
    students = {each.method for each in found.summary if each.role != "reference" or each.method == LABELLED_ONLY}
    by_row = {name: value for name, value in macro_f1(found).items() if name in students}
    if row.method in by_row:
        best = max(by_row, key=lambda name: by_row[name])
        if (less := by_row[best] - by_row[row.method]) > RARER:
            sentences.append(
                f"{best} has a macro F1 of {100 * by_row[best]:.1f} %, {100 * less:.1f} points more (means over the "
                f"seeds): it finds rare classes more often; deploy it where these matter as much as the others."
            )
    teacher = next((each for each in found.summary if each.method == "teacher"), None)
    if teacher is not None and teacher.low is not None and row.high is not None and teacher.low > row.high:
        mean = f" (mean of {teacher.num_seeds} seeds)" if teacher.num_seeds > 1 else ""
        sentences.append(
            f"The teacher itself is right {100 * teacher.mean:.1f} % of the time{mean}; the student is smaller, not "
            f"better."
        )
    return sentences


def macro_f1(found: RunResult) -> dict[str, float]:
    """Mean over the seeds, by row of the table.

    Args:
        found: The run's result.
    """
    values: dict[str, list[float]] = {}
    for each in found.rows:
        if "macro_f1" in each.metrics:
            values.setdefault(each.method, []).append(each.metrics["macro_f1"])
    return {name: fmean(each) for name, each in values.items()}


def _sentence(parts: Sequence[str]) -> str:
    words = ", ".join(parts)
    return f" {words[0].upper()}{words[1:]}." if words else ""


def _costs(found: RunResult, row: str, seed: int) -> list[str]:
    weights = student_folder(found.folder, seed, row) / "student.safetensors"
    known: Mapping[tuple[Task, str, int], Cost] = costs_of(found.folder)
    parts = [_size(weights.stat().st_size)] if weights.is_file() else []
    answered = known.get(("answer", row, seed))
    if answered is not None and answered.seconds > 0:
        parts.append(f"{answered.num_examples / answered.seconds:,.0f} examples a second")
    return parts


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.1f} kB"
