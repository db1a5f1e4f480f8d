"""How often a table calls one of two equal methods better, how often its intervals hold, and what it can see.

    python benchmarks/equal_methods.py

Tables are drawn, not trained: an example of the test is right with a probability of its own (some are easy), every
student of a method and seed shifts all of them by a draw of its own, and the students of one seed share a part of it.
Tables: 500 for each line. With 3 or 5 seeds, one test for all of them or one for each.

* BEATS: the share of rows called better than the best of two conventional rows, of the same accuracy in truth.
* Coverage: how often the intervals of 95 % of difference and of `recovered` hold the true value.
* Power: the share of rows called better that are better by one and by two points.
"""

import itertools

import numpy as np
import torch

from overproof.evaluation.verdict import Row, Summary, summarise

NUM_TABLES, NUM_TEST = 500, 3000
SEED_SPREAD, SHARED_SPREAD = 0.06, 0.1
"""Standard deviations, in log-odds, of a student's own shift and of the shift that all students of a seed share."""


def table(generator: np.random.Generator, seeds: int, *, separate: bool, gain: float, methods: int) -> list[Summary]:
    """A table of two equal conventional rows, `methods` rows with that gain in log-odds, labels alone and oracle."""
    rows = []
    gains = {"labelled_only": -0.4, "hard": 0.0, "soft": 0.0, "oracle": 0.6}
    gains |= {f"method_{number}": gain for number in range(methods)}
    easy = generator.normal(1.2, 1.5, NUM_TEST)
    for seed in range(seeds):
        if separate:
            easy = generator.normal(1.2, 1.5, NUM_TEST)
        shared = SHARED_SPREAD * generator.normal() + generator.logistic(0, 0.7, NUM_TEST)
        for name, more in gains.items():
            shift = more + SEED_SPREAD * generator.normal()
            # Students err on the same examples: most of the noise is shared.
            correct = torch.from_numpy(easy + shift + shared + generator.logistic(0, 0.3, NUM_TEST) > 0)
            role = (
                "method" if name.startswith("method") else "conventional" if name in ("hard", "soft") else "reference"
            )
            rows.append(
                Row(
                    method=name,
                    seed=seed,
                    role=role,
                    metrics={"accuracy": correct.double().mean().item()},
                    correct=correct,
                    test=str(seed if separate else 0),
                )
            )
    return summarise(rows)


def truth(gain: float) -> float:
    """The accuracy of a gain in log-odds, by two million draws."""
    generator = np.random.default_rng(7)
    size = 2_000_000
    score = generator.normal(1.2, 1.5, size) + gain + SHARED_SPREAD * generator.normal(size=size)
    score += (
        SEED_SPREAD * generator.normal(size=size) + generator.logistic(0, 0.7, size) + generator.logistic(0, 0.3, size)
    )
    return float((score > 0).mean())


def gain_of(points: float) -> float:
    """The gain in log-odds that is worth so many points."""
    low, high, base = 0.0, 1.0, truth(0.0)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if truth(middle) - base < points / 100 else (low, middle)
    return (low + high) / 2


def main() -> None:
    """Print the table."""
    base, alone, oracle = truth(0.0), truth(-0.4), truth(0.6)
    gains = {points: gain_of(points) for points in (1.0, 2.0)}
    print(f"accuracy of equal rows {base:.4f}, labels alone {alone:.4f}, oracle {oracle:.4f}")
    head = [
        "seeds",
        "tests",
        "methods",
        "BEATS",
        "in a table",
        "difference held",
        "recovered held",
        "power +1",
        "power +2",
    ]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for seeds, separate, methods in itertools.product((3, 5), (False, True), (1, 4)):
        generator = np.random.default_rng([seeds, separate, methods])
        found = [table(generator, seeds, separate=separate, gain=0.0, methods=methods) for _ in range(NUM_TABLES)]
        rows = [[each for each in summary if each.role == "method"] for summary in found]
        beats = [[each.verdict == "BEATS" for each in some] for some in rows]
        # The baseline is the better of two equal rows, so the true difference is 0 only up to that choice.
        held = [each.difference_low <= 0 <= each.difference_high for some in rows for each in some]
        ratio = [each for some in rows for each in some if each.recovered_low is not None]
        within = [each.recovered_low <= 0 <= each.recovered_high for each in ratio]
        power = []
        for gain in gains.values():
            better = [table(generator, seeds, separate=separate, gain=gain, methods=1) for _ in range(NUM_TABLES)]
            power.append(
                np.mean([each.verdict == "BEATS" for some in better for each in some if each.role == "method"])
            )
        cells = [seeds, "one a seed" if separate else "shared", methods, f"{np.mean(beats):.3f}"]
        cells += [f"{np.mean([any(each) for each in beats]):.3f}", f"{np.mean(held):.3f}", f"{np.mean(within):.3f}"]
        cells += [f"{each:.2f}" for each in power]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
