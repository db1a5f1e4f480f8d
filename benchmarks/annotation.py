"""How much of a pool teacher and student label under a guarantee, and how often the guarantee is broken.

    python benchmarks/annotation.py runs/automatic/newsgroups_llm runs/automatic/adult

Takes finished runs whose pools have true labels. People label 300 rows of the pool at random, 500 times; the table
holds the mean share of the pool that `overproof annotate` labels without people, and the share of the 500 draws in
which more of the pool is wrong than was promised (at confidence .95: at most .05).
"""

import argparse
import math
from pathlib import Path

import numpy as np

from overproof.data import repeats_in
from overproof.deployment.annotate import pool_probs
from overproof.evaluation.annotation import accepted_by_rank, certified_cutoff
from overproof.runs.folder.resume import student_folder
from overproof.runs.pipeline import open_run

NUM_LABELS, NUM_DRAWS = 300, 500


def line(folder: Path, row: str, by: str, error: float) -> str:
    """One line of the table."""
    run = open_run(folder)
    run.begin()
    seed = run.experiment.seeds[0]
    pool = run.seed_roles(seed).pool
    once = repeats_in(pool).once
    probs = pool_probs(run, seed, student_folder(folder, seed, row), pool, by)[once]
    wrong = (probs.argmax(dim=1) != pool.label[once]).numpy()
    uncertainty, num = (1 - probs.amax(dim=1)).numpy(), len(once)
    allowed, generator = math.floor(error * num), np.random.default_rng(0)
    shares, accepted, broken, false_share = [], [], 0, []
    for _ in range(NUM_DRAWS):
        sample, rest = np.split(generator.permutation(num), [NUM_LABELS])
        cutoff = certified_cutoff(
            uncertainty[sample], wrong[sample], num_rest=len(rest), num_allowed=allowed, failure=0.05
        )
        taken = uncertainty[rest] < cutoff
        shares.append(taken.mean())
        broken += wrong[rest][taken].sum() > allowed
        taken = accepted_by_rank(uncertainty[rest], uncertainty[sample], wrong[sample], error=error)
        accepted.append(taken.mean())
        false_share.append(wrong[rest][taken].sum() / max(taken.sum(), 1))
    cells = [folder.name, f"`{row}`", by, f"{100 * (1 - wrong.mean()):.1f}", f"{error:g}"]
    cells += [f"{100 * np.mean(shares):.0f} %", f"{broken / NUM_DRAWS:.3f}"]
    cells += [f"{100 * np.mean(accepted):.0f} %", f"{np.mean(false_share):.3f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    head = ["run", "student", "labelled by", "right, %", "error", "of the pool: labelled", "broken"]
    head += ["accepted: labelled", "wrong among them"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for folder in parser.parse_args().folders:
        for row, by in (("hard", "student"), ("auto", "student"), ("auto", "teacher"), ("auto", "both")):
            print(line(folder, row, by, 0.05), flush=True)


if __name__ == "__main__":
    main()
