"""Somebody has a data frame in Python: a student of it, then the same as an estimator in a pipeline and a search."""

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import overproof
from overproof.models import load_student
from overproof.sklearn import DistilledClassifier, LabelledFolds

polars = pytest.importorskip("polars")
NUM, NUM_LABELLED, NUM_SEEN = 900, 120, 600


@pytest.fixture(scope="module")
def machines():
    """Machines of two states: numbers and words with gaps, a date, and a state that was written down for a few."""
    draw = np.random.default_rng(0)
    heat, speed = draw.normal(size=NUM), draw.normal(size=NUM)
    plant = draw.choice(["north", "south", "west"], NUM)
    score = heat + 0.5 * speed + (plant == "west") + 0.3 * draw.normal(size=NUM)
    state = np.where(score > 0.3, "worn", "fine")
    frame = polars.DataFrame(
        {
            "heat": [None if row % 17 == 3 else value for row, value in enumerate(heat.tolist())],
            "speed": speed,
            "plant": [None if row % 29 == 5 else value for row, value in enumerate(plant.tolist())],
            "built": np.datetime64("2020-01-01") + draw.integers(0, 1500, NUM),
            "state": [value if row < NUM_LABELLED else None for row, value in enumerate(state.tolist())],
        }
    )
    llm = np.where(draw.random(NUM) < 0.2, np.where(state == "worn", "fine", "worn"), state)
    return frame, state, llm


def test_from_a_frame_to_a_student_in_one_call(machines, tmp_path):
    frame, state, llm = machines
    seen, new = frame[:NUM_SEEN], frame[NUM_SEEN:].drop("state")
    train = overproof.TrainOptions(epochs=10)
    result = overproof.distill("mlp", seen, teacher_probs=llm[:NUM_SEEN], labels="state", train=train)
    assert "120 labelled and 480 pool examples" in repr(result)
    assert any("missing in column 'heat'" in each for each in result.findings)
    assert result.student.score(new, state[NUM_SEEN:]) > 0.8
    result.student.save(tmp_path / "student")
    assert (load_student(tmp_path / "student").predict(new) == result.student.predict(new)).all()


def test_from_a_frame_to_an_estimator_in_a_pipeline(machines):
    frame, state, _ = machines
    inputs, labels = frame[:NUM_SEEN].drop("state", "heat"), frame[:NUM_SEEN]["state"]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["plant"]), (StandardScaler(), ["speed"])
    )
    student = DistilledClassifier("linear", LogisticRegression(), method="soft", train={"epochs": 4})
    pipeline = make_pipeline(columns, student)
    options = {"distilledclassifier__teacher__C": [0.1, 10]}
    search = GridSearchCV(pipeline, options, cv=LabelledFolds(3)).fit(inputs, labels)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(frame[NUM_SEEN:], state[NUM_SEEN:]) > 0.6
