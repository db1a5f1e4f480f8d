"""The held-out share of the labelled examples is the share that is asked for, in every class."""

import math

import pytest
import torch

from overproof import TrainOptions, distill
from overproof.cross_fitting import held_out_rows
from overproof.errors import InputError
from overproof.synthetic import blobs


@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 1 / 3, 0.6, 0.9])
@pytest.mark.parametrize("num", [10, 299, 1000])
def test_the_share_is_held_out_rounded_up(share, num):
    label = torch.randint(3, (num,), generator=torch.Generator().manual_seed(0))
    held_out = held_out_rows(label, share, seed=1)
    # One example of every class stays.
    spared = sum(bool((label == each).sum() == held_out[label == each].sum() + 1) for each in range(3))
    assert int(held_out.sum()) == math.ceil(share * num - 1e-9) or (num == 10 and spared > 1)
    assert all(bool((~held_out)[label == each].any()) for each in range(3))
    for each in range(3):
        assert abs(int(held_out[label == each].sum()) - share * int((label == each).sum())) <= 1
    assert torch.equal(held_out, held_out_rows(label, share, seed=1))
    assert num < 100 or not torch.equal(held_out, held_out_rows(label, share, seed=2))


def test_at_least_one_is_held_out_and_one_is_not():
    label = torch.tensor([0, 1, 1])
    assert int(held_out_rows(label, 0.01, seed=0).sum()) == 1
    assert held_out_rows(label, 0.99, seed=0).tolist()[0] is False, "the only example of its class stays"
    assert int(held_out_rows(label, 0.99, seed=0).sum()) == 1
    with pytest.raises(InputError, match="needs at least 2 of them; there are 1"):
        held_out_rows(label[:1], 0.5, seed=0)


@pytest.mark.parametrize(("share", "num"), [(0.3, 18), (0.6, 36)])
def test_a_method_that_needs_held_out_labels_gets_the_share(share, num):
    world = blobs(num_examples=200, num_classes=3, seed=0)
    result = distill(
        "linear", world.inputs[60:], world.teacher_probs[60:], world.inputs[:60], world.label[:60],
        world.teacher_probs[:60], method="wd", train=TrainOptions(epochs=1), held_out_share=share,
    )  # fmt: skip
    assert (result.num_held_out, result.num_labelled) == (num, 60 - num)
