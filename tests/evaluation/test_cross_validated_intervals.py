"""Intervals of cross-validated rows hold the draw of these rows: simulated where the truth is known."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from overproof.cross_fitting import folds
from overproof.evaluation.paired import CROSS_VALIDATED
from overproof.evaluation.verdict import Row, caption, summarise

NUM, NUM_FOLDS, NUM_FEATURES, APART = 80, 5, 8, 0.6
"""Labelled rows, folds, and features of each of two methods, of which the first separates two classes."""


def fitted(inputs, label):
    """A least-squares classifier: weights, the bias last."""
    inputs = np.c_[inputs, np.ones(len(inputs))]
    return np.linalg.solve(inputs.T @ inputs + np.eye(inputs.shape[1]), inputs.T @ (2 * label - 1))


def accuracy(weights):
    """On all the data there could be."""
    length = np.linalg.norm(weights[:-1])
    return np.mean([ndtr((APART * weights[0] + side * weights[-1]) / length) for side in (1, -1)])


def cross_validated(seed):
    """Two methods that are equally good, each on features of its own, on one draw of rows; and their true accuracy."""
    draw = np.random.default_rng(seed)
    label, inputs = draw.integers(2, size=NUM), draw.normal(size=(2, NUM, NUM_FEATURES))
    inputs[:, :, 0] += APART * (2 * label - 1)
    fold, rows, truth = folds(torch.tensor(label), NUM_FOLDS, seed).numpy(), [], []
    for name, role, own in zip(("hard", "ours"), ("conventional", "method"), inputs, strict=True):
        right = np.empty(NUM, bool)
        for number in range(NUM_FOLDS):
            held = fold == number
            weights = fitted(own[~held], label[~held])
            right[held] = (np.c_[own[held], np.ones(held.sum())] @ weights > 0) == label[held]
            truth.append(accuracy(weights))
        numbers = {"accuracy": float(right.mean()), "num_examples": NUM}
        rows.append(
            Row(method=name, seed=0, role=role, metrics=numbers, correct=torch.tensor(right), num_folds=NUM_FOLDS)
        )
    return rows, np.mean(truth)


def test_intervals_hold_the_draw_of_the_rows():
    tables = [cross_validated(seed) for seed in range(300)]
    expected = np.mean([truth for _, truth in tables])
    summaries = [summarise(rows) for rows, _ in tables]
    means = np.mean([each.low <= expected <= each.high for table in summaries for each in table])
    ours = [table[1] for table in summaries]
    differences = np.mean([each.difference_low <= 0 <= each.difference_high for each in ours])
    assert means > 0.93
    assert differences > 0.93
    assert np.mean([each.verdict == "BEATS" for each in ours]) < 0.04
    # As for a test, they would not.
    plain = [
        summarise([Row(method=r.method, seed=0, role=r.role, metrics=r.metrics, correct=r.correct) for r in rows])
        for rows, _ in tables
    ]
    assert np.mean([table[1].difference_low <= 0 <= table[1].difference_high for table in plain]) < 0.93


def test_they_count_the_rows_so_many_times_less():
    rows, _ = cross_validated(0)
    (_, ours), words = summarise(rows), caption(summarise(rows))
    right = [row.correct.double().numpy() for row in rows]
    half = 1.959964 * (CROSS_VALIDATED * np.var(right[1] - right[0], ddof=1) / NUM) ** 0.5
    assert ours.difference_high - ours.difference == pytest.approx(half, rel=1e-6)
    assert ours.interval == "one seed: draw of the labelled rows only"
    assert (ours.num_judged, ours.num_folds) == (NUM, NUM_FOLDS)
    assert words.startswith("Cross-validated over 80 labelled rows (5 folds): each is answered by students trained")
