#!/usr/bin/env bash
# CatBoost orders string classes, and so the columns of predict_proba, as numbers while every class reads as a number
# ("2" < "9" < "10"), and as strings as soon as one class does not ("10" < "2" < "x").
# Expected: np.unique's order of strings in both cases, as in scikit-learn.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet catboost==1.2.10 numpy==2.4.6
cd "$folder"
env/bin/python - <<'PYTHON'
import catboost
import numpy as np
from sys import exit

features = np.random.default_rng(0).normal(size=(60, 3))


def order(classes):
    labels = np.array(classes * 20, dtype=object)
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False, thread_count=1)
    return model.fit(features, labels).classes_.tolist()


seen = {" ".join(classes): order(classes) for classes in (["9", "10", "2"], ["x", "10", "2"], ["1e1", "9", "2"])}
print("catboost", catboost.__version__)
for given, found in seen.items():
    print(f"classes {given!r}: columns {found}, np.unique {np.unique(given.split()).tolist()}")
exit(seen != {"9 10 2": ["2", "9", "10"], "x 10 2": ["10", "2", "x"], "1e1 9 2": ["2", "9", "1e1"]})
PYTHON
