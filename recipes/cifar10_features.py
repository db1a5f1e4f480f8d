"""Write CIFAR-10's features as one Parquet table (f0 ... f511, label, split), for students that read numbers.

    python benchmarks/features.py --only cifar --cifar cifar10.parquet
    python recipes/cifar10_features.py runs/features/cifar.npz cifar10_features.parquet

The first command makes the features, responses to 128 whitened patches that nobody trained (a minute). Expected: 20,000
training images and 10,000 of the test, 512 numbers each.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def main(archive: Path, target: Path) -> None:
    """Read the archive and write the table."""
    with np.load(archive, allow_pickle=False) as file:
        parts = {part: (file[part], file["names"][file[f"{part}_label"]]) for part in ("train", "test")}
    values = np.concatenate([features for features, _ in parts.values()])
    columns: dict[str, object] = {f"f{index}": column for index, column in enumerate(values.T)}
    columns["label"] = np.concatenate([label for _, label in parts.values()]).tolist()
    columns["split"] = [part for part, (features, _) in parts.items() for _ in features]
    pq.write_table(pa.table(columns), target, compression="zstd")
    print(f"{len(values):,} images, {values.shape[1]} features, in {target}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
