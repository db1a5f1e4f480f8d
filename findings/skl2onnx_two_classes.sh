#!/usr/bin/env bash
# skl2onnx, two classes: the "probabilities" of LinearDiscriminantAnalysis are 1 / (1 + exp(-2 z)) where scikit-learn's
# predict_proba is 1 / (1 + exp(-z)); those of SVC without probabilities are [z, -z], against the file's own label.
# Expected: predict_proba to 1e-5, as of every other classifier; and the largest score at the predicted class, [-z, z].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 scikit-learn==1.9.1 skl2onnx==1.20.0
cd "$folder"
env/bin/python - <<'PYTHON'
import warnings
from sys import exit

import numpy as np
import onnxruntime
import skl2onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

warnings.simplefilter("ignore")
draw = np.random.default_rng(0)
inputs = draw.normal(size=(300, 4)).astype(np.float32)
label = (inputs[:, 0] + 0.5 * draw.normal(size=300) > 0).astype(int)


def converted(model):
    made = skl2onnx.to_onnx(model, inputs[:1], options={id(model): {"zipmap": False}})
    return onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"X": inputs})


plain = LogisticRegression().fit(inputs, label)
analysis = LinearDiscriminantAnalysis().fit(inputs, label)
vectors = SVC().fit(inputs, label)
z = analysis.decision_function(inputs)
found = converted(analysis)[1][:, 1]
own_label, scores = converted(vectors)
near = {
    "logistic regression, from predict_proba": np.abs(converted(plain)[1] - plain.predict_proba(inputs)).max(),
    "discriminant analysis, from predict_proba": np.abs(found - analysis.predict_proba(inputs)[:, 1]).max(),
    "discriminant analysis, from 1 / (1 + exp(-2 z))": np.abs(found - 1 / (1 + np.exp(-2 * z))).max(),
}
print("skl2onnx", skl2onnx.__version__)
for what, distance in near.items():
    print(f"{what}: largest difference {distance:.2g}")
same = [(own_label == vectors.predict(inputs)).mean(), (scores.argmax(axis=1) == own_label).mean()]
print(f"SVC: label of the file is predict in {same[0]:.0%} of rows, and its largest score in {same[1]:.0%}")
expected = [near_zero < 1e-5 for near_zero in near.values()] == [True, False, True] and same == [1.0, 0.0]
exit(not expected)
PYTHON
