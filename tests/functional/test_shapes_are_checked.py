"""What the checks of types and shapes in tests (`tests/conftest.py`) still find although not every call is checked."""

import jaxtyping
import pytest
import torch

from overproof.noise import margin

WHOLE = torch.tensor([[5, 3, 1]])
"""Whole numbers, where probabilities are declared."""


def refused(num: int) -> int:
    count = 0
    for _ in range(num):
        try:
            margin(WHOLE)
        except jaxtyping.TypeCheckError:
            count += 1
    return count


def test_the_first_calls_of_every_test_and_one_of_ninety_seven_later_ones_are_checked():
    assert refused(3) == 3
    assert refused(970) == 10


@pytest.mark.parametrize("_again", range(2))
def test_counting_begins_anew_in_every_test(_again):
    assert refused(5) >= 3
