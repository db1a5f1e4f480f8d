"""How many training rows are recognised in a copy with fewer digits, and how many new rows are taken for one."""

import numpy as np
import pyarrow as pa

from overproof.data import from_arrays
from overproof.models import build

KINDS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "log-normal, σ = 3": lambda rng, shape: np.exp(3 * rng.normal(size=shape)),
    "Cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "2,000 ± 5": lambda rng, shape: 2000 + 5 * rng.normal(size=shape),
    "four of five are 0": lambda rng, shape: np.where(rng.random(shape) < 0.8, 0, rng.normal(size=shape)),
    "whole, 0 to 15": lambda rng, shape: rng.integers(0, 16, shape).astype(float),
    "two decimals": lambda rng, shape: np.round(10 * rng.normal(size=shape), 2),
}
SHAPES = [(1000, 1), (1000, 3), (20_000, 3), (1000, 16), (1000, 100)]


def table(rows: np.ndarray) -> pa.Table:
    return pa.table({f"c{i}": column for i, column in enumerate(rows.T)})


def with_digits(rows: np.ndarray, digits: int) -> np.ndarray:
    return np.array([float(f"{value:.{digits}g}") for value in rows.ravel()]).reshape(rows.shape)


def main() -> None:
    print("| numbers | rows × columns | float32 | six digits | four digits | new rows | of these in the same numbers |")
    print("|---|---|---|---|---|---|---|")
    for name, drawn in KINDS.items():
        for num, num_columns in SHAPES:
            both = drawn(np.random.default_rng(0), (2 * num, num_columns))
            rows, new = both[:num], both[num : num + 2000]
            student = build("linear", [from_arrays(table(rows))], class_names=["a", "b"], seed=0)
            student = student.trained_on(table(rows))
            some = rows[:2000]
            copies = [some.astype(np.float32), with_digits(some, 6), with_digits(some, 4)]
            shares = [student.has_seen(table(copy)).mean() for copy in copies]
            known = {row.tobytes() for row in rows}
            same = np.mean([row.tobytes() in known for row in new])
            taken = student.has_seen(table(new)).mean()
            shown = " | ".join(f"{100 * share:.1f} %" for share in (*shares, taken, same))
            print(f"| {name} | {num:,} × {num_columns} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
