"""Teacher answers in half precision come back within their stated error bound, row by row."""

import numpy as np
import pytest
import torch
from torch import Tensor

from overproof.answers.predictions import compress
from overproof.errors import InputError


def random_probs(count: int, num_classes: int, scale: float = 2.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, num_classes, generator=generator, dtype=torch.float64) * scale).softmax(1)


TABLE = random_probs(10, 3)
WHOLE = compress(TABLE)


def test_a_row_by_hand():
    answers = compress(torch.tensor([[0.125, 0.5, 0.25, 0.125]]), num_kept=2)
    assert answers.class_indices.tolist() == [[1, 2]]
    assert answers.class_probs.tolist() == [[0.5, 0.25]]
    assert (answers.margin.item(), answers.residual.item(), answers.pseudo_label.item()) == (0.25, 0.25, 1)
    assert answers.probs().tolist() == [[0.125, 0.5, 0.25, 0.125]]


def test_a_hard_label_has_margin_one_and_no_residual():
    answers = compress(torch.eye(40))
    assert answers.margin.tolist() == [1.0] * 40
    assert answers.residual.tolist() == [0.0] * 40
    assert answers.pseudo_label.tolist() == list(range(40))
    assert torch.equal(answers.probs(), torch.eye(40))


@pytest.mark.parametrize(("num_classes", "num_kept"), [(2, 2), (32, 32), (33, 10), (200, 10)])
def test_everything_is_kept_up_to_32_classes_and_ten_beyond(num_classes: int, num_kept: int):
    assert compress(random_probs(3, num_classes)).class_indices.shape == (3, num_kept)


def test_kept_classes_are_the_likeliest_and_equal_ones_come_in_class_order():
    counts = torch.randint(0, 4, (500, 50), generator=torch.Generator().manual_seed(0)) + (torch.arange(50) == 7)
    probs = counts.double() / counts.sum(1, keepdim=True)
    expected = np.argsort(-probs.float().numpy(), axis=1, kind="stable")[:, :10]
    assert np.array_equal(compress(probs).class_indices.numpy(), expected)


@pytest.mark.parametrize("num_classes", [2, 10, 40, 300])
@pytest.mark.parametrize("scale", [0.1, 2.0, 12.0])
def test_what_comes_back_is_within_the_stated_error_bound(num_classes: int, scale: float):
    probs = random_probs(400, num_classes, scale)
    answers = compress(probs)
    back = answers.probs().double()
    k = answers.class_indices.shape[1]
    kept = torch.zeros_like(probs, dtype=torch.bool).scatter_(1, answers.class_indices.long(), True)

    def rounding(value: Tensor) -> Tensor:
        return (value / 2**11).clamp(min=2**-25)

    error = (back - probs).abs()
    assert (error <= rounding(probs))[kept].all()
    smallest_kept = torch.where(kept, probs, 2.0).min(1, keepdim=True).values
    assert (error <= smallest_kept + rounding(smallest_kept))[~kept].all()
    others_error, others = torch.where(kept, 0.0, error).sum(1), torch.where(kept, 0.0, probs).sum(1)
    assert (others_error <= 2 * others + rounding(others) * (1 + 2**-12)).all()
    assert ((back.sum(1) - probs.sum(1)).abs() <= 1 / 2**11 + (k + 1) / 2**25 + 2**-23).all()
    if num_classes > 32:
        assert others.max() > 1e-4, "nothing was left out, so the bound was not tried"


def test_the_residual_is_never_renormalised_away():
    probs = torch.full((1, 100), 0.01)
    answers = compress(probs)
    assert answers.residual.item() == pytest.approx(0.9, rel=2**-11)
    assert torch.allclose(answers.probs(), probs, rtol=2**-11)


def test_a_margin_is_rounded_once():
    probs = random_probs(1000, 5, 1.0)
    top = probs.sort(dim=1, descending=True).values
    answers = compress(probs)
    once = (top[:, 0] - top[:, 1]).numpy().astype(np.float16)
    assert np.array_equal(answers.margin.numpy(), once)
    assert not np.array_equal((answers.class_probs[:, 0] - answers.class_probs[:, 1]).numpy(), once)


def test_rows_are_taken_in_the_order_asked():
    rows = torch.tensor([7, 0, 7])
    assert torch.equal(WHOLE.probs(rows), WHOLE.probs()[rows])
    assert torch.equal(WHOLE.take(rows).pseudo_label, TABLE.argmax(1)[rows])


@pytest.mark.parametrize(
    ("bad_row", "words"),
    [
        ([0.5, float("nan"), 0.5], "row 2 .*class 1 has probability nan"),
        ([float("inf"), 0.0, 0.0], "row 2 .*class 0 has probability inf"),
        ([1.25, -0.25, 0.0], "row 2 .*class 1 has probability -0.25"),
        ([0.5, 0.2, 0.2], "row 2 .*sum to 0.9; they must sum to 1"),
        ([0.0, 0.0, 0.0], "row 2 .*sum to 0;"),
    ],
)
def test_a_row_that_is_no_distribution_is_refused_by_number(bad_row: list[float], words: str):
    table = TABLE.clone()
    table[2] = torch.tensor(bad_row)
    with pytest.raises(InputError, match=words):
        compress(table)


@pytest.mark.parametrize(("num_classes", "num_kept"), [(1, None), (3, 0), (3, 4)])
def test_a_number_of_classes_that_does_not_fit_is_refused(num_classes: int, num_kept: int | None):
    with pytest.raises(InputError, match=r"class"):
        compress(torch.full((2, num_classes), 1 / num_classes), num_kept=num_kept)


@pytest.mark.parametrize("num_classes", [2, 3, 7, 32, 33, 100, 1000])
def test_an_answer_names_a_class_unless_all_are_alike_or_there_is_none(num_classes):
    even, likelier = torch.full((num_classes,), 1 / num_classes), torch.full((num_classes,), 1 / num_classes)
    likelier[-1] *= 1.01
    last = torch.nn.functional.one_hot(torch.tensor(num_classes - 1), num_classes).float()
    stored = compress(torch.stack([even, likelier / likelier.sum(), last, last]))
    stored = stored.without(torch.tensor([False, False, False, True]))
    assert stored.names_class.tolist() == [False, True, True, False]
    if num_classes > 10:
        # The ten that are kept are as likely as each other, and likelier than the rest.
        ten = torch.zeros(num_classes).index_fill(0, torch.arange(10), 0.1)
        assert compress(ten[None]).names_class.tolist() == [True]
