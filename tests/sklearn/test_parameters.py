"""Parameters of the classifier, as scikit-learn sets them, and data given as dicts and lists of answers."""

import numpy as np
import pytest
from sklearn.base import clone

import overproof
from overproof.errors import InputError
from overproof.sklearn import DistilledClassifier
from overproof.training.options import TrainOptions


def test_training_options_are_parameters():
    for train in (None, {"learning_rate": 0.1}, TrainOptions(learning_rate=0.1)):
        made = clone(DistilledClassifier("linear", train=train)).set_params(train__epochs=3, method="soft")
        assert made.train == {**({} if train is None else {"learning_rate": 0.1}), "epochs": 3}
        assert made.method == "soft"
    with pytest.raises(ValueError, match=r"Invalid parameter 'epoch' for train. Valid parameters are:"):
        made.set_params(train__epoch=3)


def test_dicts_of_columns_and_answers_of_which_some_are_missing():
    draw = np.random.default_rng(0)
    truth = draw.choice(["no", "yes"], 80)
    columns = {"x": list(draw.normal(size=80) + (truth == "yes")), "city": list(draw.choice(["a", "b"], 80))}
    answers = [None if row % 10 == 3 else " " if row == 0 else word for row, word in enumerate(truth.tolist())]
    labels = [word if row < 40 else None for row, word in enumerate(truth.tolist())]
    made = overproof.distill("linear", columns, answers, labels=labels, method="hard", train={"epochs": 1})
    assert made.findings[0] == (
        "teacher_probs: 9 of 80 rows have no answer (None (8), ' ' (1)); 4 without a label are left out; 5 keep "
        "their label, which the student is trained on, and the teacher's errors are estimated on the other 35 with "
        "a label."
    )
    assert (made.num_labelled, made.num_pool) == (40, 36)
    assert made.student.predict(columns).shape == (80,)
    fitted = DistilledClassifier("linear", method="hard", train={"epochs": 1})
    fitted.fit(columns, labels, answers=truth.tolist())
    assert fitted.predict(columns).shape == (80,)
    numbers, sure = np.array([-1, 1])[(truth == "yes").astype(int)], np.eye(2)[(truth == "yes").astype(int)]
    gone = [answer is None or answer == " " for answer in answers]
    as_numbers = [np.nan if missing else 7 * number for missing, number in zip(gone, numbers, strict=True)]
    # As numbers: the classes 7 and -7, and NaN for no answer.
    coded = [-1 if label is None else 7 * number for label, number in zip(labels, numbers, strict=True)]
    for target, given in (
        (labels, answers),
        (labels, ["unknown" if missing else f"{word}." for missing, word in zip(gone, truth, strict=True)]),
        (labels, np.where(np.array(gone)[:, None], np.nan, sure)),
        (coded, as_numbers),
        (coded, np.array(as_numbers)),
    ):
        fitted.fit(columns, target, answers=given)
        assert (fitted.student_.predict_proba(columns) == made.student.predict_proba(columns)).all()
        assert "9 of 80 rows have no answer" in fitted.distilled_.findings[0]
    with pytest.raises(InputError, match="pool is a dict, and its values are no columns of one length"):
        overproof.distill("linear", {"x": [1.0], "z": [1.0, 2.0]}, ["a", "b"], labels=["a", "b"])
