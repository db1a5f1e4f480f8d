"""scikit-learn's self-training on the very examples of a run, with a student of the same kind: one more row.

    python recipes/self_training.py runs/peers_imdb

For texts the student is multinomial logistic regression on the run's hashed n-grams with the run's weighting; for
tables and images a perceptron with the run's hidden layers. Regularisation is chosen on the labelled examples. No
teacher is asked: `SelfTrainingClassifier` starts with the labels and takes in what it is sure of. The row lies in
RUN/self_training.json afterwards.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from scipy.stats import t as students_t
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import normalize
from sklearn.semi_supervised import SelfTrainingClassifier

from overproof.models import ModelSpec, Ragged, build
from overproof.runs.pipeline import open_run
from overproof.storage import atomic


def features(student, examples):
    inputs = student.encode(examples)
    if isinstance(inputs, Ragged):
        idf = student.module.idf.numpy()
        buckets = inputs.values.numpy()
        counts = csr_matrix((idf[buckets], buckets, inputs.offsets.numpy()), shape=(len(inputs), len(idf)))
        return normalize(counts)
    values = inputs.values
    return (values.flatten(1).float() / 255 if values.dtype == torch.uint8 else values.flatten(1)).numpy()


def base(student, rows, label, seed, steps=None):
    if not isinstance(rows, np.ndarray):
        fewest = int(np.bincount(label)[np.unique(label)].min())
        grid = LogisticRegressionCV(
            Cs=[1.0, 10.0, 100.0, 1000.0],
            cv=max(2, min(5, fewest)),
            scoring="neg_log_loss",
            max_iter=300,
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
        )
        return LogisticRegression(C=float(np.ravel(grid.fit(rows, label).C_)[0]), max_iter=300)
    hidden = tuple(student.spec.options.get("hidden", ()))
    if steps is None:
        return MLPClassifier(hidden, early_stopping=False, max_iter=60, random_state=seed)
    return _of_steps(steps)(hidden, random_state=seed)


def _of_steps(steps):
    class OfSteps(MLPClassifier):
        """As many steps a fit, however many examples the self-training has taken in by then."""

        def fit(self, rows, label):
            self.max_iter = max(1, round(steps * min(200, len(rows)) / len(rows)))
            return super().fit(rows, label)

    return OfSteps


def predicted(work, seed, steps=None):
    """The test's predicted classes [N], and the CPU seconds of the fit; nothing of the teacher is read.

    With `steps` a perceptron takes as many in each of its up to ten fits; without, sixty passes.
    """
    roles = work.seed_roles(seed)
    options = work.experiment.student
    names = roles.labelled.class_names
    spec = ModelSpec(name=options.name, options=options.options)
    student = build(spec, [roles.labelled, roles.pool], class_names=names, seed=seed)
    labelled, pool, test = (features(student, each) for each in (roles.labelled, roles.pool, roles.test))
    label = roles.labelled.label.numpy()
    stacked = np.vstack([labelled, pool]) if isinstance(labelled, np.ndarray) else vstack([labelled, pool]).tocsr()
    unknown = np.full(pool.shape[0], -1)
    start = time.process_time()
    model = SelfTrainingClassifier(base(student, labelled, label, seed, steps))
    model.fit(stacked, np.concatenate([label, unknown]))
    seconds = time.process_time() - start
    return model.predict(test), seconds


def accuracy(work, seed):
    return float((predicted(work, seed)[0] == work.seed_roles(seed).test.label.numpy()).mean())


def interval(values):
    if len(values) < 2:
        return 0.0
    return float(students_t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    folder = parser.parse_args().run
    work = open_run(folder)
    warnings.simplefilter("ignore", ConvergenceWarning)
    found = {seed: accuracy(work, seed) for seed in work.experiment.seeds}
    result = json.loads((folder / "result.json").read_text())
    content = {"accuracy": found, "mean": fmean(found.values()), "interval": interval(list(found.values()))}
    best = max(
        ("hard", "soft"),
        key=lambda name: fmean(r["metrics"]["accuracy"] for r in result["rows"] if r["method"] == name),
    )
    beside = {row["seed"]: row["metrics"]["accuracy"] for row in result["rows"] if row["method"] == best}
    differences = [found[seed] - beside[seed] for seed in found]
    content |= {"versus": best, "difference": fmean(differences), "difference_interval": interval(differences)}
    atomic.write_json(folder / "self_training.json", content)
    mean, half, gap, gap_half = (
        100 * content[name] for name in ("mean", "interval", "difference", "difference_interval")
    )
    print(
        f"| sklearn self-training | {mean:.1f} ± {half:.1f} | {gap:+.1f} [{gap - gap_half:+.1f}, {gap + gap_half:+.1f}]"
        f" vs {best} (seeds alone) |"
    )


if __name__ == "__main__":
    main()
