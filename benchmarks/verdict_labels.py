"""How many labels a verdict between two students takes: where they disagree, at random, or where one is least sure.

    python benchmarks/verdict_labels.py runs/automatic/newsgroups_llm runs/automatic/letter_llm --between auto,hard

Takes finished runs whose pools have true labels. For every seed, pool examples are labelled in 200 random orders; the
table holds the median number of labels after which the interval of the difference excludes zero on the right side
(`none` where more than half of the orders never get there), and after which it is at most four points wide. "Least
sure" labels the examples with the smallest largest probability of the first student, as active learning does: the mean
difference found there is not the one on the pool, and the column says by how much it is off after 300 labels.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch

from overproof.evaluation.disagreements import verdict_of_disagreements
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


def of_disagreements(first: np.ndarray, second: np.ndarray, different: np.ndarray, sign: float) -> tuple[float, float]:
    """For one order of the disagreements."""
    found = []
    for num in steps(len(different)):
        some = different[:num]
        verdict = verdict_of_disagreements(
            num=len(first),
            num_different=len(different),
            num_labelled=num,
            first_right=int(first[some].sum()),
            second_right=int(second[some].sum()),
        )
        found.append((num, verdict.low, verdict.high))
    return first_numbers(found, sign)


def of_random(first: np.ndarray, second: np.ndarray, order: np.ndarray, sign: float) -> tuple[float, float]:
    """For one order of all examples."""
    right = [torch.from_numpy(each[order]) for each in (second, first)]
    found = []
    for num in steps(len(order)):
        _, low, high = paired_difference(right[0][:num], right[1][:num])
        found.append((num, low, high))
    return first_numbers(found, sign)


def cell(numbers: list[float]) -> str:
    """The median, or none."""
    middle = statistics.median(numbers)
    return "none" if middle == np.inf else f"{middle:.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--between", default="auto,hard")
    arguments = parser.parse_args()
    names = pair(arguments.between)
    head = ["run", "seed", "difference", "disagree", "to decide: disagreements", "random"]
    head += ["4 points: disagreements", "random", "ratio", "least sure: off by"]
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
            few = [of_disagreements(first, second, generator.permutation(different), true) for _ in range(NUM_ORDERS)]
            many = [of_random(first, second, generator.permutation(len(first)), true) for _ in range(NUM_ORDERS)]
            student = load_student(student_folder(folder, seed, names[0]))
            sure = student.probs(student.encode(found.pool)).amax(dim=1)[found.once]
            least = torch.argsort(sure)[:300].numpy()
            narrow = [statistics.median(each) for each in zip(*few, strict=True)][1]
            wide = [statistics.median(each) for each in zip(*many, strict=True)][1]
            print(
                f"| {folder.name} | {seed} | {100 * true:+.1f} | {100 * len(different) / len(first):.0f} % "
                f"| {cell([each[0] for each in few])} | {cell([each[0] for each in many])} "
                f"| {cell([each[1] for each in few])} | {cell([each[1] for each in many])} | {wide / narrow:.1f} "
                f"| {100 * (first[least].mean() - second[least].mean() - true):+.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
