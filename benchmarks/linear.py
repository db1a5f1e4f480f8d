"""What `overproof.linear` costs: a ridge path beside scikit-learn's `RidgeCV`, a large softmax head's time and memory.

    python benchmarks/linear.py [--threads 1] [--rounds 5] [--skip-softmax]

Two minutes on one core, and some more for the head. A path is 100 regularizations with the risks of every imitation,
teacher and student fitted; `RidgeCV` is generalised cross-validation on the same data with its three default
regularizations (with 100 it is dozens of times slower). Times alternate within a round; ratios are medians over rounds.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds: a busy machine is no cost."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ridge(rounds: int) -> None:
    import numpy as np
    from sklearn.linear_model import RidgeCV

    from overproof.linear import RidgeSelfDistillation, RidgeSelfDistillationCV

    print("| n, p | path of 100, s | RidgeCV of 3, s | path / RidgeCV | leave-one-out path / RidgeCV |")
    print("| --- | --- | --- | --- | --- |")
    for n, p in ((20_000, 200), (5000, 500), (2000, 1000), (500, 2000)):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(n, p))
        labels = features @ rng.normal(size=p) / np.sqrt(p) + rng.normal(size=n)
        works = {
            "path": lambda x=features, y=labels: RidgeSelfDistillation(0.1).fit(x, y),
            "three": lambda x=features, y=labels: RidgeCV().fit(x, y),
            "both": lambda x=features, y=labels: RidgeSelfDistillationCV().fit(x, y),
        }
        taken = [{name: seconds(work) for name, work in works.items()} for _ in range(rounds)]

        def ratio(top: str, bottom: str, taken: list[dict[str, float]] = taken) -> str:
            return f"{np.median([each[top] / each[bottom] for each in taken]):.2f}"

        times = {name: f"{np.median([each[name] for each in taken]):.2f}" for name in works}
        print(
            f"| {n}, {p} | {times['path']} | {times['three']} | {ratio('path', 'three')} | {ratio('both', 'three')} |",
            flush=True,
        )


def softmax() -> None:
    """In a process of its own, whose largest resident size is the answer's memory."""
    import numpy as np

    from overproof.linear import SoftmaxSelfDistillation

    rng = np.random.default_rng(0)
    n, dims, classes = 50_000, 512, 100
    truth = rng.integers(classes, size=n)
    scale = np.linspace(2, 0.2, dims)
    features = rng.normal(size=(classes, dims))[truth] * scale * 0.4
    features += rng.normal(size=(n, dims)) * scale
    label = np.where(rng.random(n) < 0.5, rng.integers(classes, size=n), truth)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = {}
    for name, options in (
        ("one fit, imitation 1.5", {"imitation": 1.5}),
        ("imitation chosen among 9", {"imitations": [-1, -0.5, 0.5, 1, 1.5, 2, 3, 4]}),
    ):
        start = time.process_time()
        fitted = SoftmaxSelfDistillation(1e-4, **options).fit(features, label)
        times[name] = time.process_time() - start
        times[f"{name}: right"] = float(np.mean(fitted.predict(features) == truth))
        times[f"{name}: imitation"] = fitted.imitation_
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"times": times, "data_gib": before / 2**20, "peak_gib": after / 2**20}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip-softmax", action="store_true")
    parser.add_argument("--softmax-alone", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.softmax_alone:
        softmax()
        return
    # Before numpy is imported, which reads it once.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(words.threads)
    ridge(words.rounds)
    if not words.skip_softmax:
        said = subprocess.check_output([sys.executable, __file__, "--softmax-alone"], text=True)
        found = json.loads(said)
        print("\n50,000 x 512 features, 100 classes, half of the labels redrawn, regularization 1e-4")
        for name, value in found["times"].items():
            print(f"  {name}: {value:.3g}{'' if ':' in name else ' s'}")
        print(f"  largest resident size: {found['peak_gib']:.2f} GiB, {found['data_gib']:.2f} of them before fitting")


if __name__ == "__main__":
    main()
