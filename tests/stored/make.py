"""Makes the folders beside it with the version that is on the path: `python tests/stored/make.py FOLDER`.

Run once for every version whose folders the next one must read; the folders are never edited afterwards.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

EXPERIMENT = """\
name: stored
data:
  files:
    all: {{path: data/train.csv, label: answer}}
    test: {{path: data/test.csv, label: answer}}
  rows: {{labelled: 60}}
teacher:
{teacher}
student: {{name: linear}}
train: {{epochs: 5, batch_size: 16, learning_rate: 0.1, checkpoint_seconds: {seconds}, device: cpu}}
methods: [labelled_only, hard, soft, {{method: wd, options: {{pool.weight.cap: 2.5}}}}, slam]
seeds: {seeds}
"""

NETWORK_AND_LOGISTIC = """\
- {model: mlp, options: {hidden: [4]}, folds: 2, train: {epochs: 3, batch_size: 16, device: cpu}}
- {model: "sklearn.linear_model:LogisticRegression", options: {C: 0.5}, folds: 2}"""

BROUGHT = """\
  model: finished/students/seed-0/slam"""

LOGISTIC = """\
  {model: "sklearn.linear_model:LogisticRegression", folds: 2}"""


def write_data() -> None:
    """Two classes, three columns, one of them of words."""
    draw = np.random.default_rng(0)
    for name, num_rows in (("train", 140), ("test", 60)):
        label = draw.integers(0, 2, num_rows)
        height = label + draw.normal(0, 0.7, num_rows)
        width = draw.normal(0, 1, num_rows)
        colour = np.where(draw.random(num_rows) < 0.3 + 0.4 * label, "red", "blue")
        rows = zip(height, width, colour, np.array(["no", "yes"])[label], strict=True)
        lines = ["height,width,colour,answer", *(f"{a:.3f},{b:.3f},{c},{d}" for a, b, c, d in rows)]
        Path(f"data/{name}.csv").write_text("\n".join(lines) + "\n")


def overproof(*words: str) -> list[str]:
    """A command of the version on the path."""
    return [sys.executable, "-m", "overproof", *words]


def main() -> None:
    """Makes all of them."""
    home = Path(sys.argv[1]).resolve()
    (home / "data").mkdir(parents=True)
    os.chdir(home)
    write_data()
    Path("finished.yaml").write_text(EXPERIMENT.format(teacher=NETWORK_AND_LOGISTIC, seeds="[0, 1]", seconds=10))
    subprocess.run(overproof("run", "finished.yaml", "--out", "finished"), check=True)
    Path("finished/report.html").unlink()
    student = "finished/students/seed-1/wd"
    subprocess.run(overproof("predict", student, "data/test.csv", "--out", "predictions.csv"), check=True)
    Path("brought.yaml").write_text(EXPERIMENT.format(teacher=BROUGHT, seeds="[0, 1]", seconds=10))
    subprocess.run(overproof("label", "brought.yaml", "--out", "brought"), check=True)
    # As if it had been killed before its last write.
    Path("brought/labels/seed-1/pool/manifest.json").unlink()
    Path("killed.yaml").write_text(EXPERIMENT.format(teacher=LOGISTIC, seeds="[0]", seconds=0))
    running = subprocess.Popen(overproof("run", "killed.yaml", "--out", "killed"))
    checkpoint = Path("killed/students/seed-0/hard/checkpoint.pt")
    while not checkpoint.exists():
        assert running.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()


if __name__ == "__main__":
    main()
