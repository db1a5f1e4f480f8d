"""What is counted of a row's predictions, and how rows are drawn for people: by hand."""

import numpy as np
import pytest
import torch

from overproof.evaluation import confusions
from overproof.evaluation.confusions import tally
from overproof.evaluation.pool_sample import drawn_rows, inclusion_probabilities


def one_hot(classes, num_classes, sure=0.7):
    probs = torch.full((len(classes), num_classes), (1 - sure) / (num_classes - 1), dtype=torch.float64)
    probs[torch.arange(len(classes)), torch.as_tensor(classes)] = sure
    return probs


@pytest.mark.parametrize("num_classes", [30, 31])
def test_the_twenty_most_frequent_errors_are_kept_and_a_matrix_of_thirty_classes(num_classes):
    """Class i is taken for its neighbour i + 1 times, so the frequent ones are the last."""
    label = [each for each in range(25) for _ in range(each + 1)]
    predicted = [each + 1 for each in label]
    found = tally("slam", 3, one_hot(predicted, num_classes), torch.tensor(label), None)
    assert (found.method, found.seed) == ("slam", 3)
    assert found.pairs == [(each, each + 1, each + 1) for each in range(24, 4, -1)]
    assert found.disagreements == []
    if num_classes > 30:
        assert found.confusion == []
        return
    expected = np.zeros((30, 30), int)
    np.add.at(expected, (label, predicted), 1)
    assert found.confusion == expected.tolist()


def test_equal_errors_are_in_the_order_of_the_classes_and_right_ones_are_none():
    found = tally("slam", 0, one_hot([1, 0, 2, 2], 3), torch.tensor([0, 1, 2, 0]), None)
    assert found.pairs == [(0, 1, 1), (0, 2, 1), (1, 0, 1)]


def test_the_twelve_furthest_disagreements_are_kept_the_furthest_first():
    """The teacher always names class 0; the student class 1, the more sure the later, but for one row."""
    sure = torch.linspace(0.55, 0.95, 15, dtype=torch.float64)
    student = torch.stack([1 - sure, sure], dim=1)
    student[7] = torch.tensor([0.99, 0.01])
    teacher = torch.tensor([[0.5625, 0.4375]] * 15)
    found = tally("slam", 0, student, torch.ones(15, dtype=torch.int64), teacher, rows=torch.arange(100, 115))
    assert [each["row"] for each in found.disagreements] == [
        100 + row for row in (14, 13, 12, 11, 10, 9, 8, 6, 5, 4, 3, 2)
    ]
    assert found.disagreements[0] == {
        "row": 114, "label": 1, "teacher": 0, "teacher_prob": 0.5625, "student": 1, "student_prob": 0.95,
    }  # fmt: skip
    assert len(found.disagreements) == confusions.NUM_DISAGREEMENTS


def test_rows_are_drawn_with_their_probabilities_and_never_twice():
    inclusion = inclusion_probabilities(np.array([9.0, 1.0, 2.0, 3.0, 1.0, 1.0]), 3)
    assert inclusion.tolist() == [1, *(2 * np.array([1, 2, 3, 1, 1]) / 8).tolist()]
    generator, times = np.random.default_rng(0), np.zeros(6)
    for _ in range(2000):
        rows = drawn_rows(inclusion, generator)
        assert len(set(rows.tolist())) == 3
        times[rows] += 1
    assert np.abs(times / 2000 - inclusion).max() < 4 * 0.5 / np.sqrt(2000)
    assert times[0] == 2000


def test_a_sum_that_rounding_left_off_a_whole_number_draws_that_number():
    inclusion = np.full(6, 4 / 6)
    assert np.cumsum(inclusion)[-1] != 4
    generator = np.random.default_rng(0)
    assert {len(set(drawn_rows(inclusion, generator).tolist())) for _ in range(50)} == {4}


def test_a_row_without_a_class_of_the_teacher_is_no_disagreement():
    student = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    teacher = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.5, 0.5]])
    found = tally("hard", 0, student, torch.tensor([0, 1, 0]), teacher)
    assert [each["row"] for each in found.disagreements] == [0]
