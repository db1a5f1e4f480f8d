"""How many labels a verdict between two students takes: where they disagree, at random, or where one is least sure.

    python benchmarks/verdict_labels.py runs/automatic/newsgroups_llm runs/automatic/letter_llm --between auto,hard

Takes finished runs whose pools have true labels. For every seed, pool examples are labelled in 200 random orders; the
table holds the median number of labels after which the interval of the difference excludes zero on the right side
(`none` where more than half of the orders never get there), and after which it is at most four points wide: by
labels on disagreements with what teacher and students say of them (`verdict_by_regression`), by the same labels alone
(`exact`), and by random rows, whose interval gets the correction for the part of the pool that is labelled too. `held`
is the share of all intervals of the first kind that hold the difference on the pool. "Least
sure" labels the examples with the smallest largest probability of the first student, as active learning does: the mean
difference found there is not the one on the pool, and the column says by how much it is off after 300 labels.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch

from overproof.evaluation.disagreements import verdict_by_regression, verdict_of_disagreements
from overproof.functional.intervals import paired_difference
from overproof.models import load_student
from overproof.runs.folder.resume import student_folder
from overproof.runs.people.disagreements import disagreements, pair
from overproof.runs.pipeline import open_run

NUM_ORDERS, WIDTH = 200, 0.04


def first_numbers(intervals: list[tuple[int, float, float]], sign: float) -> tuple[float, float]:
    """The numbers of labels after which an interval excludes zero, and after which it is narrow; infinity for never."""
    decided = next((num for num, low, high in intervals if (low > 0 if sign > 0 else high < 0)), np.inf)
    return decided, next((num for num, low, high in intervals if high - low <= WIDTH), np.inf)


def steps(num: int) -> list[int]:
    """Numbers of labels to look at, a tenth apart."""
    return sorted({min(num, round(20 * 1.1**power)) for power in range(80)})


def of_disagreements(
    first: np.ndarray, second: np.ndarray, described: np.ndarray, order: np.ndarray, true: tuple[int, float]
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """For one order of the disagreements: with what describes them, alone, and how often the first holds the truth.

    Args:
        first: [D], whether the first student is right.
        second: [D], whether the second one is.
        described: [D, q].
        order: [D].
        true: N, and the difference on these N examples.
    """
    gain, found, exact = first.astype(int) - second.astype(int), [], []
    num_examples, total = true
    for num in steps(len(order)):
        some = order[:num]
        verdict = verdict_by_regression(gain[some], described, some, num=num_examples)
        found.append((num, verdict.low, verdict.high))
        alone = verdict_of_disagreements(
            num=num_examples,
            num_different=len(order),
            num_labelled=num,
            first_right=int(first[some].sum()),
            second_right=int(second[some].sum()),
        )
        exact.append((num, alone.low, alone.high))
    held = np.mean([low - 1e-9 <= total <= high + 1e-9 for _, low, high in found])
    return first_numbers(found, total), first_numbers(exact, total), float(held)


def of_random(first: np.ndarray, second: np.ndarray, order: np.ndarray, sign: float) -> tuple[float, float]:
    """For one order of all examples."""
    right = [torch.from_numpy(each[order]) for each in (second, first)]
    found = []
    for num in steps(len(order)):
        middle, low, high = paired_difference(right[0][:num], right[1][:num])
        seen = (1 - num / len(order)) ** 0.5
        found.append((num, middle - seen * (middle - low), middle + seen * (high - middle)))
    return first_numbers(found, sign)


def cell(middle: float) -> str:
    """A median, or none."""
    return "none" if middle == np.inf else f"{middle:.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--between", default="auto,hard")
    arguments = parser.parse_args()
    names = pair(arguments.between)
    head = ["run", "seed", "difference", "disagree", "to decide: disagreements", "exact", "random"]
    head += ["4 points: disagreements", "exact", "random", "ratio", "held", "least sure: off by"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for folder in arguments.folders:
        run = open_run(folder)
        for seed in run.experiment.seeds:
            found = disagreements(run, names, seed)
            truth = found.pool.label[found.once]
            named = [each[found.once] for each in (found.first, found.second)]
            first, second = ((each == truth).numpy() for each in named)
            different = np.flatnonzero((named[0] != named[1]).numpy())
            true, generator = first.mean() - second.mean(), np.random.default_rng(seed)
            said = found.described[found.once][torch.from_numpy(different)].double().numpy()
            few = [
                of_disagreements(
                    first[different],
                    second[different],
                    said,
                    generator.permutation(len(different)),
                    (len(first), float(true)),
                )
                for _ in range(NUM_ORDERS)
            ]
            many = [of_random(first, second, generator.permutation(len(first)), true) for _ in range(NUM_ORDERS)]
            student = load_student(student_folder(folder, seed, names[0]))
            sure = student.probs(student.encode(found.pool)).amax(dim=1)[found.once]
            least = torch.argsort(sure)[:300].numpy()
            by, alone, held = zip(*few, strict=True)
            counts = [[statistics.median(each) for each in zip(*some, strict=True)] for some in (by, alone, many)]
            decided, narrow = ([cell(each[place]) for each in counts] for place in (0, 1))
            print(
                f"| {folder.name} | {seed} | {100 * true:+.1f} | {100 * len(different) / len(first):.0f} % "
                f"| {' | '.join(decided)} | {' | '.join(narrow)} | {counts[2][1] / counts[0][1]:.1f} "
                f"| {100 * np.mean(held):.1f} % "
                f"| {100 * (first[least].mean() - second[least].mean() - true):+.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
