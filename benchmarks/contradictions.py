"""How often a run without any contradiction is told that its test contradicts its labelled examples.

    python benchmarks/contradictions.py [--worlds 2000]

Each line draws worlds in which labelled and test examples are of one kind: Gaussian classes of three to ten columns,
balanced or not. A *file* answers all alike. A teacher *trained here* is a nearest mean of each class, fitted without
each of five folds: labelled examples are answered without their fold, the test by the mean of all folds. The last
columns have the same test with labels that are another labeller's in one of ten cases, and in one of five.
"""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray

from overproof.cross_fitting import FoldModels, folds
from overproof.evaluation.findings import RunFacts
from overproof.evaluation.findings.teacher_accuracy import find
from overproof.evaluation.paired import Row
from overproof.functional.intervals import binomial_bounds

NUM_FOLDS = 5


def contradicts(labelled: NDArray[np.bool_], test: NDArray[np.bool_], by_fold: bool) -> bool:
    """Whether the finding is there.

    Args:
        labelled: [N], whether the teacher is right on each labelled example.
        test: [M], the same of the test.
        by_fold: Whether labelled examples are answered without their fold, and the test by all folds.
    """
    low, high = binomial_bounds(labelled.sum(), len(labelled), tail=0.025)
    accuracy = {"mean": labelled.mean(), "low": float(low), "high": float(high), "num": float(len(labelled))}
    training = {"num_labelled": len(labelled), "noise": {}, "teacher_accuracy": accuracy}
    row = Row(
        method="teacher", role="reference", seed=0, metrics={"accuracy": test.mean()}, correct=torch.from_numpy(test)
    )
    return len(find(RunFacts(trainings={("hard", 0): training}, rows=(row,), labelled_by_fold=by_fold))) > 1


def of_a_file(rng: np.random.Generator, num: int, num_test: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the answers of a file are right, of labelled and test examples."""
    right = rng.uniform(0.4, 0.98)
    return rng.random(num) < right, rng.random(num_test) < right


def trained_here(rng: np.random.Generator, num: int, num_test: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether a teacher that is trained on the labelled examples is right, on them out of fold and on the test."""
    num_classes, num_columns = int(rng.integers(2, 6)), int(rng.integers(3, 11))
    means = rng.normal(size=(num_classes, num_columns)) * rng.uniform(0.3, 1.2)
    share = rng.dirichlet(np.full(num_classes, 5.0))
    label = rng.choice(num_classes, num + num_test, p=share)
    inputs = means[label] + rng.normal(size=(num + num_test, num_columns))
    known, own = label[:num], torch.from_numpy(inputs[:num])

    def fit(_: int, rows: torch.Tensor) -> torch.Tensor:
        fitted = torch.full((num_classes, num_columns), 1e6, dtype=torch.float64)
        for each in np.unique(known[rows.numpy()]):
            fitted[each] = own[rows][torch.from_numpy(known[rows.numpy()] == each)].mean(dim=0)
        return fitted

    def probs(centres: torch.Tensor, some: torch.Tensor) -> torch.Tensor:
        return torch.softmax(-torch.cdist(some, centres).square() / 2, dim=1)

    models = FoldModels(fold=folds(torch.from_numpy(known), NUM_FOLDS, seed=int(rng.integers(2**31))), fit=fit)
    without = models.out_of_fold(lambda centres, rows: probs(centres, own[rows])).argmax(dim=1).numpy()
    others = torch.from_numpy(inputs[num:])
    mean = models.mean(lambda centres: probs(centres, others)).argmax(dim=1).numpy()
    return without == known, mean == label[num:]


def shares(kind: str, num: int, num_test: int, num_worlds: int, seed: int = 0) -> tuple[float, float, float]:
    """Share of worlds with the finding: as they are, and with labels of the test that are wrong in 10 and 20 %."""
    rng, found = np.random.default_rng(seed), np.zeros(3)
    for _ in range(num_worlds):
        labelled, test = (of_a_file if kind == "a file" else trained_here)(rng, num, num_test)
        for place, wrong in enumerate((0.0, 0.1, 0.2)):
            # Another labeller's class is never the teacher's where that was right.
            seen = test & (rng.random(num_test) >= wrong)
            found[place] += contradicts(labelled, seen, kind != "a file")
    return tuple((found / num_worlds).tolist())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=2000)
    options = parser.parse_args()
    print(
        "| teacher | labelled | test | told, without a contradiction | 10 % other labels | 20 % |\n"
        "|---|---|---|---|---|---|"
    )
    for kind in ("a file", "trained here"):
        for num, num_test in ((30, 300), (100, 1000), (300, 3000), (1000, 300)):
            none, some, more = shares(kind, num, num_test, options.worlds)
            low, high = binomial_bounds(round(none * options.worlds), options.worlds, tail=0.025)
            print(f"| {kind} | {num} | {num_test} | {none:.4f} ({low:.4f} to {high:.4f}) | {some:.2f} | {more:.2f} |")


if __name__ == "__main__":
    main()
