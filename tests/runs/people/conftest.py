"""One small run whose students disagree, with the truth by id; its pool has repeated rows. Nothing may write to it."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overproof.progress import Silent
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import Run
from overproof.synthetic import blobs

NAMES = np.array(["01", "1", "green"])


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disagreements")
    made = blobs(num_examples=700, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(made.inputs.T.numpy())}
    truth = NAMES[made.label.numpy()]
    table = pa.table({"id": [f"r{i}" for i in range(700)], **columns, "label": truth})
    # Forty rows of the pool stand twice in it, under other ids.
    again = table.slice(60, 40).set_column(0, "id", pa.array([f"again{i}" for i in range(60, 100)]))
    parts = {"labelled": table.slice(0, 60), "pool": pa.concat_tables([table.slice(60, 400), again])}
    for role, part in {**parts, "test": table.slice(460)}.items():
        pq.write_table(part, folder / f"{role}.parquet")
    experiment = experiment_from(
        {
            "data": {
                "files": {
                    role: {"path": str(folder / f"{role}.parquet"), "label": "label", "id": "id"}
                    for role in ("labelled", "pool", "test")
                },
            },
            "teacher": {
                "model": "sklearn.linear_model:LogisticRegression",
                "folds": 2,
                "spoil": {"kind": "class_conditional", "share": 0.45},
            },
            "student": {"name": "linear"},
            "train": {"epochs": 8, "batch_size": 32, "learning_rate": 0.05},
            "methods": ["labelled_only", "hard"],
            "seeds": [0],
        }
    )
    Run(experiment=experiment, folder=folder / "run", progress=Silent()).all_steps()
    return folder / "run", {
        **{f"r{i}": each for i, each in enumerate(truth)},
        **{f"again{i}": truth[i] for i in range(60, 100)},
    }


@pytest.fixture(scope="session")
def filled():
    """Writes people's labels into the first rows of a file, by the truth of each id; returns its rows."""

    def fill(path, truth, num=None):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows[:num]:
            row["label"] = truth[row["id"]]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        return rows

    return fill
